#include "passes/fuse/limits.h"

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "graph/builder.h"
#include "graph/limited_product.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

class Limiter {
 public:
  explicit Limiter(Graph& graph)
      : graph_(graph), uses_(graph.use_counts()), producers_(graph.producers()) {}

  void run() {
    for (Node& node : graph_.nodes) {
      const auto* limits = dynamic_cast<const LimitsInput*>(node.op.get());
      Node* product = limits ? product_of(node) : nullptr;
      if (product) join(*product, node, limits->bounds(node.inputs));
    }
    std::erase_if(graph_.nodes, [](const Node& n) { return n.op == nullptr; });
  }

 private:
  // The product that `node` alone reads; null if there is none.
  Node* product_of(const Node& node) {
    const ValueId v = node.inputs[0];
    const int n = v == no_value ? -1 : producers_[static_cast<size_t>(v)];
    if (n < 0 || uses_[static_cast<size_t>(v)] != 1) return nullptr;
    Node& product = graph_.nodes[static_cast<size_t>(n)];
    const bool fits = dynamic_cast<const TakesLimits*>(product.op.get()) &&
                      !dynamic_cast<const LimitedProduct*>(product.op.get()) &&
                      dtypes::floats.contains(graph_.value(v).type.dtype);
    return fits ? &product : nullptr;
  }

  // Where the limit stood, whose bounds may be computed after the product was.
  void join(Node& product, Node& limit, const Bounds& bounds) {
    const auto& form = dynamic_cast<const TakesLimits&>(*product.op);
    Node joined;
    joined.info = &graph_.registry().get(form.limited_form());
    std::shared_ptr<Op> op = joined.info->make();
    read_attributes(*op, attributes_of(product));
    joined.op = std::move(op);
    joined.name = std::move(product.name);
    joined.inputs = std::move(product.inputs);
    joined.inputs.resize(form.operands(), no_value);
    const DType dtype = graph_.value(limit.outputs[0]).type.dtype;
    joined.inputs.push_back(value_of(bounds.low, dtype));
    joined.inputs.push_back(value_of(bounds.high, dtype));
    if (joined.inputs.back() == no_value) joined.inputs.pop_back();
    joined.outputs = std::move(limit.outputs);
    product.op = nullptr;
    limit = std::move(joined);
  }

  ValueId value_of(const Bound& bound, DType dtype) {
    if (!bound.number) return bound.value;
    auto [at, is_new] = numbers_.try_emplace({dtype, *bound.number}, no_value);
    if (is_new) at->second = GraphBuilder(graph_).scalar(*bound.number, dtype);
    return at->second;
  }

  Graph& graph_;
  std::map<std::pair<DType, double>, ValueId> numbers_;
  std::vector<int> uses_, producers_;
};

}  // namespace

void fuse_limits(Graph& graph) {
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) fuse_limits(body);
  }
  Limiter(graph).run();
}

}  // namespace onnxrun
