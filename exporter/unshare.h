// Tensors of a model file that stand for several of the net become several.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "onnxrun/unshare.h"

namespace onnxrun {

struct UnsharedFile {
  std::string bytes;  // the model; empty if nothing was to split
  std::vector<UnsharedTensor> added;
};

// Splits stored floating-point tensors as `mode` says. New ones stand in the file itself, under the
// names of the net where the file has them; all else keeps its bytes but for the inputs of the
// nodes concerned and the Identity nodes that stood for a tensor. The model's metadata list what
// was added
// ("onnxrun.unshared"). A file in which nothing is left to split stays as it is.
UnsharedFile unshare_tensors(const Graph& imported, Unshare mode);

}  // namespace onnxrun
