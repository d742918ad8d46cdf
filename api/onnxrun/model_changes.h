// Changes to a model before it trains.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "onnxrun/model.h"
#include "onnxrun/unshare.h"

namespace onnxrun {

struct UnsharedModel {
  Model model;
  std::vector<UnsharedTensor> added;
};

// The model with the tensors apart that `mode` tells apart (Unshare); the model itself if there are
// none. What was added is stored in the file that save() writes, and said in its metadata
// ("onnxrun.unshared"). A trainer does this by itself (TrainerOptions::unshare). Tensors outside
// the .onnx file are read again. Throws as Model::load() does.
UnsharedModel unshare(const Model& model, Unshare mode = Unshare::Auto);

struct NewClasses {
  Model model;
  std::string output;                // the one whose classes are new
  std::vector<std::string> tensors;  // of the fresh layer: weight, and bias if it has one
  int64_t classes_before = 0;
};

// The model with another number of classes: weight and bias of the last Gemm or MatMul before
// `output` (the first one if empty) are fresh, uniform within 1 / sqrt(inputs) as torch.nn.Linear
// starts, by the seed. Everything before that layer stays as it is in the file, byte for byte; the
// file's metadata say what is new ("onnxrun.new_classes"). Where only these tensors train
// (TrainerOptions::trainable), a step computes nothing backward but their gradients.
//
// Throws Usage for an output that is not there, for less than one class, and where more than a bias
// and functions of each element or along the classes stands between such a layer, whose weight is
// stored, and the output.
NewClasses with_new_classes(const Model& model, int64_t classes, const std::string& output = {},
                            uint64_t seed = 0);

}  // namespace onnxrun
