// Where the pictures of a data set lie.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fit/model_data.h"
#include "onnxrun/fit.h"
#include "sets/augment.h"

namespace onnxrun {

// FitOptions::augment for these data. Throws Usage for an input that is none, BadInput for one
// whose samples are no pictures.
std::vector<Augment> augments_for(const std::map<std::string, Augmentation>& options,
                                  const ModelData& data);

}  // namespace onnxrun
