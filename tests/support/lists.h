// Tensors of one axis.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace onnxrun::testing {

inline Tensor int_list(const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
}
inline Tensor float_list(const std::vector<float>& values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

}  // namespace onnxrun::testing
