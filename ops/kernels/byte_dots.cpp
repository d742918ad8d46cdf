#include "kernels/byte_dots.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/byte_dots.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/byte_dots-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// Rows of C held in registers, with two vectors each.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_SCALAR
constexpr int most_rows = 4;
#else
constexpr int most_rows = 8;
#endif

// B from some column on: panels, or planes (multiply_planes()).
struct Panels {
  const int32_t* b;
  int64_t words;

  HWY_INLINE Panels from(int64_t column) const { return {b + column * words, words}; }
  // Vector v of the columns' words p.
  HWY_INLINE Word word(int64_t p, int v) const {
    const auto lanes = static_cast<int64_t>(hn::Lanes(Words()));
    return hn::LoadU(Words(), b + v / 2 * words * 2 * lanes + (2 * p + v % 2) * lanes);
  }
};

struct Planes {
  const int32_t* b;
  const int64_t* at;

  HWY_INLINE Planes from(int64_t column) const { return {b + column, at}; }
  HWY_INLINE Word word(int64_t p, int v) const {
    return hn::LoadU(Words(), b + at[p] + v * static_cast<int64_t>(hn::Lanes(Words())));
  }
};

// R rows of C by P panels. Where loops over sums are not unrolled at first sight, GCC keeps the
// sums in memory.
template <class Dot, int R, int P, class Right>
HWY_INLINE void multiply_tile(const int32_t* a, const Right& b, int64_t words, int32_t* c,
                              int64_t ldc) {
  const Words d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  Word sum[R][2 * P];
  HWY_UNROLL(8)
  for (int i = 0; i < R; ++i) {
    HWY_UNROLL(8)
    for (int v = 0; v < 2 * P; ++v) sum[i][v] = hn::Zero(d);
  }
  for (int64_t p = 0; p < words; ++p, ++a) {
    Word bv[2 * P];
    HWY_UNROLL(8)
    for (int v = 0; v < 2 * P; ++v) bv[v] = b.word(p, v);
    HWY_UNROLL(8)
    for (int i = 0; i < R; ++i) {
      const Word av = hn::Set(d, a[i * words]);
      HWY_UNROLL(8)
      for (int v = 0; v < 2 * P; ++v) sum[i][v] = Dot::add(av, bv[v], sum[i][v]);
    }
  }
  HWY_UNROLL(8)
  for (int i = 0; i < R; ++i) {
    HWY_UNROLL(8)
    for (int v = 0; v < 2 * P; ++v) hn::StoreU(sum[i][v], d, c + i * ldc + v * lanes);
  }
}

// At most most_rows rows by one panel.
template <class Dot, int R = 1, class Right>
HWY_INLINE void multiply_panel(const int32_t* a, int64_t m, const Right& b, int64_t words,
                               int32_t* c, int64_t ldc) {
  if (m == R) {
    multiply_tile<Dot, R, 1>(a, b, words, c, ldc);
  } else if constexpr (R < most_rows) {
    multiply_panel<Dot, R + 1>(a, m, b, words, c, ldc);
  }
}

template <class Dot, class Right>
void multiply_all(const int32_t* a, int64_t m, const Right& b, int64_t panels, int64_t words,
                  int32_t* c, int64_t ldc) {
  const auto width = static_cast<int64_t>(2 * hn::Lanes(Words()));
  const int64_t columns = panels * width;
  int64_t at = 0;
  // Few rows take several panels at a time, to keep as many sums in flight.
  for (; m == 1 && at + 4 * width <= columns; at += 4 * width) {
    multiply_tile<Dot, 1, 4>(a, b.from(at), words, c + at, ldc);
  }
  for (; m <= 2 && at + 2 * width <= columns; at += 2 * width) {
    m == 1 ? multiply_tile<Dot, 1, 2>(a, b.from(at), words, c + at, ldc)
           : multiply_tile<Dot, 2, 2>(a, b.from(at), words, c + at, ldc);
  }
  for (; at < columns; at += width) {
    for (int64_t i = 0; i < m; i += most_rows) {
      multiply_panel<Dot>(a + i * words, std::min<int64_t>(most_rows, m - i), b.from(at), words,
                          c + at + i * ldc, ldc);
    }
  }
}

void multiply(Dots dots, const int32_t* a, int64_t m, const int32_t* b, int64_t panels,
              int64_t words, int32_t* c, int64_t ldc) {
  if (m <= 0) return;
  with_dots(dots, [&]<class Dot>() {
    multiply_all<Dot>(a, m, Panels{b, words}, panels, words, c, ldc);
  });
}

