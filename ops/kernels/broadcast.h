// Loops over broadcast operands.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/shape.h"
#include "base/threads.h"

namespace onnxrun {

// How many elements of cheap arithmetic one piece of a parallel loop has.
inline constexpr int64_t elementwise_grain = 32768;

// An output of some dims and N inputs that broadcast to it (numpy's rules), seen as rows:
// neighbouring axes that all operands step through alike are merged, the innermost is the row.
template <size_t N>
class BroadcastRows {
 public:
  BroadcastRows() = default;
  // Inputs must broadcast to `out`; their rank may be lower.
  BroadcastRows(std::span<const int64_t> out, const std::array<std::span<const int64_t>, N>& in);

  int64_t size() const { return rows_ * length_; }
  int64_t rows() const { return rows_; }
  int64_t length() const { return length_; }
  // How far input i moves per element of a row: 0 (repeated) or 1.
  int64_t step(size_t i) const { return steps_[i]; }

  // Calls f(out_offset, in_offsets, count) for pieces of rows that cover everything, in parallel.
  template <typename F>
  void for_each(const F& f) const;

  // The same for output elements [begin, end), one piece after another.
  template <typename F>
  void for_range(int64_t begin, int64_t end, const F& f) const;

 private:
  // What is left of the row that output element `at` is in, up to `end`.
  struct Piece {
    std::array<int64_t, N> offsets;
    int64_t count;
  };
  Piece piece_at(int64_t at, int64_t end) const;

  int64_t rows_ = 1;
  int64_t length_ = 1;
  std::array<int64_t, N> steps_{};
  std::vector<int64_t> outer_;                       // lengths of the axes above the row
  std::vector<std::array<int64_t, N>> outer_steps_;  // per axis and input
};

template <size_t N>
BroadcastRows<N>::BroadcastRows(std::span<const int64_t> out,
                                const std::array<std::span<const int64_t>, N>& in) {
  struct Axis {
    int64_t length;
    std::array<int64_t, N> steps;
  };
  std::vector<Axis> axes;
  std::array<int64_t, N> stride;
  stride.fill(1);
  for (size_t back = 1; back <= out.size(); ++back) {
    Axis axis{out[out.size() - back], {}};
    for (size_t i = 0; i < N; ++i) {
      int64_t length = back <= in[i].size() ? in[i][in[i].size() - back] : 1;
      axis.steps[i] = length == 1 ? 0 : stride[i];
      stride[i] *= length;
    }
    if (axis.length == 1) continue;
    bool merges = !axes.empty();
    for (size_t i = 0; i < N && merges; ++i) {
      const Axis& below = axes.back();
      merges = axis.steps[i] == below.steps[i] * below.length;
    }
    if (merges) {
      axes.back().length *= axis.length;
    } else {
      axes.push_back(axis);
    }
  }
  if (axes.empty()) return;
  length_ = axes[0].length;
  steps_ = axes[0].steps;
  for (size_t a = 1; a < axes.size(); ++a) {
    outer_.push_back(axes[a].length);
    outer_steps_.push_back(axes[a].steps);
    rows_ *= axes[a].length;
  }
}

template <size_t N>
typename BroadcastRows<N>::Piece BroadcastRows<N>::piece_at(int64_t at, int64_t end) const {
  int64_t row = at / length_, column = at % length_;
  Piece piece{{}, std::min(length_ - column, end - at)};
  for (size_t a = 0; a < outer_.size(); ++a) {
    int64_t index = row % outer_[a];
    row /= outer_[a];
    for (size_t i = 0; i < N; ++i) piece.offsets[i] += index * outer_steps_[a][i];
  }
  for (size_t i = 0; i < N; ++i) piece.offsets[i] += column * steps_[i];
  return piece;
}

template <size_t N>
template <typename F>
void BroadcastRows<N>::for_range(int64_t begin, int64_t end, const F& f) const {
  for (int64_t at = begin; at < end;) {
    const Piece piece = piece_at(at, end);
    f(at, piece.offsets, piece.count);
    at += piece.count;
  }
}

template <size_t N>
template <typename F>
void BroadcastRows<N>::for_each(const F& f) const {
  int64_t n = size();
  if (n <= elementwise_grain) return for_range(0, n, f);
  parallel_for(n, elementwise_grain, [&](int64_t begin, int64_t end) { for_range(begin, end, f); });
}

}  // namespace onnxrun
