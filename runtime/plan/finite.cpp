#include "plan/finite.h"

#include <cstring>

namespace onnxrun {

namespace {

// An exponent of all ones is NaN or infinity. Bits are or-ed without a branch, so that the loop
// runs in vector registers.
template <typename Bits>
bool finite_bits(const std::byte* data, int64_t n, Bits exponent) {
  Bits bad = 0;
  for (int64_t i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, data + i * static_cast<int64_t>(sizeof bits), sizeof bits);
    bad |= static_cast<Bits>((bits & exponent) == exponent);
  }
  return bad == 0;
}

}  // namespace

bool all_finite(const Tensor& t) {
  switch (t.dtype()) {
    case DType::Float32:
      return finite_bits<uint32_t>(t.raw(), t.size(), 0x7f800000u);
    case DType::Float64:
      return finite_bits<uint64_t>(t.raw(), t.size(), 0x7ff0000000000000u);
    case DType::Float16:
      return finite_bits<uint16_t>(t.raw(), t.size(), 0x7c00u);
    case DType::BFloat16:
      return finite_bits<uint16_t>(t.raw(), t.size(), 0x7f80u);
    default:
      return true;
  }
}

}  // namespace onnxrun
