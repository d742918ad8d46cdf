// Reductions over any set of axes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "kernels/broadcast.h"
#include "kernels/kernel_list.h"

namespace onnxrun {

// The elements that each output of a reduction takes, as rows: neighbouring axes of one kind are
// merged. The innermost axis is either reduced (an output takes whole rows) or kept (a row holds
// one element of each of as many outputs).
class ReduceLayout {
 public:
  ReduceLayout() = default;
  // reduced[i] says whether axis i is.
  ReduceLayout(std::span<const int64_t> dims, const std::vector<bool>& reduced);

  // Elements that go into one output.
  int64_t count() const { return count_; }
  int64_t outputs() const { return outputs_; }
  int64_t row() const { return row_; }
  bool row_is_reduced() const { return row_is_reduced_; }
  // Rows that go into one output (or into `row()` neighbouring outputs).
  int64_t rows() const { return rows_; }

  // Where the rows of output `group` (or of outputs [group * row(), ...)) begin.
  int64_t base_of(int64_t group) const { return offset(kept_, group); }
  int64_t offset_of_row(int64_t row) const { return offset(reduced_, row); }

 private:
  struct Axis {
    int64_t length, stride;
  };
  static int64_t offset(const std::vector<Axis>& axes, int64_t index) {
    int64_t at = 0;
    for (const Axis& a : axes) {
      at += index % a.length * a.stride;
      index /= a.length;
    }
    return at;
  }

  std::vector<Axis> kept_, reduced_;  // inner first, the row left out
  int64_t count_ = 1, outputs_ = 1, row_ = 1, rows_ = 1;
  bool row_is_reduced_ = true;
};

inline ReduceLayout::ReduceLayout(std::span<const int64_t> dims, const std::vector<bool>& reduced) {
  struct Merged {
    int64_t length, stride;
    bool is_reduced;
  };
  // Around an empty axis others may have any length, so nothing is multiplied, nor gone through.
  if (element_count(dims) == 0) {
    Dims kept;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (!reduced[i]) kept.push_back(dims[i]);
    }
    outputs_ = element_count(kept);
    count_ = row_ = 0;
    return;
  }
  std::vector<Merged> axes;
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    (reduced[i] ? count_ : outputs_) *= dims[i];
    if (dims[i] == 1) continue;
    if (!axes.empty() && axes.back().is_reduced == reduced[i]) {
      axes.back().length *= dims[i];
    } else {
      axes.push_back({dims[i], stride, reduced[i]});
    }
    stride *= dims[i];
  }
  if (axes.empty()) return;
  row_ = axes[0].length;
  row_is_reduced_ = axes[0].is_reduced;
  for (size_t i = 1; i < axes.size(); ++i) {
    (axes[i].is_reduced ? reduced_ : kept_).push_back({axes[i].length, axes[i].stride});
    if (axes[i].is_reduced) rows_ *= axes[i].length;
  }
}

// A Reducer of elements of type T (as stored) has
//   using Acc = ...;                         what is accumulated
//   static Acc start();
//   static void add(Acc&, ComputeType<T>);
//   static void merge(Acc&, const Acc&);
//   static T finish(const Acc&, int64_t count);
// and may have
//   static Acc row(const T* x, int64_t n);   of elements one after another, better than one by one
//   static void rows(const T* const* x, int64_t count, int64_t n, Acc* results);   reduce_row() of
//                                            each of some rows, better than one by one
//   static void add_row(Acc*, const T* x, int64_t n);   an element to each of as many accumulators.

