// The last layer of a model file becomes one of another number of classes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

struct NewClassesFile {
  std::string bytes;                 // the model
  std::string output;                // the one whose classes are new
  std::vector<std::string> tensors;  // of the new layer: its weight, then its bias if it has one
  int64_t classes_before = 0;
};

// Replaces the weight and bias of the last Gemm or MatMul before `output` (the first one if empty)
// by fresh ones of `classes` columns, uniform within 1 / sqrt(inputs) as torch.nn.Linear starts, by
// the seed. All before it keeps its bytes; what is declared of the values behind it has the new
// length, and the model's metadata say so ("onnxrun.new_classes"). A tensor that others read, too,
// stays, and the layer gets one of another name.
//
// Throws Usage for an output that is not there, for fewer than one class, and where no product with
// a stored weight stands before the output, but for functions of each element or along an axis.
NewClassesFile replace_classes(const Graph& imported, const std::string& output, int64_t classes,
                               uint64_t seed);

}  // namespace onnxrun
