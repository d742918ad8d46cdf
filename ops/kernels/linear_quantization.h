// Floats to bytes and back, linearly. Safe to call from many threads.
#pragma once

#include <cstdint>

namespace onnxrun {

// Scale and zero point: one for all elements, or lists with one for each.
struct LinearScale {
  float scale = 1;
  int32_t zero_point = 0;
  bool is_signed = false;  // the bytes
  const float* scales = nullptr;
  const int32_t* zero_points = nullptr;
};

// y = saturate(round(x / scale) + zero point), halves to even; NaN becomes the lowest level.
void quantize_linear(const LinearScale& s, const float* x, int64_t n, uint8_t* y);
// y = (x - zero point) scale
void dequantize_linear(const LinearScale& s, const uint8_t* x, int64_t n, float* y);

// The least and the greatest of n > 0 numbers; both NaN if one is.
struct Extent {
  float low, high;
};
Extent range_of(const float* x, int64_t n);

// DynamicQuantizeLinear of n > 0 numbers, with the scale it gives. Uses the threads of the caller's
// ThreadScope.
LinearScale quantize_dynamically(const float* x, int64_t n, uint8_t* y);

}  // namespace onnxrun
