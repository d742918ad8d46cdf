// Loops of normalisations: statistics of rows, and rows brought to mean 0 and variance 1.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "base/threads.h"
#include "kernels/moments.h"

namespace onnxrun {

// The sum of f(i) for i in [0, n), in lanes that vectorise and blocks whose sums are added in
// double: good for any n, and the same however the caller splits its rows.
template <typename C, typename F>
[[gnu::flatten]] double lane_sum(int64_t n, const F& f) {
  constexpr int64_t lanes = 16, block = 1024;
  double total = 0;
  for (int64_t start = 0; start < n; start += block) {
    int64_t end = std::min(n, start + block), i = start;
    std::array<C, lanes> sums{};
    for (; i + lanes <= end; i += lanes) {
      for (int64_t l = 0; l < lanes; ++l) sums[static_cast<size_t>(l)] += f(i + l);
    }
    for (; i < end; ++i) sums[static_cast<size_t>(i % lanes)] += f(i);
    for (C s : sums) total += static_cast<double>(s);
  }
  return total;
}

struct Moments {
  double mean = 0, variance = 0;
};

// Mean and population variance, in two passes.
template <typename C>
Moments moments_of(const C* x, int64_t n) {
  double count = static_cast<double>(n);
  double mean = sum_of(x, n) / count;
  return {mean, sum_of_squares(x, n, static_cast<C>(mean)) / count};
}

// Which element of a scale or bias goes with element j of row r:
// (r % rows) * row_step + j / span.
template <typename C>
struct RowFactor {
  const C* data = nullptr;  // null: none
  int64_t rows = 1, row_step = 0, span = 1;

  // The factors of row r, if there is one for each element.
  const C* dense_at(int64_t row) const {
    return data && span == 1 ? data + row % rows * row_step : nullptr;
  }

  // Calls f(first, last, factors, step): elements [first, last) of row r go with factors[0],
  // factors[step]...
  template <typename F>
  void for_each_span(int64_t row, int64_t length, const F& f) const {
    const C* at = data + row % rows * row_step;
    if (span == 1) return f(0, length, at, 1);
    for (int64_t j = 0; j < length; j += span) f(j, std::min(length, j + span), at++, 0);
  }
};

// y = y * scale + bias, for one row.
template <typename C>
void scale_row(const RowFactor<C>& scale, const RowFactor<C>& bias, int64_t row, int64_t length,
               C* y) {
  if (scale.data) {
    scale.for_each_span(row, length, [&](int64_t first, int64_t last, const C* s, int64_t step) {
      for (int64_t j = first; j < last; ++j) y[j] *= s[(j - first) * step];
    });
  }
  if (bias.data) {
    bias.for_each_span(row, length, [&](int64_t first, int64_t last, const C* b, int64_t step) {
      for (int64_t j = first; j < last; ++j) y[j] += b[(j - first) * step];
    });
  }
}

// Calls f(row) for all rows, in parallel where that is worth while.
template <typename F>
void for_each_row(int64_t rows, int64_t length, const F& f) {
  int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, length));
  auto some = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r);
  };
  if (rows <= grain) return some(0, rows);
  parallel_for(rows, grain, some);
}

}  // namespace onnxrun
