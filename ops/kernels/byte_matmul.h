// Batches of products of matrices of bytes, as MatMulInteger and its kin have them.
#pragma once

#include "graph/run_context.h"
#include "kernels/byte_products.h"
#include "matrix_batches.h"

namespace onnxrun {

// Lists of zero points and scales that go with the rows of A or the columns of B.
bool is_one_or_rows(const Tensor& list);
bool is_one_or_columns(const Tensor& list);
Bytes bytes_of(const Tensor& t);
// Zero points of bytes, moved by `shift`; those of no tensor are 0.
ZeroPoints zero_points(const Tensor* points, int32_t shift);

class ByteMatMul final : public KernelState {
 public:
  // False where few columns of very many terms would become panels of mostly nothing.
  static bool is_worth_it(const Dims& right);
  // `packed` is packed() of a right operand that never changes, or no tensor.
  ByteMatMul(const Dims& a, const Dims& b, Tensor packed);
  // Of these inputs; a constant right operand is packed once.
  ByteMatMul(const PrepareContext& c, size_t a, size_t b);
  // All right matrices, the last two axes of `b`, as run() reads them.
  static Tensor packed(const Tensor& b);

  std::string_view kernel() const override;

  // Takes parts of rows of all products as one matrix, `row` counted through. `zero_a` as
  // multiply_bytes() has it; elements of `b` are not read if it was packed.
  void run(const Bytes& a, const ZeroPoints& zero_a, const Tensor& b, const Tensor* zero_b,
           const TakeSums& take) const;
  void run(const Tensor& a, const Tensor* zero_a, const Tensor& b, const Tensor* zero_b,
           const TakeSums& take) const;

  int64_t columns() const { return n_; }

 private:
  RightMatrix right(const Tensor& b, int64_t index, int32_t* memory) const;

  Dots dots_;
  MatrixBatches batches_;
  int64_t m_, n_, k_;
  Tensor packed_;
};

}  // namespace onnxrun
