// FlexAttention (ai.onnx.preview): attention whose scores and weights pass through subgraphs.
#include "base/error.h"
#include "emit/attention.h"
#include "graph/infer_context.h"
#include "graph/inline_graph.h"
#include "graph/upgrade_context.h"

namespace onnxrun {

namespace {

// Only ever written out: its subgraphs run once, so they are part of the graph around them.
class FlexAttention final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("scale", scale, "factor of the scores; 1 / sqrt(head size) without");
    v.visit("softmax_precision", precision,
            "type that the softmax is computed in; float for all but double without");
  }

  void infer(InferContext& c) const override { c.reject("it is read from files only"); }

  BodyLayout body_layout() const override { return {.once = true}; }
  std::vector<Type> body_inputs(const std::vector<Type>&) const override { return {Type()}; }

  std::optional<float> scale;
  DType precision = DType::Undefined;
};

ValueId operand(UpgradeContext& c, size_t i, const char* name) {
  const Type& type = c.type(c.input(i));
  if (type.is_tensor() && type.shape && type.shape->size() != 4) {
    fail(ErrorKind::BadModel, "{} is {}, expected rank 4", name, type.to_string());
  }
  return c.input(i);
}

// `body` on x. What it gives must be like x.
ValueId modified(const Emit& e, const Graph& body, const char* name, ValueId x,
                 const std::vector<ValueId>& captures) {
  if (body.inputs.size() != captures.size() + 1 || body.outputs.size() != 1) {
    fail(ErrorKind::BadModel, "{} takes {} inputs and gives {} outputs, expected one of each", name,
         body.inputs.size() - captures.size(), body.outputs.size());
  }
  const Type& formal = body.value(body.inputs[0]).type;
  if (!compatible(formal, e.b.type(x))) {
    fail(ErrorKind::BadModel, "{} takes {}, it is given {}", name, formal.to_string(),
         e.b.type(x).to_string());
  }
  std::vector<ValueId> inputs = {x};
  inputs.insert(inputs.end(), captures.begin(), captures.end());
  ValueId y = inline_graph(e.b, body, inputs).at(0);
  if (!compatible(e.b.type(y), e.b.type(x))) {
    fail(ErrorKind::BadModel, "{} makes {} of {}", name, e.b.type(y).to_string(),
         e.b.type(x).to_string());
  }
  return y;
}

void upgrade_flex_attention(UpgradeContext& c) {
  FlexAttention node;
  read_attributes(node, c.attributes());
  Emit e(c.builder());
  AttentionParts parts;
  parts.q = operand(c, 0, "Q");
  parts.k = operand(c, 1, "K");
  parts.v = operand(c, 2, "V");
  DType type = e.b.dtype(parts.q);
  if (!dtypes::floats.contains(type)) {
    fail(ErrorKind::BadModel, "Q is {}, expected floating-point numbers", to_string(type));
  }
  parts.precision = node.precision;
  if (node.precision == DType::Undefined) {
    parts.precision = type == DType::Float64 ? type : DType::Float32;
  } else if (!dtypes::floats.contains(node.precision)) {
    fail(ErrorKind::BadModel, "softmax_precision is {}", to_string(node.precision));
  }
  parts.scale = node.scale;
  parts.modify_scores = [&](ValueId x) {
    return modified(e, c.bodies().at(1), "score_mod", x, c.captures());
  };
  parts.modify_weights = [&](ValueId x) {
    return modified(e, c.bodies().at(0), "prob_mod", x, c.captures());
  };
  c.replace({emit_attention(e, parts).y});
}

}  // namespace

void register_flex_attention(OpRegistry& r) {
  r.add<FlexAttention>({.name = "FlexAttention",
                        .domain = "ai.onnx.preview",
                        .doc = "attention whose scores and weights pass through subgraphs",
                        .since = {1},
                        .inputs = {{"Q", "T1"}, {"K", "T1"}, {"V", "T1"}},
                        .outputs = {{"Y", "T1"}},
                        .types = {{"T1", dtypes::floats}},
                        .bodies = {"prob_mod", "score_mod"},
                        .bodies_optional = true,
                        .upgrade = upgrade_flex_attention});
}

}  // namespace onnxrun
