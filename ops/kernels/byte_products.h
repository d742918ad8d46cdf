// Products of matrices of bytes whose zero points are taken into account.
//
//     C[i, j] = sum over p of (A[i, p] - zero of row i) * (B[p, j] - zero of column j)
//
// in int32, wrapping around, the same on every processor and for any number of threads. They use
// the threads of the caller's ThreadScope.
#pragma once

#include <functional>
#include <vector>

#include "kernels/byte_dots.h"
#include "kernels/byte_sums.h"

namespace onnxrun {

// Zero points of rows or of columns: one for all or a list.
class ZeroPoints {
 public:
  // Bytes of a tensor, or one 0 where there is none; `shift` is added to each.
  ZeroPoints(const uint8_t* points, int64_t count, bool is_signed, int32_t shift);

  int32_t at(int64_t i) const {
    return values_.size() == 1 ? values_[0] : values_[static_cast<size_t>(i) % values_.size()];
  }
  // The list from element i on; null for one that stands for all.
  const int32_t* list(int64_t i) const {
    return values_.size() == 1 ? nullptr : &values_[static_cast<size_t>(i)];
  }
  bool is_zero() const { return values_.size() == 1 && values_[0] == 0; }

 private:
  std::vector<int32_t> values_;
};

// B as products read it.
struct RightMatrix {
  Dots dots;
  int64_t k, n;
  bool is_signed;
  const int32_t* panels;  // panels_of(n), panel_size() words each
  const int32_t* sums;    // of columns

  int64_t words() const { return words_of(dots, k); }
  int64_t panel_size() const { return words() * panel_columns(); }
};

// Where a RightMatrix is kept: this many words.
int64_t right_matrix_words(Dots dots, int64_t k, int64_t n);
// Rows of B are `row_step` bytes apart. `memory` must live as long as the matrix.
RightMatrix pack_right_matrix(Dots dots, const Bytes& b, int64_t row_step, int64_t k, int64_t n,
                              int32_t* memory);

// Takes elements [column, column + columns) of row `row` of C, which are `sums` once corrected;
// called for parts of C in any order and at the same time.
using TakeSums = std::function<void(int64_t row, int64_t column, int64_t columns,
                                    const int32_t* sums, const SumCorrection& correction)>;

// A has m rows of b.k bytes. `zero_a` are of the bytes as they are moved to be signed, `zero_b` of
// those moved to be unsigned.
void multiply_bytes(const Bytes& a, int64_t m, const ZeroPoints& zero_a, const RightMatrix& b,
                    const ZeroPoints& zero_b, const TakeSums& take);

}  // namespace onnxrun
