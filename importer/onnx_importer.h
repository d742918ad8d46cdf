// ONNX files become graphs of today's opset.
//
// Any ModelProto of IR version 3 to 14 is read: all attribute kinds, subgraphs, model-local
// functions (inlined), sparse and external tensors. Older operators are raised to current_opset by
// their own upgrade functions. Files are untrusted: sizes are checked before anything is allocated,
// external data is confined to a folder, nesting and inlining are bounded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "graph/graph.h"

namespace onnxrun {

// Where tensors with data_location EXTERNAL may live.
enum class ExternalData : uint8_t {
  Deny,      // nowhere: such a model is an error
  ModelDir,  // in the model's folder or below it, not behind a symbolic link
  Dir,       // the same, and behind links that lead into `external_dir` (model caches have those)
};

struct ImportOptions {
  ExternalData external_data = ExternalData::ModelDir;
  std::string external_dir = {};  // for ExternalData::Dir
  int64_t max_memory = 0;         // bytes of all tensors; 0: what the machine has
  std::string path = {};          // ModelSource::path of a model from memory
  int max_depth = 100;            // nested subgraphs and function calls
  int64_t max_nodes = 1'000'000;  // after inlining, subgraphs included
};

// Reads the file at `path`. Graph::source keeps its bytes; Initializer::stored says which tensor of
// the file an initializer is.
//
// Node, value and initializer names are those of the file. What is new:
// - Constant nodes are initializers, named by their output.
// - Subgraphs are closed: names of outer scopes are captures of their node (Node::captures).
// - Functions are inlined; names of their nodes and values follow the calling node's name and '/'.
// - Floating-point initializers and Constants of subgraphs and functions are initializers of the
//   main graph, '<node or function>/<name>', one for all calls; others stay where they are.
// - All initializers have Role::Constant; a pass says which are parameters.
//
// Throws BadModel for a file that cannot be read, is no model or breaks the standard; Unsupported
// for operators, opsets, attributes and types that this build does not have; Limit. Texts name the
// node or the tensor; the caller knows the file. The registry must outlive the graph.
Graph import_model(const std::string& path, const OpRegistry& registry,
                   const ImportOptions& options = {});

// The same from memory. External data is looked for in `directory`; none is allowed if it is empty.
Graph import_model_bytes(std::string bytes, const std::string& directory,
                         const OpRegistry& registry, const ImportOptions& options = {});

}  // namespace onnxrun
