#include "passes/fuse/relu_gradients.h"

#include <cmath>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "graph/element_function.h"
#include "graph/node_attributes.h"
#include "graph/relu_gradient.h"

namespace onnxrun {

namespace {

class ReluGradients {
 public:
  explicit ReluGradients(Graph& graph)
      : graph_(graph), uses_(graph.use_counts()), producers_(graph.producers()) {}

  void run() {
    for (Node& node : graph_.nodes) {
      if (Node* gradient = gradient_of(node)) join(*gradient, node);
    }
    std::erase_if(graph_.nodes, [](const Node& n) { return n.op == nullptr; });
  }

 private:
  Node* producer(ValueId v) {
    const int n = v == no_value ? -1 : producers_[static_cast<size_t>(v)];
    return n < 0 ? nullptr : &graph_.nodes[static_cast<size_t>(n)];
  }

  static bool computes(const Node* node, ElementFunction f) {
    const auto* op = node ? dynamic_cast<const Elementwise*>(node->op.get()) : nullptr;
    return op && op->element_function() == f;
  }

  bool is_zero(ValueId v) const {
    const Tensor* t = graph_.constant(v);
    if (!t || !t->dims().empty() || !dtypes::floats.contains(t->dtype())) return false;
    bool zero = false;
    dispatch_float(t->dtype(), [&]<typename T>() {
      const auto number = static_cast<double>(static_cast<ComputeType<T>>(*t->data<T>()));
      zero = number == 0 && !std::signbit(number);
    });
    return zero;
  }

  // What `node` alone reads, if node = Where(x <= 0, 0, that) and that can be one with it.
  Node* gradient_of(const Node& node) {
    if (!computes(&node, ElementFunction::Where) || !is_zero(node.inputs[1])) return nullptr;
    const Node* mask = producer(node.inputs[0]);
    if (!computes(mask, ElementFunction::LessOrEqual) || !is_zero(mask->inputs[1])) return nullptr;
    Node* gradient = producer(node.inputs[2]);
    const auto* form =
        gradient ? dynamic_cast<const TakesReluGradient*>(gradient->op.get()) : nullptr;
    const bool fits = form && gradient->inputs[form->relu_output()] == mask->inputs[0] &&
                      uses_[static_cast<size_t>(node.inputs[2])] == 1;
    return fits ? gradient : nullptr;
  }

  void join(Node& gradient, Node& where) {
    Attributes attributes = attributes_of(gradient);
    attributes["rectified"] = int64_t{1};
    set_attributes(gradient, attributes);
    gradient.outputs = std::move(where.outputs);
    where = std::exchange(gradient, Node());
  }

  Graph& graph_;
  std::vector<int> uses_, producers_;
};

}  // namespace

void fuse_relu_gradients(Graph& graph) {
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) fuse_relu_gradients(body);
  }
  ReluGradients(graph).run();
}

}  // namespace onnxrun
