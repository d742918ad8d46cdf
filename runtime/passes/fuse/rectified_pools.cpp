#include "passes/fuse/rectified_pools.h"

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

class PoolRectifier {
 public:
  explicit PoolRectifier(Graph& graph)
      : graph_(graph), uses_(graph.use_counts()), producers_(graph.producers()) {}

  void run() {
    for (Node& node : graph_.nodes) {
      if (Node* pool = pool_of(node)) join(*pool, node);
    }
    std::erase_if(graph_.nodes, [](const Node& n) { return n.op == nullptr; });
  }

 private:
  // The node of this kind that gives `v`; null if another does.
  Node* producer(ValueId v, std::string_view name) {
    const int n = v == no_value ? -1 : producers_[static_cast<size_t>(v)];
    if (n < 0) return nullptr;
    Node& node = graph_.nodes[static_cast<size_t>(n)];
    return node.op && node.info->spec.name == name ? &node : nullptr;
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

  // The gradient of a pool that `node` alone reads, if node = Where(X <= 0, 0, gradient).
  Node* pool_of(const Node& node) {
    if (!node.op || node.info->spec.name != "Where" || !is_zero(node.inputs[1])) return nullptr;
    const Node* mask = producer(node.inputs[0], "LessOrEqual");
    Node* pool = producer(node.inputs[2], "MaxPoolGrad");
    const bool fits = mask && pool && mask->inputs[0] == pool->inputs[1] &&
                      is_zero(mask->inputs[1]) && uses_[static_cast<size_t>(node.inputs[2])] == 1;
    return fits ? pool : nullptr;
  }

  void join(Node& pool, Node& where) {
    Attributes attributes = attributes_of(pool);
    attributes["rectified"] = int64_t{1};
    set_attributes(pool, attributes);
    Node joined = std::move(pool);
    joined.outputs = std::move(where.outputs);
    pool.op = nullptr;
    where = std::move(joined);
  }

  Graph& graph_;
  std::vector<int> uses_, producers_;
};

}  // namespace

void fuse_rectified_pools(Graph& graph) {
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) fuse_rectified_pools(body);
  }
  PoolRectifier(graph).run();
}

}  // namespace onnxrun
