#include "passes/fuse/transpositions.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "graph/matrix_product.h"

namespace onnxrun {

namespace {

const MatrixProduct* product(const Node& node) {
  return dynamic_cast<const MatrixProduct*>(node.op.get());
}

class Turner {
 public:
  explicit Turner(Graph& graph)
      : graph_(graph), uses_(graph.use_counts()), producers_(graph.producers()) {}

  void run() {
    for (Node& node : graph_.nodes) {
      if (swaps_matrix_axes(node)) turn_result(node);
    }
    const std::vector<int> reads = reads_by_products();
    for (Node& node : graph_.nodes) {
      if (node.op && product(node)) turn_operands(node, reads);
    }
    std::erase_if(graph_.nodes, [](const Node& n) { return n.op == nullptr; });
  }

 private:
  int64_t rank(ValueId v) const { return graph_.value(v).type.rank(); }

  // The last two axes, and no others.
  bool swaps_matrix_axes(const Node& node) const {
    const auto* op = dynamic_cast<const OrdersAxes*>(node.op.get());
    if (!op || node.inputs[0] == no_value || rank(node.inputs[0]) < 2) return false;
    std::vector<int64_t> order = op->axis_order(static_cast<size_t>(rank(node.inputs[0])));
    std::swap(order[order.size() - 1], order[order.size() - 2]);
    return std::is_sorted(order.begin(), order.end());
  }

  static bool adds_something(const Node& node) {
    return std::any_of(node.inputs.begin() + 2, node.inputs.end(),
                       [](ValueId v) { return v != no_value; });
  }

  bool has_matrices(const Node& node) const {
    return rank(node.inputs[0]) >= 2 && rank(node.inputs[1]) >= 2;
  }

  void set_form(Node& node, Transposed operands) const {
    const ProductForm form = product(node)->form(operands);
    if (!form.op.empty()) node.info = &graph_.registry().get(form.op);
    std::shared_ptr<Op> op = node.info->make();
    read_attributes(*op, form.attributes);
    node.op = std::move(op);
  }

  // (A B)' = B' A'
  void turn_result(Node& turn) {
    const ValueId v = turn.inputs[0];
    const int n = producers_[static_cast<size_t>(v)];
    if (n < 0 || uses_[static_cast<size_t>(v)] != 1) return;
    Node& node = graph_.nodes[static_cast<size_t>(n)];
    if (!node.op || !product(node) || adds_something(node) || !has_matrices(node)) return;
    const Transposed before = product(node)->transposed();
    set_form(node, {!before.right, !before.left});
    std::swap(node.inputs[0], node.inputs[1]);
    node.outputs = std::move(turn.outputs);
    turn.op = nullptr;
  }

  // How often each value is an operand of a product that can read it transposed.
  std::vector<int> reads_by_products() const {
    std::vector<int> reads(graph_.value_count(), 0);
    for (const Node& node : graph_.nodes) {
      if (!node.op || !product(node) || !has_matrices(node)) continue;
      for (size_t i : {0, 1}) ++reads[static_cast<size_t>(node.inputs[i])];
    }
    return reads;
  }

  // What `v` is the transposition of, for products alone.
  ValueId source_of(ValueId v, const std::vector<int>& reads) const {
    const int n = producers_[static_cast<size_t>(v)];
    if (n < 0 || reads[static_cast<size_t>(v)] != uses_[static_cast<size_t>(v)]) return no_value;
    const Node& node = graph_.nodes[static_cast<size_t>(n)];
    return node.op && swaps_matrix_axes(node) ? node.inputs[0] : no_value;
  }

  void turn_operands(Node& node, const std::vector<int>& reads) const {
    const ValueId left = source_of(node.inputs[0], reads);
    const ValueId right = source_of(node.inputs[1], reads);
    if (left == no_value && right == no_value) return;
    const Transposed before = product(node)->transposed();
    set_form(node, {before.left != (left != no_value), before.right != (right != no_value)});
    if (left != no_value) node.inputs[0] = left;
    if (right != no_value) node.inputs[1] = right;
  }

  Graph& graph_;
  std::vector<int> uses_, producers_;
};

}  // namespace

void fuse_transpositions(Graph& graph) {
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) fuse_transpositions(body);
  }
  Turner(graph).run();
}

}  // namespace onnxrun
