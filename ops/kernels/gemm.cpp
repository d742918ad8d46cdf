#include "kernels/gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <iterator>

#include "base/threads.h"
#include "kernels/gemm-inl.h"
#include "kernels/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

// Terms summed before the sum is added to C: part of the contract in gemm.h.
constexpr int64_t block_terms = 256;
// Columns of B that are packed at a time.
constexpr int64_t block_columns = 1024;
// A piece of work for one thread, and the work (in multiplications) below which threads do not pay.
constexpr int64_t piece_rows = 64, piece_columns = 256;
constexpr int64_t parallel_work = int64_t{1} << 20, piece_work = int64_t{1} << 19;
// op(B) is read where it lies if it is this small (in bytes beside a transposed A, with which it
// shares the cache), or if so few rows of A would share a packed copy.
constexpr int64_t direct_elements = 16384, direct_bytes = 65536, direct_rows = 16;
// Of rows of B that lie a multiple of this apart, caches hold too few to read them twice.
constexpr int64_t clashing_bytes = 16384;

// Calls f(begin, end) on pieces of [0, n), in parallel if all of it is much work.
template <typename F>
void split(int64_t n, int64_t grain, int64_t work, const F& f) {
  if (work < parallel_work) {
    f(0, n);
  } else {
    parallel_for(n, grain, f);
  }
}

// One block of terms of the product.
template <typename T>
HWY_INLINE Product<T> block_at(const GemmArgs<T>& g, int64_t term) {
  return {.a_row = g.a.row_step,
          .b_row = g.b.row_step,
          .a_column = g.a.column_step,
          .ldc = g.ldc,
          .k = std::min(block_terms, g.k - term),
          .alpha = g.alpha,
          .beta = term == 0 ? g.beta : T(1),
          .limits = term + block_terms < g.k ? nullptr : g.limits};
}

template <typename T>
HWY_INLINE const T* element(const MatrixView<T>& x, int64_t row, int64_t column) {
  return x.data + row * x.row_step + column * x.column_step;
}

// Calls f(term) for the first term of each block; once if there are no terms at all.
template <typename F>
HWY_INLINE void for_each_block(int64_t k, const F& f) {
  int64_t term = 0;
  do {
    f(term);
    term += block_terms;
  } while (term < k);
}

// `rows` by `columns` of C from (row, column) on.
template <typename T>
void multiply_direct(const GemmArgs<T>& g, int64_t row, int64_t rows, int64_t column,
                     int64_t columns) {
  for_each_block(g.k, [&](int64_t term) HWY_ATTR {
    multiply(block_at(g, term), element(g.a, row, term), element(g.b, term, column),
             g.c + row * g.ldc + column, rows, columns);
  });
}

template <typename T>
void gemm_direct(const GemmArgs<T>& g) {
  if (g.m * g.n * g.k < parallel_work) {
    multiply_direct(g, 0, g.m, 0, g.n);
  } else if (g.m > direct_rows) {
    parallel_for(g.m, piece_rows, [&](int64_t begin, int64_t end) {
      multiply_direct(g, begin, end - begin, 0, g.n);
    });
  } else {
    parallel_for(g.n, piece_columns, [&](int64_t begin, int64_t end) {
      multiply_direct(g, 0, g.m, begin, end - begin);
    });
  }
}

// A few rows of A and a transposed B.
template <typename T>
void gemm_by_columns(const GemmArgs<T>& g) {
  split(g.n, piece_columns, g.m * g.n * g.k, [&](int64_t begin, int64_t end) HWY_ATTR {
    for_each_block(g.k, [&](int64_t term) HWY_ATTR {
      multiply_by_columns(block_at(g, term), element(g.a, 0, term), element(g.b, term, begin),
                          g.b.column_step, g.c + begin, g.m, end - begin);
    });
  });
}

// Whether the terms of a row lie so far apart that few of them stay in the first-level cache.
template <typename T>
bool is_scattered(const MatrixView<T>& a) {
  constexpr int64_t far_bytes = 2048;
  return a.row_step == 1 && a.column_step * static_cast<int64_t>(sizeof(T)) >= far_bytes;
}

