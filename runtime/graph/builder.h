// Adds nodes to a graph by operator name; types are inferred as nodes are added.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// Everything a new node may have beside its inputs: `bodies` and `captures` as in Node.
struct NodeOptions {
  Attributes attributes = {};
  std::vector<Graph> bodies = {};
  std::vector<ValueId> captures = {};
  // Names of the first outputs; the builder names those that have none or "".
  std::vector<std::string> output_names = {};
  std::string name = {};
};

// Appends to a graph. Keeps a reference: the graph must outlive the builder. Operators go by
// qualified name: "Mul", "onnxrun.SumTo". All shape arguments are ONNX's. Adding a node throws what
// read_attributes() and infer_node() throw; a name that is no operator's is an Internal error.
class GraphBuilder {
 public:
  explicit GraphBuilder(Graph& graph, std::string prefix = {})
      : graph_(graph), prefix_(std::move(prefix)) {}

  Graph& graph() { return graph_; }
  const Type& type(ValueId v) const { return graph_.value(v).type; }
  DType dtype(ValueId v) const { return type(v).dtype; }
  int64_t rank(ValueId v) const { return type(v).rank(); }

  // A node with one output.
  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {});
  // A node with `count` outputs.
  std::vector<ValueId> add_n(std::string_view op, std::vector<ValueId> inputs, size_t count,
                             NodeOptions options = {});

  // An initializer of Role::Constant.
  ValueId constant(Tensor value);
  // A rank-0 constant of type `dtype` (any numeric type or bool).
  ValueId scalar(double value, DType dtype);
  ValueId scalar_like(double value, ValueId like) { return scalar(value, dtype(like)); }
  // A 1-D int64 constant.
  ValueId ints(std::vector<int64_t> values);
  // A rank-0 int64 constant.
  ValueId int_scalar(int64_t value);

  // Short forms of common nodes.
  ValueId shape_of(ValueId v) { return add("Shape", {v}); }
  // `v` itself if it has this type.
  ValueId cast(ValueId v, DType to);
  ValueId reshape(ValueId v, ValueId shape) {
    return add("Reshape", {v, shape}, {{"allowzero", int64_t{1}}});
  }
  ValueId reshape_like(ValueId v, ValueId like) { return reshape(v, shape_of(like)); }
  // Without axes nothing is summed.
  ValueId reduce_sum(ValueId v, std::vector<int64_t> axes, bool keepdims);
  ValueId unsqueeze(ValueId v, std::vector<int64_t> axes);
  ValueId squeeze(ValueId v, std::vector<int64_t> axes);
  ValueId transpose(ValueId v, std::vector<int64_t> perm);
  // Zeros of the type and shape that `v` has in the run, a sequence of such if it is one.
  ValueId zeros_like(ValueId v);
  // Elements [start, end) of one axis.
  ValueId slice(ValueId v, int64_t axis, int64_t start, int64_t end);

 private:
  Graph& graph_;
  std::string prefix_;
};

}  // namespace onnxrun
