// The check before a training step is committed.
#pragma once

#include "tensor/tensor.h"

namespace onnxrun {

// False if a floating-point element is NaN or infinite; true for types that have neither.
bool all_finite(const Tensor& t);

}  // namespace onnxrun
