// Reductions whose rounding errors grow with the logarithm of the length, and whose results do not
// depend on the number of threads: elements are combined in a tree that depends on the shape alone.
//
//     std::vector<float> sums(...);
//     reduce<SumOf>(x, outer, n, inner, sums.data());  // x is [outer, n, inner], sums [outer,
//     inner]
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "base/threads.h"
#include "kernels/scratch.h"
#include "kernels/vector_math.h"

namespace onnxrun {

// What can be reduced. start<A>() is the result for no elements, load(a) what an element, converted
// to the accumulator's type, contributes, combine(a, b) associative up to rounding. Partial reduces
// such results further. run(x, n), if it is there, reduces n elements by itself.
struct SumOf {
  using Partial = SumOf;
  template <typename A>
  static A start() {
    return A(0);
  }
  template <typename A>
  static A load(A x) {
    return x;
  }
  template <typename A>
  static A combine(A a, A b) {
    if constexpr (std::is_integral_v<A>) {
      using U = std::make_unsigned_t<A>;  // wraps around
      return static_cast<A>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
    } else {
      return a + b;
    }
  }
};

struct SumOfSquares : SumOf {
  template <typename A>
  static A load(A x) {
    if constexpr (std::is_integral_v<A>) {
      using U = std::common_type_t<std::make_unsigned_t<A>, unsigned>;
      return static_cast<A>(static_cast<U>(x) * static_cast<U>(x));
    } else {
      return x * x;
    }
  }
};

struct SumOfMagnitudes : SumOf {
  template <typename A>
  static A load(A x) {
    if constexpr (std::is_unsigned_v<A>) {
      return x;
    } else if constexpr (std::is_integral_v<A>) {
      using U = std::make_unsigned_t<A>;
      return x < 0 ? static_cast<A>(U(0) - static_cast<U>(x)) : x;
    } else {
      return x < 0 ? -x : x;
    }
  }
};

struct ProductOf {
  using Partial = ProductOf;
  template <typename A>
  static A start() {
    return A(1);
  }
  template <typename A>
  static A load(A x) {
    return x;
  }
  template <typename A>
  static A combine(A a, A b) {
    if constexpr (std::is_integral_v<A>) {
      using U = std::common_type_t<std::make_unsigned_t<A>, unsigned>;
      return static_cast<A>(static_cast<U>(a) * static_cast<U>(b));
    } else {
      return a * b;
    }
  }
};

// NaN if an element is; of no elements the lowest value, -infinity where there is one.
struct MaximumOf {
  using Partial = MaximumOf;
  template <typename A>
  static A start() {
    using L = std::numeric_limits<A>;
    return L::has_infinity ? -L::infinity() : L::lowest();
  }
  template <typename A>
  static A load(A x) {
    return x;
  }
  template <typename A>
  static A combine(A a, A b) {
    return (a > b) | (a != a) ? a : b;
  }
  template <typename A>
  static A run(const A* x, int64_t n) requires std::is_floating_point_v<A> {
    return maximum(x, n);
  }
};

struct MinimumOf : MaximumOf {
  using Partial = MinimumOf;
  template <typename A>
  static A start() {
    using L = std::numeric_limits<A>;
    return L::has_infinity ? L::infinity() : L::max();
  }
  template <typename A>
  static A combine(A a, A b) {
    return (a < b) | (a != a) ? a : b;
  }
  template <typename A>
  static A run(const A* x, int64_t n) requires std::is_floating_point_v<A> {
    return minimum(x, n);
  }
};

namespace reduce_detail {

// Elements of a run that are combined one after the other, in as many interleaved lanes.
inline constexpr int64_t leaf = 512;
constexpr int lanes = 16;
// Rows of a column that are combined one after the other, and columns handled together.
inline constexpr int64_t leaf_rows = 32, tile_columns = 128;
// Elements that are worth a piece of a parallel loop.
inline constexpr int64_t piece = 1 << 16;

template <typename Op, typename A, typename T>
A reduce_leaf(const T* x, int64_t n) {
  if (n < lanes) {
    A sum = Op::template start<A>();
    for (int64_t i = 0; i < n; ++i) sum = Op::combine(sum, Op::load(static_cast<A>(x[i])));
    return sum;
  }
  A sums[lanes];
  for (int l = 0; l < lanes; ++l) sums[l] = Op::load(static_cast<A>(x[l]));
  int64_t i = lanes;
  for (; i + lanes <= n; i += lanes) {
    for (int l = 0; l < lanes; ++l)
      sums[l] = Op::combine(sums[l], Op::load(static_cast<A>(x[i + l])));
  }
  for (int l = 0; i + l < n; ++l)
    sums[l] = Op::combine(sums[l], Op::load(static_cast<A>(x[i + l])));
  for (int width = lanes / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) sums[l] = Op::combine(sums[l], sums[l + width]);
  }
  return sums[0];
}

// n neighbouring elements.
template <typename Op, typename A, typename T>
A reduce_run(const T* x, int64_t n) {
  if constexpr (std::is_same_v<A, T> && requires { Op::run(x, n); }) return Op::run(x, n);
  if (n <= leaf) return reduce_leaf<Op, A>(x, n);
  int64_t left = (n / 2 + leaf - 1) / leaf * leaf;
  return Op::combine(reduce_run<Op, A>(x, left), reduce_run<Op, A>(x + left, n - left));
}

// Each of `columns` <= tile_columns columns of n rows, `stride` apart.
template <typename Op, typename A, typename T>
void reduce_columns(const T* x, int64_t n, int64_t stride, int64_t columns, A* out) {
  if (n <= leaf_rows) {
    std::fill(out, out + columns, Op::template start<A>());
    for (int64_t i = 0; i < n; ++i) {
      const T* row = x + i * stride;
      for (int64_t j = 0; j < columns; ++j) {
        out[j] = Op::combine(out[j], Op::load(static_cast<A>(row[j])));
      }
    }
    return;
  }
  int64_t top = (n / 2 + leaf_rows - 1) / leaf_rows * leaf_rows;
  A rest[tile_columns];
  reduce_columns<Op>(x, top, stride, columns, out);
  reduce_columns<Op>(x + top * stride, n - top, stride, columns, rest);
  for (int64_t j = 0; j < columns; ++j) out[j] = Op::combine(out[j], rest[j]);
}

}  // namespace reduce_detail