// Elements one after another, in eight interleaved accumulators and blocks: fast, and the error of
// sums grows with the number of blocks only.
template <typename Reducer, typename T>
[[gnu::flatten]] typename Reducer::Acc reduce_row(const T* x, int64_t n) {
  using C = ComputeType<T>;
  using Acc = typename Reducer::Acc;
  if constexpr (requires { Reducer::row(x, n); }) return Reducer::row(x, n);
  constexpr int64_t lanes = 8, block = 2048;
  Acc total = Reducer::start();
  if (n < 2 * lanes) {
    for (int64_t i = 0; i < n; ++i) Reducer::add(total, static_cast<C>(x[i]));
    return total;
  }
  for (int64_t at = 0; at < n; at += block) {
    int64_t end = std::min(n, at + block), i = at;
    std::array<Acc, lanes> acc;
    acc.fill(Reducer::start());
    for (; i + lanes <= end; i += lanes) {
      for (size_t k = 0; k < lanes; ++k)
        Reducer::add(acc[k], static_cast<C>(x[i + static_cast<int64_t>(k)]));
    }
    for (size_t k = 0; i < end; ++i, ++k) Reducer::add(acc[k], static_cast<C>(x[i]));
    for (size_t width = lanes / 2; width > 0; width /= 2) {
      for (size_t k = 0; k < width; ++k) Reducer::merge(acc[k], acc[k + width]);
    }
    Reducer::merge(total, acc[0]);
  }
  return total;
}

// How many elements of a long row make one parallel piece.
inline constexpr int64_t reduce_piece = 32768;

// Bytes of scratch that reduce() needs for these types and layout.
template <typename Reducer>
int64_t reduce_scratch(const ReduceLayout& layout) {
  bool split = layout.row_is_reduced() && layout.row() > 2 * reduce_piece && layout.outputs() < 64;
  if (!split) return 0;
  int64_t pieces = (layout.row() + reduce_piece - 1) / reduce_piece;
  return layout.outputs() * layout.rows() * pieces *
         static_cast<int64_t>(sizeof(typename Reducer::Acc));
}

// Few outputs of long rows: pieces of rows in parallel, merged in order.
template <typename Reducer, typename T>
void reduce_split(const ReduceLayout& l, const T* x, T* y, typename Reducer::Acc* partial) {
  const int64_t pieces = (l.row() + reduce_piece - 1) / reduce_piece, each = l.rows() * pieces;
  parallel_for(l.outputs() * each, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      int64_t start = p % pieces * reduce_piece;
      const T* row = x + l.base_of(p / each) + l.offset_of_row(p % each / pieces);
      new (partial + p) typename Reducer::Acc(
          reduce_row<Reducer>(row + start, std::min(reduce_piece, l.row() - start)));
    }
  });
  for (int64_t o = 0; o < l.outputs(); ++o) {
    auto total = Reducer::start();
    for (int64_t p = 0; p < each; ++p) Reducer::merge(total, partial[o * each + p]);
    y[o] = Reducer::finish(total, l.count());
  }
}

// The rows of one output, merged in order.
template <typename Reducer, typename T>
typename Reducer::Acc merge_rows(const ReduceLayout& l, const T* base) {
  using Acc = typename Reducer::Acc;
  constexpr bool has_rows = requires(const T* const* x, Acc* results) {
    Reducer::rows(x, 1, 1, results);
  };
  Acc total = Reducer::start();
  if constexpr (has_rows) {
    constexpr int64_t together = 16;
    std::array<const T*, together> rows;  // NOLINT: as many are set as are read
    std::array<Acc, together> results;    // NOLINT
    for (int64_t first = 0; first < l.rows(); first += together) {
      const int64_t count = std::min(together, l.rows() - first);
      for (int64_t r = 0; r < count; ++r) {
        rows[static_cast<size_t>(r)] = base + l.offset_of_row(first + r);
      }
      Reducer::rows(rows.data(), count, l.row(), results.data());
      for (int64_t r = 0; r < count; ++r) Reducer::merge(total, results[static_cast<size_t>(r)]);
    }
  } else {
    for (int64_t r = 0; r < l.rows(); ++r) {
      Reducer::merge(total, reduce_row<Reducer>(base + l.offset_of_row(r), l.row()));
    }
  }
  return total;
}

