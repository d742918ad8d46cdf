// What becomes of the sums of a product of bytes (byte_dots.h): zero points are taken into account,
// and the sums become quantized numbers again. Exact, or rounded as the operators' decompositions
// are.
#pragma once

#include <cstdint>

namespace onnxrun {

// sums[j] + add + column_factor * columns[j] + other_factor * others[j] + addends[j], wrapping
// around; null lists are left out. `out` may be `sums`.
struct SumCorrection {
  int32_t add = 0;
  int32_t column_factor = 0;
  const int32_t* columns = nullptr;
  int32_t other_factor = 0;
  const int32_t* others = nullptr;
  const int32_t* addends = nullptr;
};
void correct_sums(const SumCorrection& c, const int32_t* sums, int64_t n, int32_t* out);

// saturate(round(x * factor) + zero point) of the corrected sums x. Halves go to the even
// neighbour.
struct Requantization {
  float factor = 1;
  const float* factors = nullptr;  // one a column, instead
  int32_t bias = 0;                // added to x, saturating
  int32_t zero_point = 0;
  bool is_signed = false;
};
void requantize(const Requantization& r, const SumCorrection& c, const int32_t* sums, int64_t n,
                uint8_t* out);

// The corrected sums times a factor, and plus a bias where there are any.
struct Scaling {
  float factor = 1;
  const float* factors = nullptr;  // one a column, instead
  const float* biases = nullptr;   // one a column
};
void scale_sums(const Scaling& s, const SumCorrection& c, const int32_t* sums, int64_t n,
                float* out);

}  // namespace onnxrun
