#include "passes/join_quantization.h"

#include <map>

#include "graph/builder.h"
#include "graph/quantized_form.h"

namespace onnxrun {

namespace {

class Joiner {
 public:
  explicit Joiner(Graph& graph) : graph_(graph) {
    for (const Node& node : graph.nodes) {
      for (ValueId v : node.outputs) {
        if (v != no_value) producers_[v] = {&node.info->spec, node.op, node.inputs, node.outputs};
      }
    }
  }

  void run() {
    std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (Node& node : nodes) {
      for (Graph& body : node.bodies) join_quantization(body);
      const Producer* q = quantizer_of(node);
      if (q) {
        append_joined(node, *q);
      } else {
        graph_.nodes.push_back(std::move(node));
      }
    }
  }

 private:
  struct Producer {
    const OpSpec* spec;
    OpPtr op;
    std::vector<ValueId> inputs, outputs;
  };

  const Producer* producer(ValueId v) const {
    auto it = producers_.find(v);
    return it == producers_.end() ? nullptr : &it->second;
  }

  // The value that `v` is but for casts.
  ValueId source(ValueId v) const {
    for (const Producer* p = producer(v); p && p->spec->name == "Cast"; p = producer(v)) {
      v = p->inputs[0];
    }
    return v;
  }

  bool same(ValueId a, ValueId b) const {
    a = source(a);
    b = source(b);
    if (a == b) return true;
    const Tensor* x = a == no_value ? nullptr : graph_.constant(a);
    const Tensor* y = b == no_value ? nullptr : graph_.constant(b);
    return x && y && identical(*x, *y);
  }

  const Producer* quantizer_of(const Node& node) const {
    const auto* dequantizes = dynamic_cast<const Dequantizes*>(node.op.get());
    if (!dequantizes || node.inputs.size() < 2) return nullptr;
    const Producer* q = producer(node.inputs[0]);
    const auto* quantizes = q ? dynamic_cast<const Quantizes*>(q->op.get()) : nullptr;
    if (!quantizes) return nullptr;
    ValueId zero_point = node.inputs.size() > 2 ? node.inputs[2] : no_value;
    auto input = [&](size_t i) { return i < q->inputs.size() ? q->inputs[i] : no_value; };
    if (quantizes->chooses_scale()) {
      return same(node.inputs[1], q->outputs[1]) && same(zero_point, q->outputs[2]) ? q : nullptr;
    }
    const bool alike = dequantizes->quantized_axis() == quantizes->quantized_axis();
    return alike && same(node.inputs[1], input(1)) && same(zero_point, input(2)) ? q : nullptr;
  }

  void append_joined(const Node& node, const Producer& q) {
    GraphBuilder b(graph_);
    const QuantizedAxis scales = dynamic_cast<const Dequantizes&>(*node.op).quantized_axis();
    DType type = graph_.value(node.outputs[0]).type.dtype;
    Attributes attributes{{"axis", scales.axis},
                          {"block_size", scales.block},
                          {"quantized", static_cast<int64_t>(b.dtype(node.inputs[0]))}};
    b.add("onnxrun.FakeQuantize",
          {b.cast(q.inputs[0], type), b.cast(node.inputs[1], type),
           node.inputs.size() > 2 ? node.inputs[2] : no_value},
          attributes);
    Node& joined = graph_.nodes.back();
    graph_.value(node.outputs[0]).type =
        refine(graph_.value(joined.outputs[0]).type, graph_.value(node.outputs[0]).type);
    joined.outputs = node.outputs;
  }

  Graph& graph_;
  std::map<ValueId, Producer> producers_;
};

}  // namespace

void join_quantization(Graph& graph) { Joiner(graph).run(); }

}  // namespace onnxrun
