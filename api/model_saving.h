// Models written with more than other weights.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "onnxrun/model.h"

namespace onnxrun {

// Model::save(), the bytes of the ModelProto going through `finish`, if there is one, last.
void save_model(const Model& model, const std::string& path,
                const std::map<std::string, Tensor>& weights, bool in_place,
                std::function<std::string(std::string)> finish = {});

}  // namespace onnxrun
