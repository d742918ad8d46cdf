// The main graph of a model file as the file has it, with the metadata that exporters write.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace onnxrun {

struct FileNode {
  int index = 0;  // in GraphProto.node
  std::string name, op_type, domain;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, std::string, std::less<>> metadata;
  std::string_view message;

  // NodeProto with another list of inputs.
  std::string with_inputs(const std::vector<std::string>& new_inputs) const;
};

// A ValueInfoProto of the graph: field `field` (inputs, outputs, inner values), number `which` of
// it.
struct FileDeclaration {
  int field = 0, which = 0;
  std::string name;
  std::string_view message;
};

// Views of the model's bytes, which must outlive it.
struct FileGraph {
  // Throws BadModel if the bytes are no message.
  explicit FileGraph(std::string_view model);

  std::vector<FileNode> nodes;
  std::vector<std::string> initializers, inputs, outputs;  // names, in the file's order
  std::vector<FileDeclaration> declarations;
  std::set<std::string> body_reads;  // what nodes inside of subgraphs read, by any graph
  std::set<std::string> names;       // of all values
};

}  // namespace onnxrun
