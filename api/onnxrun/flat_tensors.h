// Tensors that lie in one buffer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "onnxrun/tensor.h"

namespace onnxrun {

// A handle, as Tensor is: copies share the buffer. Each part begins at a multiple of 64 bytes; the
// elements between parts are 0 at the start and nobody's.
struct FlatTensors {
  struct Part {
    std::string name;
    int64_t offset = 0;  // of its first element in `values`
    Dims dims;
  };

  Tensor values;  // [n]
  std::vector<Part> parts;

  // Part `k` as a tensor over the same elements.
  Tensor part(size_t k) const;

  // Zeros for tensors of these names and shapes.
  static FlatTensors zeros(DType dtype, const std::vector<std::string>& names,
                           const std::vector<Dims>& dims);
};

}  // namespace onnxrun
