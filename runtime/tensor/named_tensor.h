// Arrays with names, as data files hold them.
#pragma once

#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace onnxrun {

struct NamedTensor {
  std::string name;  // empty if the file does not name its array
  Tensor tensor;
};

// In the order of the file.
using NamedTensors = std::vector<NamedTensor>;

// Throws BadInput: no array `key`, these are there.
[[noreturn]] void fail_unknown_key(const std::string& key, const std::vector<std::string>& names);

}  // namespace onnxrun