void multiply_by_planes(Dots dots, const int32_t* a, int64_t m, const int32_t* b, const int64_t* at,
                        int64_t panels, int64_t words, int32_t* c, int64_t ldc) {
  if (m <= 0) return;
  with_dots(dots, [&]<class Dot>() {
    multiply_all<Dot>(a, m, Planes{b, at}, panels, words, c, ldc);
  });
}

int64_t panel_width() { return static_cast<int64_t>(2 * hn::Lanes(Words())); }

bool has_quads() { return HWY_TARGET == HWY_AVX3; }

// Two rows as 16-bit numbers.
HWY_INLINE Word pair_of(const uint8_t* first, const uint8_t* second, uint8_t shift) {
  const Words d;
  const hn::Rebind<uint8_t, Words> bytes;
  const auto moved = hn::Set(bytes, shift);
  const auto wide = [&](const uint8_t* x)
                        HWY_ATTR { return hn::PromoteTo(d, hn::Xor(hn::LoadU(bytes, x), moved)); };
  return hn::Or(wide(first), hn::ShiftLeft<16>(wide(second)));
}

#if HWY_TARGET == HWY_AVX3
// Columns [0, columns), 32 at a time, of four rows.
HWY_INLINE void interleave_quads(const uint8_t* const* rows, int64_t columns, uint8_t shift,
                                 int32_t* words) {
  const hn::FixedTag<uint8_t, 32> d;
  const hn::FixedTag<uint16_t, 16> d16;
  const hn::FixedTag<int32_t, 8> d32;
  const auto moved = hn::Set(d, shift);
  for (int64_t j = 0; j < columns; j += 32) {
    const auto row = [&](int i) HWY_ATTR { return hn::Xor(hn::LoadU(d, rows[i] + j), moved); };
    const auto r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
    const auto low01 = hn::BitCast(d16, hn::InterleaveLower(d, r0, r1));
    const auto low23 = hn::BitCast(d16, hn::InterleaveLower(d, r2, r3));
    const auto high01 = hn::BitCast(d16, hn::InterleaveUpper(d, r0, r1));
    const auto high23 = hn::BitCast(d16, hn::InterleaveUpper(d, r2, r3));
    // Columns 0 to 3 and 16 to 19, and so on.
    const auto w0 = hn::BitCast(d32, hn::InterleaveLower(d16, low01, low23));
    const auto w1 = hn::BitCast(d32, hn::InterleaveUpper(d16, low01, low23));
    const auto w2 = hn::BitCast(d32, hn::InterleaveLower(d16, high01, high23));
    const auto w3 = hn::BitCast(d32, hn::InterleaveUpper(d16, high01, high23));
    hn::StoreU(hn::ConcatLowerLower(d32, w1, w0), d32, words + j);
    hn::StoreU(hn::ConcatLowerLower(d32, w3, w2), d32, words + j + 8);
    hn::StoreU(hn::ConcatUpperUpper(d32, w1, w0), d32, words + j + 16);
    hn::StoreU(hn::ConcatUpperUpper(d32, w3, w2), d32, words + j + 24);
  }
}
#endif

// Whole vectors of columns of a pair or four of rows.
template <Dots dots>
HWY_INLINE void interleave(const uint8_t* const* rows, int64_t columns, uint8_t shift,
                           int32_t* words) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (dots == Dots::Quads) return interleave_quads(rows, columns, shift, words);
#endif
  const Words d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t j = 0; j < columns; j += lanes) {
    hn::StoreU(pair_of(rows[0] + j, rows[1] + j, shift), d, words + j);
  }
}

template <class Dot>
void pack_panel(const uint8_t* const* rows, int64_t offset, uint8_t shift, int64_t k,
                int64_t columns, int32_t* panel) {
  constexpr auto terms = static_cast<int64_t>(Dot::dots);
  constexpr size_t most_columns = HWY_MAX_BYTES / 2;
  const int64_t width = panel_width();
  // What is 0 once it is moved: rows that B has not, and what follows the columns of those it has.
  uint8_t zeros[most_columns], copies[terms][most_columns];
  std::fill_n(zeros, most_columns, shift);
  for (auto& copy : copies) std::fill_n(copy, most_columns, shift);
  for (int64_t p = 0; p < k; p += terms, panel += width) {
    const uint8_t* from[terms];
    for (int64_t t = 0; t < terms; ++t) {
      from[t] = p + t < k ? rows[p + t] + offset : zeros;
      if (columns == width || p + t >= k) continue;
      std::copy_n(from[t], columns, copies[t]);
      from[t] = copies[t];
    }
    interleave<Dot::dots>(from, width, shift, panel);
  }
}

