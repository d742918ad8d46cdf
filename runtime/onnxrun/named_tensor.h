// Arrays with names, as data files hold them.
#pragma once

#include <string>
#include <vector>

#include "onnxrun/tensor.h"

namespace onnxrun {

struct NamedTensor {
  std::string name;  // empty if the file does not name its array
  Tensor tensor;
};

// In the order of the file.
using NamedTensors = std::vector<NamedTensor>;

}  // namespace onnxrun
