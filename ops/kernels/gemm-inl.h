// The inner loops of gemm.cpp; included once for every instruction set.
#if defined(ONNXRUN_GEMM_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ONNXRUN_GEMM_INL
#undef ONNXRUN_GEMM_INL
#else
#define ONNXRUN_GEMM_INL
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "kernels/gemm.h"
#include "kernels/simd-inl.h"
#include "kernels/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// C = alpha * A * B + beta * C where rows of B are contiguous: all but where the matrices lie. (In
// another order than GemmArgs: a pair copied as one vector would wait for its two scalar stores.)
template <typename T>
struct Product {
  int64_t a_row, b_row, a_column, ldc, k;
  T alpha, beta;
  const Limits<T>* limits;
};

// Rows of C held in registers: two vectors each, with as many registers as there are.
#if HWY_TARGET == HWY_SCALAR
constexpr int max_rows = 4;
#elif HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3
constexpr int max_rows = 6;
#else
constexpr int max_rows = 8;
#endif

// Columns of a packed panel of B.
template <typename T>
HWY_INLINE int64_t panel_width() {
  return 2 * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
}

template <class D, typename T>
HWY_INLINE hn::Vec<D> scale_and_add(D d, hn::Vec<D> sum, const Product<T>& t, hn::Vec<D> old) {
  return hn::MulAdd(hn::Set(d, t.alpha), sum, hn::Mul(hn::Set(d, t.beta), old));
}

// `sum` goes to the first `count` lanes' elements of c, or to all if not `partial`.
template <bool partial, class D, typename T>
HWY_INLINE void finish(D d, hn::Vec<D> sum, const Product<T>& t, const VectorLimits<D>& limited,
                       T* c, size_t count) {
  hn::Vec<D> result;
  if (t.beta == T(0)) {
    result = hn::Mul(hn::Set(d, t.alpha), sum);
  } else {
    result = scale_and_add(d, sum, t, partial ? load_first(d, c, count) : hn::LoadU(d, c));
  }
  result = limited(result);
  if constexpr (partial) {
    store_first(d, result, c, count);
  } else {
    hn::StoreU(result, d, c);
  }
}

// R rows by V vectors of C; if `partial`, the last vector has only `last` elements. Where loops
// over sums are not unrolled at first sight, GCC keeps the sums in memory.
template <int R, int V, bool partial, typename T>
HWY_INLINE void multiply_tile(const Product<T>& t, const T* a, const T* b, T* c, size_t last) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sum[R][V];
  HWY_UNROLL(8)
  for (int i = 0; i < R; ++i) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) sum[i][v] = hn::Zero(d);
  }
  for (int64_t p = 0; p < t.k; ++p) {
    hn::Vec<decltype(d)> bv[V];
    for (int v = 0; v < V; ++v) {
      bv[v] =
          partial && v == V - 1 ? load_first(d, b + v * lanes, last) : hn::LoadU(d, b + v * lanes);
    }
    HWY_UNROLL(8)
    for (int i = 0; i < R; ++i) {
      auto av = hn::Set(d, a[i * t.a_row]);
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v) sum[i][v] = hn::MulAdd(av, bv[v], sum[i][v]);
    }
    a += t.a_column;
    b += t.b_row;
  }
  const VectorLimits limited(d, t.limits);
  HWY_UNROLL(8)
  for (int i = 0; i < R; ++i) {
    T* row = c + i * t.ldc;
    HWY_UNROLL(8)
    for (int v = 0; v < V - 1; ++v) finish<false>(d, sum[i][v], t, limited, row + v * lanes, 0);
    finish<partial>(d, sum[i][V - 1], t, limited, row + (V - 1) * lanes, last);
  }
}

// R rows by n columns, V vectors at a time and the rest with fewer.
template <int R, int V, typename T>
void multiply_rows(const Product<T>& t, const T* a, const T* b, T* c, int64_t n) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  if (n < lanes) return multiply_tile<R, 1, true>(t, a, b, c, static_cast<size_t>(n));
  for (; n >= V * lanes; n -= V * lanes) {
    multiply_tile<R, V, false>(t, a, b, c, 0);
    b += V * lanes;
    c += V * lanes;
  }
  if (n == 0) return;
  if constexpr (V > 2) {
    multiply_rows<R, V / 2>(t, a, b, c, n);
  } else if (n > lanes) {
    multiply_tile<R, 2, true>(t, a, b, c, static_cast<size_t>(n - lanes));
  } else if (n == lanes) {
    multiply_tile<R, 1, false>(t, a, b, c, 0);
  } else {
    multiply_tile<R, 1, true>(t, a, b, c, static_cast<size_t>(n));
  }
}