template <typename T>
size_t packed_rows_size(int64_t k) {
  return static_cast<size_t>((piece_rows + max_rows - 1) / max_rows * max_rows * k) * sizeof(T);
}

template <typename T>
void multiply_block(const GemmArgs<T>& g, int64_t column, int64_t columns, int64_t term,
                    T* packed) {
  const int64_t width = panel_width<T>();
  Product<T> block = block_at(g, term);
  block.b_row = width;
  int64_t panels = (columns + width - 1) / width;
  int64_t work = g.m * columns * block.k;
  split(panels, piece_columns / width, work, [&](int64_t begin, int64_t end) {
    const MatrixView<T> b = {element(g.b, term, column + begin * width), g.b.row_step,
                             g.b.column_step};
    pack_panels(b, block.k, std::min(end * width, columns) - begin * width,
                packed + begin * width * block.k);
  });
  int64_t row_pieces = (g.m + piece_rows - 1) / piece_rows;
  int64_t panels_a_piece = piece_columns / width;
  int64_t column_pieces = (panels + panels_a_piece - 1) / panels_a_piece;
  split(row_pieces * column_pieces, 1, work, [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t piece = begin; piece < end; ++piece) {
      int64_t row = piece / column_pieces * piece_rows;
      int64_t first = piece % column_pieces * panels_a_piece;
      const int64_t last = std::min(panels, first + panels_a_piece);
      const MatrixView<T> a = {element(g.a, row, term), g.a.row_step, g.a.column_step};
      const int64_t rows = std::min(piece_rows, g.m - row);
      const bool packs_rows = last - first > 1 && is_scattered(a);
      Scratch scratch(packs_rows ? packed_rows_size<T>(block.k) : 0);
      if (packs_rows) pack_rows(a, rows, block.k, scratch.as<T>());
      for (int64_t p = first; p < last; ++p) {
        const T* panel = packed + p * width * block.k;
        T* c = g.c + row * g.ldc + column + p * width;
        const int64_t n = std::min(width, columns - p * width);
        if (packs_rows) {
          multiply_packed_rows(block, scratch.as<T>(), panel, c, rows, n);
        } else {
          multiply(block, a.data, panel, c, rows, n);
        }
      }
    }
  });
}

template <typename T>
void gemm_packing(const GemmArgs<T>& g) {
  const int64_t width = panel_width<T>();
  int64_t columns = std::min(block_columns, (g.n + width - 1) / width * width);
  Scratch scratch(static_cast<size_t>(columns * std::min(block_terms, g.k)) * sizeof(T));
  for (int64_t column = 0; column < g.n; column += block_columns) {
    for_each_block(g.k, [&](int64_t term) {
      multiply_block(g, column, std::min(block_columns, g.n - column), term, scratch.as<T>());
    });
  }
}

template <typename T>
bool has_no_elements(const GemmArgs<T>& g) {
  return g.m <= 0 || g.n <= 0;
}
template <typename T>
void gemm_nothing(const GemmArgs<T>&) {}

template <typename T>
bool is_one_tile(const GemmArgs<T>& g) {
  return g.b.column_step == 1 && g.m <= max_rows && g.n <= panel_width<T>() && g.k <= block_terms;
}
template <typename T>
void gemm_one_tile(const GemmArgs<T>& g) {
  multiply_few_rows(block_at(g, 0), g.a.data, g.b.data, g.c, g.m, g.n);
}

template <typename T>
bool is_one_column(const GemmArgs<T>& g) {
  return g.n == 1 && g.ldc == 1 && g.m > 1;
}
template <typename T, size_t i = 0>
void gemm_any(const GemmArgs<T>& g);
// The transposed product, whose result is one row.
template <typename T>
void gemm_as_row(const GemmArgs<T>& g) {
  gemm_any(GemmArgs<T>{1,
                       g.m,
                       g.k,
                       g.alpha,
                       {g.b.data, g.b.column_step, g.b.row_step},
                       {g.a.data, g.a.column_step, g.a.row_step},
                       g.beta,
                       g.c,
                       g.m,
                       g.limits});
}

