#include "plan/finite.h"

#include <atomic>
#include <cstring>

#include "base/threads.h"

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

// Elements that are worth a piece of a parallel loop.
constexpr int64_t grain = 1 << 17;

template <typename Bits>
bool all_finite_bits(const Tensor& t, Bits exponent) {
  if (t.size() <= grain) return finite_bits(t.raw(), t.size(), exponent);
  std::atomic<bool> finite = true;
  parallel_for(t.size(), grain, [&](int64_t begin, int64_t end) {
    const std::byte* data = t.raw() + begin * static_cast<int64_t>(sizeof(Bits));
    if (!finite_bits(data, end - begin, exponent)) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}

}  // namespace

bool all_finite(const Tensor& t) {
  switch (t.dtype()) {
    case DType::Float32:
      return all_finite_bits<uint32_t>(t, 0x7f800000u);
    case DType::Float64:
      return all_finite_bits<uint64_t>(t, 0x7ff0000000000000u);
    case DType::Float16:
      return all_finite_bits<uint16_t>(t, 0x7c00u);
    case DType::BFloat16:
      return all_finite_bits<uint16_t>(t, 0x7f80u);
    default:
      return true;
  }
}

}  // namespace onnxrun