// At most max_rows rows.
template <int R = 1, typename T>
HWY_INLINE void multiply_few_rows(const Product<T>& t, const T* a, const T* b, T* c, int64_t rows,
                                  int64_t n) {
  if (rows == R) {
    // Fewer rows need more vectors to keep as many sums in flight.
    multiply_rows<R, R == 1 ? 8 : R == 2 ? 4 : 2>(t, a, b, c, n);
  } else if constexpr (R < max_rows) {
    multiply_few_rows<R + 1>(t, a, b, c, rows, n);
  }
}

// m rows by n columns.
template <typename T>
HWY_INLINE void multiply(const Product<T>& t, const T* a, const T* b, T* c, int64_t m, int64_t n) {
  for (; m >= max_rows; m -= max_rows) {
    multiply_rows<max_rows, 2>(t, a, b, c, n);
    a += max_rows * t.a_row;
    c += max_rows * t.ldc;
  }
  if (m > 0) multiply_few_rows(t, a, b, c, m, n);
}

// R rows by P panels of packed columns, panel_step apart.
template <int R, int P, typename T>
HWY_INLINE void multiply_panels(const Product<T>& t, const T* a, const T* b, int64_t panel_step,
                                T* c) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sum[R][2 * P];
  for (int i = 0; i < R; ++i) {
    for (int v = 0; v < 2 * P; ++v) sum[i][v] = hn::Zero(d);
  }
  for (int64_t p = 0; p < t.k; ++p) {
    for (int v = 0; v < 2 * P; ++v) {
      const auto bv = hn::LoadU(d, b + v / 2 * panel_step + v % 2 * lanes);
      for (int i = 0; i < R; ++i) {
        sum[i][v] = hn::MulAdd(hn::Set(d, a[i * t.a_row]), bv, sum[i][v]);
      }
    }
    a += t.a_column;
    b += t.b_row;
  }
  const VectorLimits limited(d, t.limits);
  for (int i = 0; i < R; ++i) {
    for (int v = 0; v < 2 * P; ++v) {
      finish<false>(d, sum[i][v], t, limited, c + i * t.ldc + v * lanes, 0);
    }
  }
}

// m rows by n columns of panels. Few rows take several panels at a time, to keep as many sums in
// flight.
template <typename T>
HWY_INLINE void multiply_packed(const Product<T>& t, const T* a, const T* b, int64_t panel_step,
                                T* c, int64_t m, int64_t n) {
  const int64_t width = panel_width<T>();
  for (; m == 1 && n >= 4 * width; n -= 4 * width, b += 4 * panel_step, c += 4 * width) {
    multiply_panels<1, 4>(t, a, b, panel_step, c);
  }
  for (; m == 2 && n >= 2 * width; n -= 2 * width, b += 2 * panel_step, c += 2 * width) {
    multiply_panels<2, 2>(t, a, b, panel_step, c);
  }
  for (; n > 0; n -= width, b += panel_step, c += width) {
    multiply(t, a, b, c, m, HWY_MIN(n, width));
  }
}

// R rows of A by at most V vectors of columns of B, which are contiguous and column_step apart.
template <int R, int V, typename T>
HWY_INLINE void multiply_tile_by_columns(const Product<T>& t, const T* a, const T* b,
                                         int64_t column_step, T* c, int64_t n) {
  const hn::ScalableTag<T> d;
  using Vector = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  Vector sum[R][V];
  for (int i = 0; i < R; ++i) {
    for (int v = 0; v < V; ++v) sum[i][v] = hn::Zero(d);
  }
  for_each_column<V>(b, column_step, n, t.k, [&](int64_t p, int v, Vector x) HWY_ATTR {
    const T* column = a + p * t.a_column;
    for (int i = 0; i < R; ++i) {
      sum[i][v] = hn::MulAdd(hn::Set(d, column[i * t.a_row]), x, sum[i][v]);
    }
  });
  const VectorLimits limited(d, t.limits);
  for (int i = 0; i < R; ++i) {
    for (int v = 0; v < V; ++v) {
      int64_t count = n - v * lanes;
      T* out = c + i * t.ldc + v * lanes;
      if (count >= lanes) {
        finish<false>(d, sum[i][v], t, limited, out, 0);
      } else if (count > 0) {
        finish<true>(d, sum[i][v], t, limited, out, static_cast<size_t>(count));
      }
    }
  }
}

