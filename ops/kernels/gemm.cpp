#include "kernels/gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

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
constexpr int64_t parallel_work = int64_t{1} << 20;
// op(B) is read where it lies if it is this small, or if so few rows of A would share a packed
// copy.
constexpr int64_t direct_elements = 16384, direct_rows = 16;
// A product this small is not worth packing a transposed B for.
constexpr int64_t tiny_work = 256;

// Calls f(begin, end) on pieces of [0, n), in parallel if all of it is much work.
template <typename F>
void split(int64_t n, int64_t grain, int64_t work, const F& f) {
  if (work < parallel_work) {
    f(0, n);
  } else {
    parallel_for(n, grain, f);
  }
}

template <typename T>
Tile<T> tile_at(const GemmArgs<T>& g, int64_t row, int64_t column, int64_t term) {
  Tile<T> t;
  t.k = std::min(block_terms, g.k - term);
  t.a = g.a.data + row * g.a.row_step + term * g.a.column_step;
  t.a_row = g.a.row_step;
  t.a_column = g.a.column_step;
  t.b = g.b.data + term * g.b.row_step + column * g.b.column_step;
  t.b_row = g.b.row_step;
  t.alpha = g.alpha;
  t.beta = term == 0 ? g.beta : T(1);
  t.c = g.c + row * g.ldc + column;
  t.ldc = g.ldc;
  return t;
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

template <typename T>
void gemm_direct(const GemmArgs<T>& g) {
  int64_t work = g.m * g.n * g.k;
  if (work < parallel_work) {
    for_each_block(g.k, [&](int64_t term) { multiply(tile_at(g, 0, 0, term), g.m, g.n); });
  } else if (g.m > direct_rows) {
    parallel_for(g.m, piece_rows, [&](int64_t begin, int64_t end) {
      for_each_block(g.k,
                     [&](int64_t term) { multiply(tile_at(g, begin, 0, term), end - begin, g.n); });
    });
  } else {
    parallel_for(g.n, piece_columns, [&](int64_t begin, int64_t end) {
      for_each_block(g.k,
                     [&](int64_t term) { multiply(tile_at(g, 0, begin, term), g.m, end - begin); });
    });
  }
}

// op(B) is a transpose and one vector long in one direction: rows of B against one row of A.
template <typename T>
void gemm_row_by_columns(const GemmArgs<T>& g) {
  split(g.n, piece_columns, g.n * g.k, [&](int64_t begin, int64_t end) {
    for_each_block(g.k, [&](int64_t term) {
      multiply_row_by_columns(tile_at(g, 0, begin, term), g.b.column_step, end - begin);
    });
  });
}

// Swaps the two factors' roles, one row of A at a time.
template <typename T>
void gemm_tiny_transposed(const GemmArgs<T>& g) {
  for (int64_t i = 0; i < g.m; ++i) {
    Tile<T> t = tile_at(g, i, 0, 0);
    t.b = t.a;
    t.b_row = t.a_column;
    t.a = g.b.data;
    t.a_row = g.b.column_step;
    t.a_column = g.b.row_step;
    t.ldc = 1;
    multiply(t, g.n, 1);
  }
}

template <typename T>
void gemm_packed_block(const GemmArgs<T>& g, int64_t column, int64_t columns, int64_t term,
                       T* packed) {
  const int64_t width = panel_width<T>();
  Tile<T> block = tile_at(g, 0, column, term);
  int64_t panels = (columns + width - 1) / width;
  int64_t work = g.m * columns * block.k;
  split(panels, piece_columns / width, work, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      MatrixView<T> b = {block.b + p * width * g.b.column_step, g.b.row_step, g.b.column_step};
      pack_panel(b, block.k, std::min(width, columns - p * width), packed + p * width * block.k);
    }
  });
  int64_t row_pieces = (g.m + piece_rows - 1) / piece_rows;
  int64_t panels_a_piece = piece_columns / width;
  int64_t column_pieces = (panels + panels_a_piece - 1) / panels_a_piece;
  split(row_pieces * column_pieces, 1, work, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      int64_t row = piece / column_pieces * piece_rows;
      int64_t first = piece % column_pieces * panels_a_piece;
      for (int64_t p = first; p < std::min(panels, first + panels_a_piece); ++p) {
        Tile<T> t = tile_at(g, row, column + p * width, term);
        t.b = packed + p * width * block.k;
        t.b_row = width;
        multiply(t, std::min(piece_rows, g.m - row), std::min(width, columns - p * width));
      }
    }
  });
}

template <typename T>
void gemm_packed(const GemmArgs<T>& g) {
  const int64_t width = panel_width<T>();
  int64_t columns = std::min(block_columns, (g.n + width - 1) / width * width);
  Scratch scratch(static_cast<size_t>(columns * std::min(block_terms, g.k)) * sizeof(T));
  for (int64_t column = 0; column < g.n; column += block_columns) {
    for_each_block(g.k, [&](int64_t term) {
      gemm_packed_block(g, column, std::min(block_columns, g.n - column), term, scratch.as<T>());
    });
  }
}

template <typename T>
void gemm_any(const GemmArgs<T>& g) {
  if (g.m <= 0 || g.n <= 0) return;
  if (g.n == 1 && g.ldc == 1 && g.m > 1) {
    // The transposed product, whose result is one row.
    return gemm_any(GemmArgs<T>{1,
                                g.m,
                                g.k,
                                g.alpha,
                                {g.b.data, g.b.column_step, g.b.row_step},
                                {g.a.data, g.a.column_step, g.a.row_step},
                                g.beta,
                                g.c,
                                g.m});
  }
  bool is_direct = g.b.column_step == 1 || g.n == 1 || g.k == 0;
  if (is_direct && (g.m <= direct_rows || g.n * g.k <= direct_elements)) return gemm_direct(g);
  if (!is_direct && g.m * g.n * g.k <= tiny_work) return gemm_tiny_transposed(g);
  if (!is_direct && g.m == 1 && g.b.row_step == 1) return gemm_row_by_columns(g);
  gemm_packed(g);
}

void gemm_float(const GemmArgs<float>& args) { gemm_any(args); }
void gemm_double(const GemmArgs<double>& args) { gemm_any(args); }

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(gemm_float);
HWY_EXPORT(gemm_double);
void gemm(const GemmArgs<float>& args) { HWY_DYNAMIC_DISPATCH(gemm_float)(args); }
void gemm(const GemmArgs<double>& args) { HWY_DYNAMIC_DISPATCH(gemm_double)(args); }

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
