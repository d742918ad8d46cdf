// Where files keep arrays.
#pragma once

#include <bit>
#include <cstdint>

#include "tensor/tensor.h"

namespace onnxrun {

struct ArrayPlace {
  DType dtype = DType::Undefined;
  Dims dims;
  int64_t offset = 0;  // in bytes
  std::endian order = std::endian::native;
};

// Elements as they lay in a file, in place: in the machine's byte order, and bools 0 or 1.
void as_native(Tensor& t, std::endian order);

}  // namespace onnxrun