// out[o, i] = the elements x[o, :, i] of x = [outer, n, inner] reduced. Accumulates in A, the type
// of `out`. Uses the threads of the caller's ThreadScope where that pays.
template <typename Op, typename T, typename A>
void reduce(const T* x, int64_t outer, int64_t n, int64_t inner, A* out) {
  using namespace reduce_detail;
  // One output is the work of many pieces, a piece that of many outputs, or neither.
  int64_t tile = std::min(inner, tile_columns);
  int64_t rows = std::max(leaf_rows, piece / std::max<int64_t>(tile, 1));
  int64_t parts = n <= 2 * rows ? 1 : (n + rows - 1) / rows;
  if (parts == 1) rows = n;
  int64_t tiles = tile == 0 ? 0 : (inner + tile - 1) / tile;
  auto reduce_parts = [&](A* to) {
    int64_t work = std::max<int64_t>(1, std::min(rows, n) * tile);
    int64_t grain = std::max<int64_t>(1, piece / work);
    parallel_for(outer * parts * tiles, grain, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        int64_t row = task / tiles / parts * n + task / tiles % parts * rows;
        int64_t count = std::min(rows, n - task / tiles % parts * rows);
        int64_t column = task % tiles * tile;
        const T* from = x + row * inner + column;
        A* result = to + task / tiles * inner + column;
        if (inner == 1) {
          *result = reduce_run<Op, A>(from, count);
        } else {
          reduce_columns<Op>(from, count, inner, std::min(tile, inner - column), result);
        }
      }
    });
  };
  if (parts == 1) return reduce_parts(out);
  Scratch scratch(static_cast<size_t>(outer * parts * inner) * sizeof(A));
  reduce_parts(scratch.as<A>());
  reduce<typename Op::Partial>(scratch.as<A>(), outer, parts, inner, out);
}

// One run of n elements, serially; A is the type to accumulate in.
template <typename Op, typename A, typename T>
A reduce_row(const T* x, int64_t n) {
  return reduce_detail::reduce_run<Op, A>(x, n);
}

}  // namespace onnxrun