template <typename T>
bool has_rows_of_b(const GemmArgs<T>& g) {
  return g.b.column_step == 1 || g.n == 1 || g.k == 0;
}
template <typename T>
bool reads_b_in_place(const GemmArgs<T>& g) {
  constexpr auto bytes = static_cast<int64_t>(sizeof(T));
  const int64_t few_rows = g.b.row_step * bytes % clashing_bytes == 0 ? max_rows : direct_rows;
  const int64_t few_elements = g.a.column_step == 1 ? direct_elements : direct_bytes / bytes;
  return has_rows_of_b(g) && (g.m <= few_rows || g.n * g.k <= few_elements);
}
template <typename T>
bool reads_columns_in_place(const GemmArgs<T>& g) {
  return !has_rows_of_b(g) && g.m <= max_rows && g.b.row_step == 1;
}

template <typename T>
inline constexpr GemmKernel<T> kernels[] = {
    {"nothing", has_no_elements<T>, gemm_nothing<T>},
    {"one tile", is_one_tile<T>, gemm_one_tile<T>},
    {"as one row", is_one_column<T>, gemm_as_row<T>},
    {"B where it lies", reads_b_in_place<T>, gemm_direct<T>},
    {"columns of B where they lie", reads_columns_in_place<T>, gemm_by_columns<T>},
    {"B packed every run", always<GemmArgs<T>>, gemm_packing<T>},
};

// The first kernel from i on that applies, without calls by pointers.
template <typename T, size_t i>
void gemm_any(const GemmArgs<T>& g) {
  constexpr const GemmKernel<T>& kernel = kernels<T>[i];
  if constexpr (i + 1 < std::size(kernels<T>)) {
    if (!kernel.applies(g)) return gemm_any<T, i + 1>(g);
  }
  kernel.run(g);
}

template <typename T>
int64_t panels_of(int64_t n) {
  return (n + panel_width<T>() - 1) / panel_width<T>();
}

// Blocks of terms one behind the other, each as panels.
template <typename T>
void pack_all(const MatrixView<T>& b, int64_t k, int64_t n, T* packed) {
  const int64_t width = panel_width<T>(), panels = panels_of<T>(n);
  for_each_block(k, [&](int64_t term) HWY_ATTR {
    const int64_t terms = std::min(block_terms, k - term);
    for (int64_t p = 0; p < panels; ++p) {
      pack_panel({element(b, term, p * width), b.row_step, b.column_step}, terms,
                 std::min(width, n - p * width), packed + (term * panels + p * terms) * width);
    }
  });
}

template <typename T>
void gemm_with_panels(const GemmArgs<T>& g, const T* packed, bool from_back) {
  if (g.m <= 0 || g.n <= 0) return;
  const int64_t width = panel_width<T>(), panels = panels_of<T>(g.n);
  // As many panels as multiply_packed() takes at a time.
  const int64_t together = g.m == 1 ? 4 : g.m == 2 ? 2 : 1;
  const int64_t grain = std::clamp(piece_work / std::max<int64_t>(1, g.m * g.k * width), together,
                                   piece_columns / width);
  split(panels, grain, g.m * g.n * g.k, [&](int64_t begin, int64_t end) HWY_ATTR {
    const int64_t groups = (end - begin + together - 1) / together;
    for (int64_t i = 0; i < groups; ++i) {
      const int64_t at = begin + (from_back ? groups - 1 - i : i) * together;
      const int64_t columns = std::min(g.n, std::min(end, at + together) * width) - at * width;
      for_each_block(g.k, [&](int64_t term) HWY_ATTR {
        Product<T> block = block_at(g, term);
        block.b_row = width;
        multiply_packed(block, element(g.a, 0, term),
                        packed + (term * panels + at * block.k) * width, width * block.k,
                        g.c + at * width, g.m, columns);
      });
    }
  });
}

int64_t packed_floats(int64_t k, int64_t n) {
  return k * panels_of<float>(n) * panel_width<float>();
}
int64_t packed_doubles(int64_t k, int64_t n) {
  return k * panels_of<double>(n) * panel_width<double>();
}
void pack_float(const MatrixView<float>& b, int64_t k, int64_t n, float* packed) {
  pack_all(b, k, n, packed);
}
void pack_double(const MatrixView<double>& b, int64_t k, int64_t n, double* packed) {
  pack_all(b, k, n, packed);
}
void gemm_packed_float(const GemmArgs<float>& g, const float* packed, bool from_back) {
  gemm_with_panels(g, packed, from_back);
}
void gemm_packed_double(const GemmArgs<double>& g, const double* packed, bool from_back) {
  gemm_with_panels(g, packed, from_back);
}

