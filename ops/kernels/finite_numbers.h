// Whether arrays hold NaN or infinity.
#pragma once

#include <cstdint>

namespace onnxrun {

bool are_finite(const float* x, int64_t n);
bool are_finite(const double* x, int64_t n);

}  // namespace onnxrun
