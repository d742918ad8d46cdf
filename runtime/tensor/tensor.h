// What is done with tensors inside the library: conversions, packed elements.
#pragma once

#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "onnxrun/tensor.h"

namespace onnxrun {

// How values are converted to the narrowest floats (attributes of Cast).
struct ConvertOptions {
  bool saturate = true;
  PowerRounding rounding = PowerRounding::Up;
};

// The elements converted to another numeric type, packed types unpacked and packed:
// - to a float: rounded to nearest once, infinity if out of range (small_float.h for 8 and 4 bits;
//   integers reach the floats of 16 bits and fewer by way of double);
// - float to integer: truncated. Out of range or NaN is what x86-64 computes: int32 and int64 get
//   their lowest value, 8- to 2-bit and 16-bit types the low bits of the int32, uint32 those of the
//   int64, uint64 2^63 for NaN and below -2^63, and 0 from 2^64 on;
// - integer to integer: the low bits;
// - to bool: value != 0 (NaN is true);
// - complex to complex only.
// Throws Unsupported for strings and between complex and other types.
Tensor convert(const Tensor& from, DType to, const ConvertOptions& options = {});

// convert() into the elements of `to`, which has as many of them and must not overlap `from`.
void convert_into(const Tensor& from, Tensor& to, const ConvertOptions& options = {});

// Integer tensors (any integer type) as int64; throws BadInput for other types.
std::vector<int64_t> to_int64s(const Tensor& t);
// Any numeric or bool tensor as doubles, packed types unpacked.
std::vector<double> to_doubles(const Tensor& t);

// Packed 6-, 4- and 2-bit elements, low bits first (onnx.proto, TensorProto.raw_data); only those
// of six bits reach from one byte into the next. Setting one writes the bytes it lies in.
inline uint8_t packed_bits(const std::byte* data, int64_t index, int bits) {
  int64_t bit = index * bits, at = bit / 8;
  int shift = static_cast<int>(bit % 8);
  auto window = static_cast<unsigned>(data[at]);
  if (shift + bits > 8) window |= static_cast<unsigned>(data[at + 1]) << 8;
  return static_cast<uint8_t>((window >> shift) & ((1u << bits) - 1));
}
inline void set_packed_bits(std::byte* data, int64_t index, int bits, uint8_t value) {
  int64_t bit = index * bits, at = bit / 8;
  int shift = static_cast<int>(bit % 8);
  unsigned mask = ((1u << bits) - 1) << shift, wanted = (unsigned{value} << shift) & mask;
  data[at] = (data[at] & ~static_cast<std::byte>(mask)) | static_cast<std::byte>(wanted);
  if (shift + bits > 8) {
    auto mask_above = static_cast<std::byte>(mask >> 8);
    data[at + 1] = (data[at + 1] & ~mask_above) | static_cast<std::byte>(wanted >> 8);
  }
}

}  // namespace onnxrun
