// Graphs become ONNX files: a trained model as the file it was, a graph made here as a new one.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "graph/graph.h"

namespace onnxrun {

struct TrainedExportOptions {
  // Allows the output to be the input file. Its data files are then replaced, too, under their
  // names.
  bool in_place = false;
  // What the finished ModelProto, in wire form, goes through before it is written.
  std::function<std::string(std::string)> finish = {};
};

// Writes the file that `imported` was read from with other elements in some of its tensors.
//
// `payloads` is keyed by Initializer::stored; element types and counts must be those of the file.
// All else stays the same byte for byte, unless elements are stored as variable-length integers
// whose length changes. Tensors in external data go to `<out_path>.data` (further files
// `<out_path>.1.data` and so on), a copy of the input's data file with the elements at their old
// offsets; `location` is the one field that is rewritten. Data files are in place before the model
// is. Nothing that the input consists of is touched, unless in_place.
//
// Throws CannotWrite, also if the output would overwrite a file of the input; Usage if `imported`
// does not come from a file or a payload does not fit.
void export_trained(const Graph& imported, const std::map<int, Tensor>& payloads,
                    const std::string& out_path, const TrainedExportOptions& options = {});

struct ExportOptions {
  // The opset of ai.onnx that is stamped; 0: the oldest, from 18 on, in which every node has this
  // form and meaning.
  int opset = 0;
  // With opset 0: no older one than this.
  int at_least = 0;
  std::string producer_name = "onnxrun";
  std::string producer_version = {};
};

// A ModelProto of the graph, in wire form. Subgraphs are open again (they read captured values by
// their outer names); names are unique over all nested graphs, and those of inputs, outputs and
// initializers of the main graph are kept. State is ordinary inputs and outputs.
//
// Throws Unsupported for an operator of domain "onnxrun" (decompose first) and for one whose form
// or types are newer than options.opset.
std::string export_graph(const Graph& graph, const ExportOptions& options = {});

}  // namespace onnxrun
