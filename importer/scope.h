// Names while a model is read: frames (graphs under construction) and scopes (what a name means).
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "function_table.h"
#include "graph/graph.h"

namespace onnxrun {

// Fields and indices that lead to a message from the ModelProto (StoredTensor::path).
using Path = std::vector<std::pair<int, int>>;
Path operator+(Path path, std::pair<int, int> step);

// A graph under construction. Subgraphs are closed: a value of an enclosing frame comes in as a
// capture.
class Frame {
 public:
  // `outer` is null for the main graph.
  Frame(const OpRegistry& registry, Frame* outer);

  Graph graph;
  const int64_t serial;  // no two frames of a process have the same

  struct Capture {
    ValueId outer = no_value;
    ValueId inner = no_value;
  };
  const std::vector<Capture>& captures() const { return captures_; }

  // The value of this frame that stands for `id` of the frame `from`, this one or an enclosing one.
  ValueId bring(Frame& from, ValueId id);
  // The same for a value of the outer frame.
  ValueId capture(ValueId outer_id);

  // Makes `name` free: a value that has it already is renamed. Names of the file come first.
  void claim(const std::string& name);
  // `name`, or one like it that no value has.
  std::string fresh(const std::string& name);
  // A value that has got its name for good, so that no other name may be given to it.
  void fix(ValueId id) { fixed_.insert(id); }
  bool is_fixed(ValueId id) const { return fixed_.count(id) > 0; }
  void rename(ValueId id, const std::string& name);

  // A value that stands for one the file gets wrong: what follows from it says nothing.
  void doubt(ValueId id) { doubtful_.insert(id); }
  bool is_doubtful(ValueId id) const { return doubtful_.count(id) > 0; }

 private:
  void note_new_values();

  Frame* outer_;
  std::vector<Capture> captures_;
  std::unordered_map<ValueId, ValueId> inner_of_;
  std::unordered_map<std::string, ValueId> holders_;
  size_t noted_ = 0;
  std::unordered_set<ValueId> fixed_;
  std::unordered_set<ValueId> doubtful_;
};

class Scope;

// An attribute of a function call, with the scope in which its subgraphs find their names.
struct BoundAttribute {
  const onnx::AttributeProto* proto = nullptr;
  Path path;
  Scope* scope = nullptr;
};
using BoundAttributes = std::map<std::string, BoundAttribute>;

// One region of names: the main graph, a subgraph or one call of a function.
class Scope {
 public:
  Scope(Frame& in, const Scope* enclosing, const Opsets& imports)
      : frame(in), outer(enclosing), opsets(imports) {}

  Frame& frame;
  const Scope* outer;  // whose names are seen, too; null for the main graph and function calls
  const Opsets& opsets;
  const BoundAttributes* attributes = nullptr;  // of the function around
  std::string prefix;        // of names of an inlined function's nodes and values
  std::string hoist_prefix;  // of names of constants that move to the main graph
  int depth = 0;             // subgraphs and calls around
  // Nodes of the region and its value_info, by name.
  const google::protobuf::RepeatedPtrField<onnx::NodeProto>* nodes = nullptr;
  std::unordered_map<std::string, const onnx::ValueInfoProto*> declared;

  // Gives `name` a meaning. Throws BadModel if it has one in this scope.
  void define(const std::string& name, ValueId id);
  bool defines(const std::string& name) const { return names_.count(name) > 0; }
  // The value that `name` means, captured if need be; no_value for "" and for an omitted input of
  // the function. Throws BadModel, saying whether it is produced later, in a cycle or not at all.
  ValueId lookup(const std::string& name) const;
  // The name that a value called `name` in this region is to have in the frame.
  std::string own_name(const std::string& name) const;

 private:
  [[noreturn]] void fail_lookup(const std::string& name) const;

  std::unordered_map<std::string, ValueId> names_;
};

}  // namespace onnxrun