void gemm_float(const GemmArgs<float>& args) { gemm_any(args); }
void gemm_double(const GemmArgs<double>& args) { gemm_any(args); }
std::span<const GemmKernel<float>> kernels_float() { return kernels<float>; }
std::span<const GemmKernel<double>> kernels_double() { return kernels<double>; }

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(gemm_float);
HWY_EXPORT(gemm_double);
void gemm(const GemmArgs<float>& args) { HWY_DYNAMIC_DISPATCH(gemm_float)(args); }
void gemm(const GemmArgs<double>& args) { HWY_DYNAMIC_DISPATCH(gemm_double)(args); }

HWY_EXPORT(kernels_float);
HWY_EXPORT(kernels_double);
template <>
std::span<const GemmKernel<float>> gemm_kernels<float>() {
  return HWY_DYNAMIC_DISPATCH(kernels_float)();
}
template <>
std::span<const GemmKernel<double>> gemm_kernels<double>() {
  return HWY_DYNAMIC_DISPATCH(kernels_double)();
}

HWY_EXPORT(packed_floats);
HWY_EXPORT(packed_doubles);
HWY_EXPORT(pack_float);
HWY_EXPORT(pack_double);
HWY_EXPORT(gemm_packed_float);
HWY_EXPORT(gemm_packed_double);
template <>
int64_t packed_elements<float>(int64_t k, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(packed_floats)(k, n);
}
template <>
int64_t packed_elements<double>(int64_t k, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(packed_doubles)(k, n);
}
void pack_columns(const MatrixView<float>& b, int64_t k, int64_t n, float* packed) {
  HWY_DYNAMIC_DISPATCH(pack_float)(b, k, n, packed);
}
void pack_columns(const MatrixView<double>& b, int64_t k, int64_t n, double* packed) {
  HWY_DYNAMIC_DISPATCH(pack_double)(b, k, n, packed);
}
void gemm_packed(const GemmArgs<float>& args, const float* packed, bool from_back) {
  HWY_DYNAMIC_DISPATCH(gemm_packed_float)(args, packed, from_back);
}
void gemm_packed(const GemmArgs<double>& args, const double* packed, bool from_back) {
  HWY_DYNAMIC_DISPATCH(gemm_packed_double)(args, packed, from_back);
}

namespace {

template <typename T>
void gemm_integer(const GemmArgs<T>& g) {
  // Unsigned, where overflow is defined.
  using U = std::make_unsigned_t<T>;
  constexpr int64_t rows_a_piece = 8;
  parallel_for(g.m, rows_a_piece, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* c = g.c + i * g.ldc;
      for (int64_t j = 0; j < g.n; ++j) {
        c[j] = g.beta == 0 ? T(0) : static_cast<T>(static_cast<U>(g.beta) * static_cast<U>(c[j]));
      }
      for (int64_t p = 0; p < g.k; ++p) {
        U factor = static_cast<U>(g.alpha) *
                   static_cast<U>(g.a.data[i * g.a.row_step + p * g.a.column_step]);
        const T* b = g.b.data + p * g.b.row_step;
        for (int64_t j = 0; j < g.n; ++j) {
          U term = factor * static_cast<U>(b[j * g.b.column_step]);
          c[j] = static_cast<T>(static_cast<U>(c[j]) + term);
        }
      }
    }
  });
}

}  // namespace

void gemm(const GemmArgs<int32_t>& args) { gemm_integer(args); }
void gemm(const GemmArgs<int64_t>& args) { gemm_integer(args); }
void gemm(const GemmArgs<uint32_t>& args) { gemm_integer(args); }
void gemm(const GemmArgs<uint64_t>& args) { gemm_integer(args); }

}  // namespace onnxrun
#endif  // HWY_ONCE
