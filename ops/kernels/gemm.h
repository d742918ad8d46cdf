// Matrix products.
//
//     C = alpha * op(A) * op(B) + beta * C,    op(A): m x k, op(B): k x n, C: m x n
//
// All matrices are row-major; op(X) is X or its transpose, and ld* is the distance between rows as
// stored. C must not overlap A or B. If beta is 0, C is written without being read. k = 0 is a sum
// of nothing: C = beta * C.
//
// Every element of C is computed in one order that depends on k alone: fused (where the processor
// can) products are added one by one in blocks of 256 terms, and the blocks' sums are added to C
// one by one. So an element's bits depend on its row of A and column of B, alpha, beta and its old
// value, but not on m, n, the transpositions, the other rows or the number of threads: a net gives
// the same results for a batch as for its rows one by one, or a sequence as for its steps.
//
// Large products use the threads of the caller's ThreadScope. Safe to call from many threads.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "kernels/kernel_list.h"
#include "kernels/limits.h"

namespace onnxrun {

// An element of op(X) lies at data[row * row_step + column * column_step].
template <typename T>
struct MatrixView {
  const T* data;
  int64_t row_step, column_step;
};

// op(X) of a matrix as stored.
template <typename T>
MatrixView<T> matrix_view(const T* data, int64_t ld, bool transposed) {
  return transposed ? MatrixView<T>{data, 1, ld} : MatrixView<T>{data, ld, 1};
}

// The letters of the formula above.
template <typename T>
struct GemmArgs {
  int64_t m, n, k;
  T alpha;
  MatrixView<T> a, b;
  T beta;
  T* c;
  int64_t ldc;
  const Limits<T>* limits = nullptr;  // of the results; integers have none
};

void gemm(const GemmArgs<float>& args);
void gemm(const GemmArgs<double>& args);

// What gemm() chooses from, by the sizes and the steps of the matrices. All that apply to a product
// give the same bits.
template <typename T>
using GemmKernel = Kernel<GemmArgs<T>>;
template <typename T>
std::span<const GemmKernel<T>> gemm_kernels();
template <>
std::span<const GemmKernel<float>> gemm_kernels<float>();
template <>
std::span<const GemmKernel<double>> gemm_kernels<double>();

// op(B) laid out for products with it again and again, of a few rows each: what one processor's
// kernel wants, so it is not stored anywhere. In float and double.
template <typename T>
int64_t packed_elements(int64_t k, int64_t n);
template <>
int64_t packed_elements<float>(int64_t k, int64_t n);
template <>
int64_t packed_elements<double>(int64_t k, int64_t n);
// `packed` has packed_elements<T>(k, n) elements.
void pack_columns(const MatrixView<float>& b, int64_t k, int64_t n, float* packed);
void pack_columns(const MatrixView<double>& b, int64_t k, int64_t n, double* packed);
// gemm() with args.b as pack_columns() laid it out; args.b is not read. The same bits. One product
// after another finds more of a large B in the cache if every other one takes it from the back.
void gemm_packed(const GemmArgs<float>& args, const float* packed, bool from_back = false);
void gemm_packed(const GemmArgs<double>& args, const double* packed, bool from_back = false);

// Integers wrap around.
void gemm(const GemmArgs<int32_t>& args);
void gemm(const GemmArgs<int64_t>& args);
void gemm(const GemmArgs<uint32_t>& args);
void gemm(const GemmArgs<uint64_t>& args);

// The same with the arguments of BLAS's gemm.
template <typename T>
void gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k,
          std::type_identity_t<T> alpha, const T* a, int64_t lda, const T* b, int64_t ldb,
          std::type_identity_t<T> beta, T* c, int64_t ldc, const Limits<T>* limits = nullptr) {
  gemm(GemmArgs<T>{m, n, k, alpha, matrix_view(a, lda, trans_a), matrix_view(b, ldb, trans_b), beta,
                   c, ldc, limits});
}

}  // namespace onnxrun
