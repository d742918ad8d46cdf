// SequenceMap.
#include "base/error.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/inline_graph.h"
#include "graph/run_context.h"
#include "graph/run_scope.h"

namespace onnxrun {

namespace {

class SequenceMap final : public Op {
 public:
  void infer(InferContext& c) const override {
    std::vector<Type> inputs;
    for (size_t i = 0; i < c.num_inputs(); ++i) inputs.push_back(c.type(i));
    std::vector<Type> outputs = c.infer_body(0, body_inputs(inputs));
    if (outputs.size() != c.num_outputs()) {
      c.reject("the body gives {} outputs, the node has {}", outputs.size(), c.num_outputs());
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].is_known() && !outputs[i].is_tensor()) {
        c.reject("output {} of the body is {}, expected a tensor", i, outputs[i].to_string());
      }
      c.set_output(i, Type::sequence(outputs[i]));
    }
  }

  void run(RunContext& c) const override {
    size_t length = c.items(0).size();
    std::vector<RuntimeValue> formal(c.num_inputs()), outputs;
    std::vector<RuntimeValue::Items> results(c.num_outputs());
    LoopCount count(c.control(), static_cast<int64_t>(length));
    for (size_t k = 0; k < length; ++k) {
      count.next();
      for (size_t i = 0; i < c.num_inputs(); ++i) formal[i] = element(c.value(i), k, length);
      c.bodies().run(0, formal, outputs);
      for (size_t i = 0; i < outputs.size(); ++i) {
        if (!outputs[i].is_tensor()) {
          fail(ErrorKind::BadInput, "output {} of the body is {}, expected a tensor", i,
               describe(outputs[i]));
        }
        results[i].push_back(std::move(outputs[i]));
      }
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (c.has_output(i)) c.set_value(i, c.control().sequence(std::move(results[i])));
    }
  }

  BodyLayout body_layout() const override { return {.takes_inputs = true}; }

  std::vector<Type> body_inputs(const std::vector<Type>& inputs) const override {
    std::vector<Type> types;
    for (const Type& t : inputs) {
      types.push_back(t.kind != Type::Kind::Sequence ? t : t.element ? *t.element : Type());
    }
    return types;
  }

  // A Loop that takes one element of every sequence and appends one to every result.
  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    const Node& node = d.node();
    const Graph& inner = node.bodies[0];
    Graph body(b.graph().registry());
    ValueId i = body.add_input("iteration", Type::tensor(DType::Int64, Shape{}));
    ValueId cond = body.add_input("condition", Type::tensor(DType::Bool, Shape{}));
    std::vector<ValueId> inputs = {b.add("SequenceLength", {d.input(0)}), no_value};
    std::vector<ValueId> collected;
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      const Type& element = inner.value(inner.outputs[k]).type;
      inputs.push_back(
          b.add("SequenceEmpty", {}, {{"dtype", static_cast<int64_t>(element.dtype)}}));
      collected.push_back(body.add_input(body.unique_name("collected"), b.type(inputs.back())));
    }
    GraphBuilder bb(body);
    std::vector<ValueId> elements;
    NodeOptions options;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      options.captures.push_back(node.inputs[k]);
      const Type& type = d.type(node.inputs[k]);
      ValueId captured = body.add_input(body.unique_name("captured"), type);
      bool mapped = type.kind == Type::Kind::Sequence && k < node.formal_inputs();
      elements.push_back(mapped ? bb.add("SequenceAt", {captured, i}) : captured);
    }
    std::vector<ValueId> results = inline_graph(bb, inner, elements);
    body.outputs = {bb.add("Identity", {cond})};
    for (size_t k = 0; k < results.size(); ++k) {
      body.outputs.push_back(bb.add("SequenceInsert", {collected[k], results[k]}));
    }
    options.bodies.push_back(std::move(body));
    std::vector<ValueId> outputs = b.add_n("Loop", inputs, node.outputs.size(), std::move(options));
    for (size_t k = 0; k < outputs.size(); ++k) d.set(k, outputs[k]);
  }

 private:
  static RuntimeValue element(const RuntimeValue& v, size_t k, size_t length) {
    if (v.kind != RuntimeValue::Kind::Sequence) return v;
    if (v.elements().size() != length) {
      fail(ErrorKind::BadInput, "sequences have {} and {} elements", length, v.elements().size());
    }
    return v.elements()[k];
  }
};

}  // namespace

void register_sequence_map(OpRegistry& r) {
  r.add<SequenceMap>({.name = "SequenceMap",
                      .doc = "a subgraph for every element of a sequence",
                      .since = {17},
                      .inputs = {{"input_sequence", "S"},
                                 {"additional_inputs", "V", Param::Kind::Variadic, false, 0}},
                      .outputs = {{"out_sequence", "S", Param::Kind::Variadic, false}},
                      .types = {{"S", {}, dtypes::basic}, {"V", dtypes::basic, dtypes::basic}},
                      .gradient = GradientState::Decompose,
                      .decomposes = true,
                      .bodies = {"body"}});
}

}  // namespace onnxrun