// R rows of A by n such columns.
template <int R, typename T>
void multiply_rows_by_columns(const Product<T>& t, const T* a, const T* b, int64_t column_step,
                              T* c, int64_t n) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  if constexpr (R <= 2) {
    for (; n > lanes; n -= 2 * lanes) {
      multiply_tile_by_columns<R, 2>(t, a, b, column_step, c, HWY_MIN(n, 2 * lanes));
      b += 2 * lanes * column_step;
      c += 2 * lanes;
    }
  }
  for (; n > 0; n -= lanes) {
    multiply_tile_by_columns<R, 1>(t, a, b, column_step, c, HWY_MIN(n, lanes));
    b += lanes * column_step;
    c += lanes;
  }
}

// Copies k columns of `rows` contiguous rows of A, in groups of max_rows rows of which each lies as
// a column behind a column; what follows the rows is unspecified.
template <typename T>
void pack_rows(const MatrixView<T>& a, int64_t rows, int64_t k, T* packed) {
  const int64_t whole = rows / max_rows * max_rows;
  for (int64_t p = 0; p < k; ++p) {
    const T* column = a.data + p * a.column_step;
    T* to = packed + p * max_rows;
    for (int64_t i = 0; i < whole; i += max_rows) {
      for (int r = 0; r < max_rows; ++r) to[i * k + r] = column[i + r];
    }
    for (int64_t i = whole; i < rows; ++i) to[whole * k + i - whole] = column[i];
  }
}

// m rows of A, as pack_rows() lays them out, by n columns.
template <typename T>
HWY_INLINE void multiply_packed_rows(Product<T> t, const T* a, const T* b, T* c, int64_t m,
                                     int64_t n) {
  t.a_row = 1;
  t.a_column = max_rows;
  for (int64_t i = 0; i < m; i += max_rows) {
    multiply(t, a + i * t.k, b, c + i * t.ldc, HWY_MIN(m - i, max_rows), n);
  }
}

// At most max_rows rows.
template <int R = 1, typename T>
HWY_INLINE void multiply_by_columns(const Product<T>& t, const T* a, const T* b,
                                    int64_t column_step, T* c, int64_t m, int64_t n) {
  if (m == R) {
    multiply_rows_by_columns<R>(t, a, b, column_step, c, n);
  } else if constexpr (R < max_rows) {
    multiply_by_columns<R + 1>(t, a, b, column_step, c, m, n);
  }
}

// Copies k rows of `columns` <= panel_width columns of B so that rows are panel_width apart; what
// follows the columns is unspecified.
template <typename T>
void pack_panel(const MatrixView<T>& b, int64_t k, int64_t columns, T* packed) {
  const hn::ScalableTag<T> d;
  constexpr int lanes = static_cast<int>(hn::MaxLanes(hn::ScalableTag<T>()));
  if (b.column_step == 1) {
    for (int64_t p = 0; p < k; ++p) {
      const T* row = b.data + p * b.row_step;
      if (columns == 2 * lanes) {
        hn::StoreU(hn::LoadU(d, row), d, packed);
        hn::StoreU(hn::LoadU(d, row + lanes), d, packed + lanes);
      } else {
        for (int64_t j = 0; j < columns; ++j) packed[j] = row[j];
      }
      packed += 2 * lanes;
    }
  } else if (b.row_step == 1) {
    for_each_column<2>(b.data, b.column_step, columns, k,
                       [&](int64_t p, int v, hn::Vec<decltype(d)> x)
                           HWY_ATTR { hn::StoreU(x, d, packed + (2 * p + v) * lanes); });
  } else {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < columns; ++j) {
        packed[2 * p * lanes + j] = b.data[p * b.row_step + j * b.column_step];
      }
    }
  }
}

// Panel after panel of B's columns. Of contiguous rows several panels are copied at a time, so that
// each visit to a row reads more than a line of the cache.
template <typename T>
void pack_panels(const MatrixView<T>& b, int64_t k, int64_t columns, T* packed) {
  constexpr int64_t together = 4;
  const hn::ScalableTag<T> d;
  const int64_t width = panel_width<T>(), lanes = width / 2, group = together * width;
  const int64_t whole = b.column_step == 1 ? columns / group * group : 0;
  for (int64_t first = 0; first < whole; first += group) {
    for (int64_t p = 0; p < k; ++p) {
      const T* row = b.data + p * b.row_step + first;
      T* to = packed + first * k + p * width;
      for (int64_t j = 0; j < group; j += width) {
        hn::StoreU(hn::LoadU(d, row + j), d, to + j * k);
        hn::StoreU(hn::LoadU(d, row + j + lanes), d, to + j * k + lanes);
      }
    }
  }
  for (int64_t j = whole; j < columns; j += width) {
    pack_panel({b.data + j * b.column_step, b.row_step, b.column_step}, k,
               HWY_MIN(width, columns - j), packed + j * k);
  }
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
