// The graph: values, nodes, initializers, state.
//
// SSA: a value is produced once. Nodes are kept in topological order. Everything is addressed by
// id; ids of values stay valid for the life of a graph, positions of nodes change when passes
// rewrite.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/registry.h"
#include "graph/type.h"
#include "onnxrun/error.h"

namespace onnxrun {

using ValueId = int32_t;
// An optional input or output that is not there.
inline constexpr ValueId no_value = -1;

struct Value {
  std::string name;
  Type type;
  // The elements of an integer tensor of rank 0 or 1 as far as they are known symbolically: the
  // result of Shape and of arithmetic on it.
  std::optional<std::vector<Dim>> content = {};
  // What the exporter wrote beside the value (ValueInfoProto.metadata_props).
  std::map<std::string, std::string> metadata = {};
};

// What an initializer is for. Parameters train, buffers are state that training may move (running
// statistics), constants are part of the computation.
enum class Role : uint8_t { Constant, Parameter, Buffer };
std::string_view to_string(Role role);

struct Initializer {
  Tensor value;
  Role role = Role::Constant;
  std::string reason = {};  // why it has this role, for people
  int stored = -1;          // which tensor of the model file it is (ModelSource), or -1
  // Other tensors of the file that are copies of this one, and are written with it.
  std::vector<int> copies = {};
};

class Graph;

struct Node {
  const OpInfo* info = nullptr;
  OpPtr op;
  std::string name;
  // Inputs of the operator, then one for each value that the bodies capture from this graph.
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  // Subgraphs, in the order of info->spec.bodies. A body sees nothing of this graph but its own
  // inputs: its formal inputs (as the operator defines them), then one for each captured value;
  // every body of a node takes all captures.
  std::vector<Graph> bodies;
  int captures = 0;

  size_t formal_inputs() const { return inputs.size() - static_cast<size_t>(captures); }
};

// A tensor of the model file, found again by the exporter: the fields and indices that lead to its
// TensorProto from the ModelProto, e.g. {{7,0},{5,3}} for graph.initializer[3]; to its
// SparseTensorProto or, for value_float and the like of Constant, its AttributeProto.
struct StoredTensor {
  std::string name;
  std::vector<std::pair<int, int>> path;
  DType dtype = DType::Undefined;
};

// The file that a graph was imported from, kept so that it can be written back without loss.
struct ModelSource {
  std::string path;   // as given
  std::string bytes;  // the .onnx file without what `cuts` hold
  // Elements that stood before bytes[at] in the file. They are the initializers' own memory, so a
  // model is there once.
  struct Cut {
    size_t at = 0;
    Tensor elements;
  };
  std::vector<Cut> cuts;  // from the front to the back
  // The whole file.
  std::string file_bytes() const;
  std::vector<StoredTensor> stored;
  std::map<std::string, std::string> data_files;  // of external data: location, path read
  std::string producer;                           // "pytorch 2.13.0"
  int64_t ir_version = 0;
  std::map<std::string, int64_t> opsets;
  std::map<std::string, std::string, std::less<>> metadata = {};  // GraphProto's, and onnxrun.*
};

// State that a run moves: `in` is one of Graph::inputs, `out`, of the same type, its value after
// the run. A session keeps it in one buffer.
struct StateBinding {
  ValueId in = no_value;
  ValueId out = no_value;
};

class Graph {
 public:
  explicit Graph(const OpRegistry& registry) : registry_(&registry) {}

  const OpRegistry& registry() const { return *registry_; }

  std::string name;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::vector<Node> nodes;
  std::map<ValueId, Initializer> initializers;
  // Initializers that a caller may feed as inputs (files that list an initializer as an input too).
  std::vector<ValueId> overridable;
  std::vector<StateBinding> state;
  // Values that must be finite before a run may move its state: the loss, what the state becomes.
  std::vector<ValueId> guards;
  std::shared_ptr<const ModelSource> source;

  ValueId add_value(std::string name, Type type = {});
  ValueId add_input(std::string name, Type type);
  ValueId add_initializer(std::string name, Tensor tensor, Role role = Role::Constant);

  const Value& value(ValueId id) const { return values_[static_cast<size_t>(id)]; }
  Value& value(ValueId id) { return values_[static_cast<size_t>(id)]; }
  size_t value_count() const { return values_.size(); }
  const std::string& name_of(ValueId id) const;

  // The first value with this name, or no_value. Linear in the number of values where there is none
  // or one that was renamed.
  ValueId find(std::string_view value_name) const;
  // `base`, or `base` with the first number behind it that no value has.
  std::string unique_name(const std::string& base) const;

  // The initializer's tensor if `id` is one that no run can change; null for all others.
  const Tensor* constant(ValueId id) const;

  // Position of the node that produces each value; -1 for inputs, initializers and unused ids.
  std::vector<int> producers() const;
  // How often each value is read by nodes, as an output or as state.
  std::vector<int> use_counts() const;

 private:
  const OpRegistry* registry_;
  std::vector<Value> values_;
  // Of each name a value was added with: that value, and the last number behind it that was given.
  struct NameUse {
    ValueId first;
    int count = 0;
  };
  mutable std::map<std::string, NameUse, std::less<>> names_;
};

// Sets the types of one node's outputs from those of its inputs, bodies included. Throws BadModel
// or Unsupported naming operator and node: wrong number of inputs, element types outside the
// operator's constraints, and what the operator itself rejects.
// `settling` says that the types of the graph have been inferred once and now only become wider, as
// those of a loop's body do: a loop inside goes on from what it settled on.
void infer_node(Graph& graph, Node& node, bool settling = false);

// Throws as infer_node() does if the number of a node's inputs or their element types are outside
// the operator's spec.
void check_input_types(const Graph& graph, const Node& node);

// infer_node for all nodes in order.
void infer(Graph& graph);

// "MatMul node '/encoder/q'"; a node without a name goes by its first output.
std::string describe(const Graph& graph, const Node& node);
// The node as the place of an error.
ErrorFrame frame_of(const Graph& graph, const Node& node);

// The graph as text, a line a node, bodies indented.
std::string print(const Graph& graph);

// Throws Internal if the graph breaks its own rules: a value read before it is produced or produced
// twice, an id out of range, a body with the wrong number of inputs, a state or guard that is no
// value.
void verify(const Graph& graph);

}  // namespace onnxrun
