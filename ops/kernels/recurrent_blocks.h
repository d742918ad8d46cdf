// How the recurrent kernels divide their work.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <span>

#include "base/threads.h"
#include "kernels/recurrent.h"

namespace onnxrun {

// `count` consecutive gates of W or R and where they lie among the kept gates.
struct GateRange {
  int64_t gate, slot, count;
};

// The gates that the inputs go into; between r and n of a linear GRU lies q.
inline std::span<const GateRange> input_ranges(const Cell& cell) {
  static constexpr GateRange rnn[] = {{0, 0, 1}}, gru[] = {{0, 0, 3}}, lstm[] = {{0, 0, 4}};
  static constexpr GateRange linear_gru[] = {{0, 0, 2}, {2, 3, 1}};
  if (cell.kind == CellKind::RNN) return rnn;
  if (cell.kind == CellKind::LSTM) return lstm;
  return cell.linear_before_reset ? std::span<const GateRange>(linear_gru) : gru;
}

// Calls f(direction, row, rows) on blocks of batch rows that cover all directions, in parallel if
// `steps` steps are much work. Blocks small enough for the products to read R where it lies.
template <typename F>
void for_each_block(const RecurrentProblem& p, int64_t steps, const F& f) {
  constexpr int64_t few_rows = 16, many_rows = 64, large_matrix = 1 << 18;
  constexpr double parallel_work = 1 << 18;
  int64_t matrix = p.cell().gates() * p.hidden * p.hidden;
  int64_t grain = matrix <= large_matrix ? few_rows : many_rows;
  int64_t blocks = (p.batch + grain - 1) / grain;
  double work = static_cast<double>(p.batch) * static_cast<double>(steps) *
                static_cast<double>(matrix) * static_cast<double>(p.directions);
  auto run = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t row = i % blocks * grain;
      f(i / blocks, row, std::min(grain, p.batch - row));
    }
  };
  int64_t all = blocks * p.directions;
  if (work < parallel_work || all == 1) {
    run(0, all);
  } else {
    parallel_for(all, 1, run);
  }
}

}  // namespace onnxrun
