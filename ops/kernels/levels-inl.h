// Numbers rounded to 8 bits; included once for every instruction set.
#if defined(ONNXRUN_LEVELS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ONNXRUN_LEVELS_INL
#undef ONNXRUN_LEVELS_INL
#else
#define ONNXRUN_LEVELS_INL
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

using LevelNumbers = hn::ScalableTag<float>;
using Levels = hn::RebindToSigned<LevelNumbers>;

// saturate(round(y) + zero point), halves to even, of signed or unsigned bytes. NaN is the lowest.
class LevelRounding {
 public:
  explicit LevelRounding(bool is_signed)
      : lowest_(is_signed ? -128 : 0), flip_(is_signed ? 0x80 : 0) {}

  // The distance from the lowest level. `zero` is a vector of zero points.
  HWY_INLINE hn::Vec<Levels> operator()(hn::Vec<LevelNumbers> y, hn::Vec<Levels> zero) const {
    const LevelNumbers d;
    const Levels di;
    const auto low = hn::Sub(hn::Set(di, lowest_), zero);
    const auto low_number = hn::ConvertTo(d, low);
    y = hn::Min(hn::Max(y, low_number), hn::Add(low_number, hn::Set(d, 255.0F)));
    // A float of this size has no digits behind the point, so that adding it rounds.
    const auto large = hn::Set(d, 12582912.0F);
    return hn::Sub(hn::BitCast(di, hn::Add(y, large)), hn::Add(hn::BitCast(di, large), low));
  }

  // Four vectors of distances to consecutive bytes.
  HWY_INLINE void store(hn::Vec<Levels> v0, hn::Vec<Levels> v1, hn::Vec<Levels> v2,
                        hn::Vec<Levels> v3, uint8_t* out) const {
#if HWY_TARGET == HWY_AVX3
    const hn::Repartition<int16_t, Levels> d16;
    const auto low = hn::ReorderDemote2To(d16, v0, v1), high = hn::ReorderDemote2To(d16, v2, v3);
    const hn::Repartition<uint8_t, Levels> d8;
    const hn::Vec<decltype(d8)> mixed{_mm512_packus_epi16(low.raw, high.raw)};
    HWY_ALIGN static constexpr int32_t order[16] = {0, 4, 8,  12, 1, 5, 9,  13,
                                                    2, 6, 10, 14, 3, 7, 11, 15};
    const Levels d;
    const auto sorted = hn::TableLookupLanes(hn::BitCast(d, mixed), hn::SetTableIndices(d, order));
    hn::StoreU(hn::Xor(hn::BitCast(d8, sorted), hn::Set(d8, flip_)), d8, out);
#else
    const auto lanes = hn::Lanes(Levels());
    store(v0, out);
    store(v1, out + lanes);
    store(v2, out + 2 * lanes);
    store(v3, out + 3 * lanes);
#endif
  }
  HWY_INLINE void store(hn::Vec<Levels> v, uint8_t* out) const {
    const hn::Rebind<uint8_t, Levels> bytes;
    hn::StoreU(hn::Xor(hn::DemoteTo(bytes, v), hn::Set(bytes, flip_)), bytes, out);
  }
  // Vectors of distances, one, two or four, whose bytes take turns.
  HWY_INLINE void store_turns(const hn::Vec<Levels> (&v)[1], uint8_t* out) const {
    store(v[0], out);
  }
  template <int count>
  HWY_INLINE void store_turns(const hn::Vec<Levels> (&v)[count], uint8_t* out) const {
    const Levels d;
    auto bytes = hn::Or(v[0], hn::ShiftLeft<8>(v[1]));
    if constexpr (count == 4) {
      const auto others = hn::Or(v[2], hn::ShiftLeft<8>(v[3]));
      bytes = hn::Or(bytes, hn::ShiftLeft<16>(others));
      const auto flips = hn::Set(d, static_cast<int32_t>(0x01010101U * flip_));
      hn::StoreU(hn::BitCast(hn::Repartition<uint8_t, Levels>(), hn::Xor(bytes, flips)),
                 hn::Repartition<uint8_t, Levels>(), out);
    } else {
      const hn::Rebind<uint16_t, Levels> pairs;
      const auto flipped = hn::Xor(bytes, hn::Set(d, 0x0101 * flip_));
      uint16_t last[HWY_MAX_BYTES / sizeof(int32_t)];
      hn::StoreU(hn::DemoteTo(pairs, flipped), pairs, last);
      std::memcpy(out, last, hn::Lanes(pairs) * sizeof(uint16_t));
    }
  }
  HWY_INLINE void store_first(hn::Vec<Levels> v, uint8_t* out, size_t count) const {
    uint8_t last[HWY_MAX_BYTES / sizeof(int32_t)];
    store(v, last);
    std::memcpy(out, last, count);
  }

 private:
  int32_t lowest_;
  uint8_t flip_;
};

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
