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
      Node* product = is_limit(node) ? product_of(node) : nullptr;
      if (product) join(*product, node);
    }
    std::erase_if(graph_.nodes, [](const Node& n) { return n.op == nullptr; });
  }

 private:
  static bool is_limit(const Node& node) {
    const OpSpec& spec = node.info->spec;
    return spec.domain.empty() && (spec.name == "Relu" || spec.name == "Clip");
  }

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
  void join(Node& product, Node& limit) {
    const auto& form = dynamic_cast<const TakesLimits&>(*product.op);
    Node joined;
    joined.info = &graph_.registry().get(form.limited_form());
    std::shared_ptr<Op> op = joined.info->make();
    read_attributes(*op, attributes_of(product));
    joined.op = std::move(op);
    joined.name = std::move(product.name);
    joined.inputs = std::move(product.inputs);
    joined.inputs.resize(form.operands(), no_value);
    if (limit.info->spec.name == "Relu") {
      joined.inputs.push_back(zero(graph_.value(limit.outputs[0]).type.dtype));
    } else {
      joined.inputs.insert(joined.inputs.end(), limit.inputs.begin() + 1, limit.inputs.end());
    }
    joined.outputs = std::move(limit.outputs);
    product.op = nullptr;
    limit = std::move(joined);
  }

  ValueId zero(DType dtype) {
    auto [at, is_new] = zeros_.try_emplace(dtype, no_value);
    if (is_new) at->second = GraphBuilder(graph_).scalar(0, dtype);
    return at->second;
  }

  Graph& graph_;
  std::map<DType, ValueId> zeros_;
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
