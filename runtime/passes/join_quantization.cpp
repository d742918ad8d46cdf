#include "passes/join_quantization.h"

#include <map>

#include "graph/builder.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

class Joiner {
 public:
  explicit Joiner(Graph& graph) : graph_(graph) {
    for (const Node& node : graph.nodes) {
      for (ValueId v : node.outputs) {
        if (v != no_value)
          producers_[v] = {&node.info->spec, node.inputs, node.outputs,
                           is_quantizer(node) ? attributes_of(node) : Attributes()};
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
    std::vector<ValueId> inputs, outputs;
    Attributes attributes;
  };

  static bool is_quantizer(const Node& node) {
    return node.info->spec.name == "QuantizeLinear" ||
           node.info->spec.name == "DynamicQuantizeLinear";
  }

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

  static int64_t number(const Attributes& a, const char* name, int64_t otherwise) {
    auto it = a.find(name);
    return it == a.end() ? otherwise : std::get<int64_t>(it->second);
  }

  const Producer* quantizer_of(const Node& node) const {
    if (node.info->spec.name != "DequantizeLinear" || node.inputs.size() < 2) return nullptr;
    const Producer* q = producer(node.inputs[0]);
    ValueId zero_point = node.inputs.size() > 2 ? node.inputs[2] : no_value;
    auto input = [&](size_t i) { return i < q->inputs.size() ? q->inputs[i] : no_value; };
    if (q && q->spec->name == "DynamicQuantizeLinear") {
      return same(node.inputs[1], q->outputs[1]) && same(zero_point, q->outputs[2]) ? q : nullptr;
    }
    if (!q || q->spec->name != "QuantizeLinear") return nullptr;
    Attributes own = attributes_of(node);
    bool alike = number(own, "axis", 1) == number(q->attributes, "axis", 1) &&
                 number(own, "block_size", 0) == number(q->attributes, "block_size", 0);
    return alike && same(node.inputs[1], input(1)) && same(zero_point, input(2)) ? q : nullptr;
  }

  void append_joined(const Node& node, const Producer& q) {
    GraphBuilder b(graph_);
    Attributes own = attributes_of(node);
    DType type = graph_.value(node.outputs[0]).type.dtype;
    Attributes attributes{{"axis", number(own, "axis", 1)},
                          {"block_size", number(own, "block_size", 0)},
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
