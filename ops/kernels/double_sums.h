// Sums in double of rows of numbers.
#pragma once

#include <cstdint>

namespace onnxrun {

// sums[r] = the sum of rows[r][0], ..., rows[r][n - 1], with the bits of reduce_row()
// (reduction.h).
void sums_in_double(const float* const* rows, int64_t count, int64_t n, double* sums);
void sums_in_double(const double* const* rows, int64_t count, int64_t n, double* sums);

}  // namespace onnxrun