void pack_panel_of(Dots dots, const uint8_t* const* rows, int64_t offset, bool is_signed, int64_t k,
                   int64_t columns, int32_t* panel) {
  const uint8_t shift = is_signed ? 0x80 : 0;
  with_dots(dots, [&]<class Dot>() { pack_panel<Dot>(rows, offset, shift, k, columns, panel); });
}

void interleave_planes(Dots dots, const uint8_t* const* rows, int64_t columns, int32_t* words) {
  with_dots(dots, [&]<class Dot>() { interleave<Dot::dots>(rows, columns, 0, words); });
}

// One row of A; its sum.
template <class Dot>
int32_t pack_row(const uint8_t* a, uint8_t shift, int64_t k, int32_t* words) {
  using T = std::conditional_t<Dot::dots == Dots::Quads, int8_t, int16_t>;
  constexpr auto terms = static_cast<int64_t>(Dot::dots);
  auto* to = reinterpret_cast<T*>(words);
  int32_t sum = 0;
  for (int64_t p = 0; p < k; ++p) {
    const auto v = static_cast<int8_t>(a[p] ^ shift);
    to[p] = v;
    sum += v;
  }
  for (int64_t p = k; p % terms != 0; ++p) to[p] = 0;
  return sum;
}

void pack_rows(Dots dots, const Bytes& a, int64_t row_step, int64_t m, int64_t k, int32_t* words,
               int32_t* sums) {
  const uint8_t shift = a.is_signed ? 0 : 0x80;
  with_dots(dots, [&]<class Dot>() {
    for (int64_t i = 0; i < m; ++i) {
      const int32_t sum =
          pack_row<Dot>(a.data + i * row_step, shift, k, words + i * words_of(dots, k));
      if (sums) sums[i] = sum;
    }
  });
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(has_quads);
HWY_EXPORT(panel_width);
HWY_EXPORT(multiply);
HWY_EXPORT(multiply_by_planes);
HWY_EXPORT(interleave_planes);
HWY_EXPORT(pack_panel_of);
HWY_EXPORT(pack_rows);

bool has_dots(Dots dots) {
#if HWY_ARCH_X86
  if (dots == Dots::Quads) {
    return HWY_DYNAMIC_DISPATCH(has_quads)() && __builtin_cpu_supports("avx512vnni");
  }
#endif
  return dots == Dots::Pairs;
}

Dots fastest_dots() { return has_dots(Dots::Quads) ? Dots::Quads : Dots::Pairs; }

int64_t panel_columns() { return HWY_DYNAMIC_DISPATCH(panel_width)(); }

void pack_left(Dots dots, const Bytes& a, int64_t row_step, int64_t m, int64_t k, int32_t* words,
               int32_t* sums) {
  HWY_DYNAMIC_DISPATCH(pack_rows)(dots, a, row_step, m, k, words, sums);
}

void pack_right(Dots dots, const uint8_t* const* rows, int64_t offset, bool is_signed, int64_t k,
                int64_t columns, int32_t* panel) {
  HWY_DYNAMIC_DISPATCH(pack_panel_of)(dots, rows, offset, is_signed, k, columns, panel);
}

void multiply_words(Dots dots, const int32_t* a, int64_t m, const int32_t* b, int64_t panels,
                    int64_t words, int32_t* c, int64_t ldc) {
  HWY_DYNAMIC_DISPATCH(multiply)(dots, a, m, b, panels, words, c, ldc);
}

void interleave_bytes(Dots dots, const uint8_t* const* rows, int64_t columns, int32_t* words) {
  HWY_DYNAMIC_DISPATCH(interleave_planes)(dots, rows, columns, words);
}

void multiply_planes(Dots dots, const int32_t* a, int64_t m, const int32_t* b, const int64_t* at,
                     int64_t panels, int64_t words, int32_t* c, int64_t ldc) {
  HWY_DYNAMIC_DISPATCH(multiply_by_planes)(dots, a, m, b, at, panels, words, c, ldc);
}

void sum_columns(Dots dots, const int32_t* b, int64_t panels, int64_t words, int32_t* sums) {
  // What terms that are not there have in B is 0.
  const int32_t ones = dots == Dots::Quads ? 0x01010101 : 0x00010001;
  const std::vector<int32_t> row(static_cast<size_t>(words), ones);
  multiply_words(dots, row.data(), 1, b, panels, words, sums, 0);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
