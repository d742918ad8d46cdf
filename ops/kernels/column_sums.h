// Sums of columns, vectorised for the processor the program runs on.
#pragma once

#include <cstdint>

namespace onnxrun {

// sums[i] += x[i], in double.
void add_to_sums(const float* x, int64_t n, double* sums);
void add_to_sums(const double* x, int64_t n, double* sums);

}  // namespace onnxrun
