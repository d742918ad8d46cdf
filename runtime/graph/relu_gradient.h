// What lets a gradient take in that of the Relu before its operator.
#pragma once

#include <cstddef>

namespace onnxrun {

// What an operator is too, if the boolean attribute `rectified` makes its result
// Where(x <= 0, 0, result), x being input `relu_output()`, which is as large.
class TakesReluGradient {
 public:
  virtual size_t relu_output() const = 0;

 protected:
  ~TakesReluGradient() = default;
};

}  // namespace onnxrun
