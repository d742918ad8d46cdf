// Changes to a model before it trains.
#pragma once

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

}  // namespace onnxrun
