// IR graphs as GraphProtos.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "graph/graph.h"

namespace onnxrun {

// Writes one model; used once.
class GraphWriter {
 public:
  onnx::GraphProto write(const Graph& graph);

  // The oldest opset of ai.onnx that all written nodes are valid in, and which node needs it.
  int opset() const { return opset_; }
  const std::string& needs_opset() const { return needs_opset_; }
  // Other domains that are used, with the version of their newest operator.
  const std::map<std::string, int>& domains() const { return domains_; }
  // Element types that were written, for the IR version.
  DTypeSet dtypes() const { return dtypes_; }

 private:
  // The name of each value of one graph in the file; values captured from outside have outer names.
  using Names = std::unordered_map<ValueId, std::string>;

  std::string fresh(const std::string& wanted);
  void name_values(const Graph& graph, Names& names);
  void write_contents(const Graph& graph, const Names& names, onnx::GraphProto& to);
  void write_node(const Graph& graph, const Node& node, const Names& names, onnx::NodeProto& to);
  void write_body(const Graph& body, const Node& node, const Names& outer, onnx::GraphProto& to);
  void write_value(const Graph& graph, ValueId id, const std::string& name,
                   onnx::ValueInfoProto& to);
  // `copy` = Identity(`name`).
  static void write_identity(const std::string& name, const std::string& copy,
                             onnx::GraphProto& to);
  void note_type(const Type& type);

  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, int> numbers_;  // the last behind each name
  int opset_ = 0;
  std::string needs_opset_;
  std::map<std::string, int> domains_;
  DTypeSet dtypes_;
};

}  // namespace onnxrun
