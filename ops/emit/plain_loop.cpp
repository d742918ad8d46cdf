#include "emit/plain_loop.h"

#include "graph/builder.h"

namespace onnxrun {

namespace {

using Ints = std::vector<int64_t>;

// One stacked result of a Loop goes out of the body as a row of its elements, and gets its shape
// back behind the Loop.
class PlainLoop {
 public:
  PlainLoop(Graph& graph, Node node) : b_(graph, "plain/"), node_(std::move(node)) {}

  void emit() {
    Graph& graph = b_.graph();
    Graph& body = node_.bodies[0];
    while (node_.formal_inputs() < 2) {
      node_.inputs.insert(node_.inputs.begin() + static_cast<std::ptrdiff_t>(node_.formal_inputs()),
                          no_value);
    }
    size_t carried = node_.formal_inputs() - 2, stacked = node_.outputs.size() - carried;
    std::vector<Row> rows;
    if (node_.inputs[1] == no_value) node_.inputs[1] = b_.constant(Tensor::scalar<bool>(true));
    for (size_t k = 0; k < stacked; ++k) {
      const ValueId wanted = node_.outputs[carried + k], element = body.outputs[1 + carried + k];
      const Type type = body.value(element).type;
      bool is_row = !type.is_tensor() || !type.shape || type.shape->size() == 1;
      if (wanted == no_value || is_row) continue;
      Row row{wanted, type};
      const std::string name = graph.name_of(wanted);
      GraphBuilder inner(body, "plain/");
      body.outputs[1 + carried + k] = inner.reshape(element, inner.ints({-1}));
      row.rows = node_.outputs[carried + k] = graph.add_value(graph.unique_name(name + "::rows"));
      if (!type.is_concrete()) {
        row.shapes = graph.add_value(graph.unique_name(name + "::shapes"));
        body.outputs.push_back(inner.shape_of(element));
        node_.outputs.push_back(row.shapes);
      }
      rows.push_back(std::move(row));
    }
    infer_node(graph, node_);
    graph.nodes.push_back(std::move(node_));
    for (const Row& row : rows) give_shape(row);
  }

 private:
  struct Row {
    ValueId wanted;
    Type element;
    ValueId rows = no_value;
    ValueId shapes = no_value;  // of the elements, if only a run knows them
  };

  // No iteration leaves no shape; its lengths are then 0.
  ValueId lengths_of(const Row& row) {
    if (row.shapes == no_value) return b_.ints(to_dims(*row.element.shape));
    auto rank = static_cast<int64_t>(row.element.shape->size());
    ValueId none = b_.constant(Tensor::of<int64_t>({1, rank}, Ints(static_cast<size_t>(rank), 0)));
    ValueId all = b_.add("Concat", {none, row.shapes}, {{"axis", int64_t{0}}});
    return b_.add("ReduceMax", {all, b_.ints({0})}, {{"keepdims", int64_t{0}}});
  }

  void give_shape(const Row& row) {
    ValueId count = b_.slice(b_.shape_of(row.rows), 0, 0, 1);
    ValueId shape = b_.add("Concat", {count, lengths_of(row)}, {{"axis", int64_t{0}}});
    b_.reshape(row.rows, shape);
    b_.graph().nodes.back().outputs = {row.wanted};
  }

  GraphBuilder b_;
  Node node_;
};

}  // namespace

void emit_plain_loop(Graph& graph, Node node) { PlainLoop(graph, std::move(node)).emit(); }

}  // namespace onnxrun