template <typename Reducer, typename T>
void reduce_rows(const ReduceLayout& l, const T* x, T* y, int64_t begin, int64_t end) {
  for (int64_t o = begin; o < end; ++o) {
    const T* base = x + l.base_of(o);
    const auto total =
        l.rows() == 1 ? reduce_row<Reducer>(base, l.row()) : merge_rows<Reducer>(l, base);
    y[o] = Reducer::finish(total, l.count());
  }
}

// Outputs in groups of neighbouring columns of a row, whose accumulators stay in the nearest cache.
inline constexpr int64_t reduce_columns_width = 128;

template <typename Reducer, typename T>
[[gnu::flatten]] void reduce_columns(const ReduceLayout& l, const T* x, T* y, int64_t begin,
                                     int64_t end) {
  using C = ComputeType<T>;
  const int64_t tiles = (l.row() + reduce_columns_width - 1) / reduce_columns_width;
  std::array<typename Reducer::Acc, reduce_columns_width> acc;
  for (int64_t t = begin; t < end; ++t) {
    int64_t group = t / tiles, column = t % tiles * reduce_columns_width;
    int64_t width = std::min(reduce_columns_width, l.row() - column);
    const T* base = x + l.base_of(group) + column;
    for (int64_t j = 0; j < width; ++j) acc[static_cast<size_t>(j)] = Reducer::start();
    for (int64_t r = 0; r < l.rows(); ++r) {
      const T* row = base + l.offset_of_row(r);
      if constexpr (requires { Reducer::add_row(acc.data(), row, width); }) {
        Reducer::add_row(acc.data(), row, width);
      } else {
        for (int64_t j = 0; j < width; ++j)
          Reducer::add(acc[static_cast<size_t>(j)], static_cast<C>(row[j]));
      }
    }
    T* out = y + group * l.row() + column;
    for (int64_t j = 0; j < width; ++j)
      out[j] = Reducer::finish(acc[static_cast<size_t>(j)], l.count());
  }
}

// Calls piece(begin, end) on units of `work` elements that cover all, in parallel where there are
// many.
template <typename F>
void for_each_reduced(int64_t units, int64_t work, const F& piece) {
  work = std::max<int64_t>(1, work);
  if (units <= elementwise_grain / work) return piece(0, units);
  parallel_for(units, std::max<int64_t>(1, elementwise_grain / work), piece);
}

// y = the reduction of x: x, y, scratch, which is aligned to 64.
template <typename T>
using ReduceKernel = Kernel<ReduceLayout, const T*, T*, std::byte*>;
template <typename Reducer, typename T>
constexpr ReduceKernel<T> reduce_kernels[] = {
    {"nothing", [](const ReduceLayout& l) { return l.outputs() == 0; },
     [](const ReduceLayout&, const T*, T*, std::byte*) {}},
    {"pieces of rows", [](const ReduceLayout& l) { return reduce_scratch<Reducer>(l) > 0; },
     [](const ReduceLayout& l, const T* x, T* y, std::byte* scratch) {
       reduce_split<Reducer>(l, x, y, reinterpret_cast<typename Reducer::Acc*>(scratch));
     },
     reduce_scratch<Reducer>},
    {"rows", [](const ReduceLayout& l) { return l.row_is_reduced(); },
     [](const ReduceLayout& l, const T* x, T* y, std::byte*) {
       for_each_reduced(l.outputs(), l.count(), [&](int64_t begin, int64_t end) {
         reduce_rows<Reducer>(l, x, y, begin, end);
       });
     }},
    {"columns", [](const ReduceLayout& l) { return !l.row_is_reduced(); },
     [](const ReduceLayout& l, const T* x, T* y, std::byte*) {
       const int64_t tiles = (l.row() + reduce_columns_width - 1) / reduce_columns_width;
       const int64_t work = l.rows() * std::min(l.row(), reduce_columns_width);
       for_each_reduced(l.outputs() / l.row() * tiles, work, [&](int64_t begin, int64_t end) {
         reduce_columns<Reducer>(l, x, y, begin, end);
       });
     }},
};

}  // namespace onnxrun
