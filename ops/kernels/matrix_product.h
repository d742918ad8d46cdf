// Products of row-major matrices, of every element type that has a product operator.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "base/threads.h"

namespace onnxrun {

// op(a) is m x k, op(b) is k x n, c is m x n; a transposed operand is stored the other way round.
struct MatrixShape {
  bool trans_a = false, trans_b = false;
  int64_t m = 0, n = 0, k = 0;

  int64_t a_size() const { return m * k; }
  int64_t b_size() const { return k * n; }
  int64_t c_size() const { return m * n; }
  // Multiplications, at least 1, as a measure of work; saturates.
  int64_t work() const {
    double products = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    return static_cast<int64_t>(std::clamp(products, 1.0, 1e18));
  }
};

// Multiplications that are worth a piece of a parallel loop.
inline constexpr int64_t product_grain = 1 << 17;

// Rows [begin, end) of c = alpha op(a) op(b), or c += it.
template <typename T>
void multiply_rows(const MatrixShape& s, T alpha, const T* a, const T* b, bool accumulate, T* c,
                   int64_t begin, int64_t end) {
  int64_t a_row = s.trans_a ? 1 : s.k, a_step = s.trans_a ? s.m : 1;
  for (int64_t i = begin; i < end; ++i) {
    T* row = c + i * s.n;
    if (!accumulate) std::fill(row, row + s.n, T{0});
    const T* x = a + i * a_row;
    if (s.trans_b) {
      for (int64_t j = 0; j < s.n; ++j) {
        const T* y = b + j * s.k;
        T sum{0};
        for (int64_t p = 0; p < s.k; ++p) sum = static_cast<T>(sum + x[p * a_step] * y[p]);
        row[j] = static_cast<T>(row[j] + alpha * sum);
      }
    } else {
      for (int64_t p = 0; p < s.k; ++p) {
        T factor = static_cast<T>(alpha * x[p * a_step]);
        const T* y = b + p * s.n;
        for (int64_t j = 0; j < s.n; ++j) row[j] = static_cast<T>(row[j] + factor * y[j]);
      }
    }
  }
}

// c = alpha op(a) op(b), or c += it. Signed integers go through their unsigned twin: they wrap
// around.
template <typename T>
void multiply(const MatrixShape& s, T alpha, const T* a, const T* b, bool accumulate, T* c) {
  static_assert(std::is_floating_point_v<T> || std::is_unsigned_v<T>);
  if (s.work() <= 2 * product_grain) return multiply_rows(s, alpha, a, b, accumulate, c, 0, s.m);
  int64_t grain = std::max<int64_t>(1, product_grain / std::max<int64_t>(1, s.work() / s.m));
  parallel_for(s.m, grain, [&](int64_t begin, int64_t end) {
    multiply_rows(s, alpha, a, b, accumulate, c, begin, end);
  });
}

}  // namespace onnxrun
