// What readers of named arrays say alike.
#pragma once

#include <string>
#include <vector>

#include "onnxrun/named_tensor.h"
#include "tensor/tensor.h"

namespace onnxrun {

// Throws BadInput: no array `key`, these are there.
[[noreturn]] void fail_unknown_key(const std::string& key, const std::vector<std::string>& names);

}  // namespace onnxrun
