// OpenBLAS, a library that is loaded when it is first asked for.
//
// What it computes depends on its version, on the processor, and on the shape of the whole product:
// the same operands give the same bits, on any number of threads. Only builds without threads of
// their own are taken, as work is cut into pieces by shape and spread by parallel_for. Safe to call
// from many threads; all of it but has_openblas() and openblas_takes() throws Unsupported where
// OpenBLAS is not there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "graph/run_context.h"
#include "kernels/gemm.h"

namespace onnxrun {

struct OpenBlasFacts {
  std::string version;      // "0.3.21"
  std::string core;         // the processor that its kernels are for: "Haswell"
  bool is_generic = false;  // these are older than what this processor has
};
const OpenBlasFacts& openblas_facts();

// Throws Unsupported if these products cannot be had.
void require_products(Products products);
bool has_openblas();

// Whether a product of floats is given to OpenBLAS: large ones, where OpenBLAS is chosen.
bool openblas_takes(Products products, int64_t m, int64_t n, int64_t k);

// For tests: products of at least so many multiplications are large, in all threads, until the
// scope ends.
class OpenBlasFrom {
 public:
  explicit OpenBlasFrom(int64_t multiplications);
  ~OpenBlasFrom();
  OpenBlasFrom(const OpenBlasFrom&) = delete;
  OpenBlasFrom& operator=(const OpenBlasFrom&) = delete;

 private:
  int64_t previous_;
};

// As gemm(). Each piece of C is one call, so k is never split. What BLAS has no form for (steps of
// both rows and columns, alpha = 0 with what is no number) is gemm()'s.
void openblas_gemm(const GemmArgs<float>& args);
void openblas_gemm(const GemmArgs<double>& args);

// P A = L U of a matrix of n x n numbers that are finite, in place of it.
class OpenBlasFactors {
 public:
  // `matrix`, row-major, must live as long.
  OpenBlasFactors(double* matrix, int64_t n);

  // False where a pivot is zero: then the determinant is.
  bool is_regular() const { return regular_; }
  double determinant() const;
  // The smallest pivot beside the largest, as a measure of how far from singular the matrix is.
  double pivot_ratio() const;
  // out = the inverse, or its transpose; n x n, row-major. Only of what is regular.
  void invert(bool transposed, double* out) const;

 private:
  double* a_;
  int n_;
  bool regular_;
  std::unique_ptr<int[]> pivots_;
};

// The state of operators on square matrices [..., n, n] that OpenBLAS works on; null where the
// library's own kernels do.
std::unique_ptr<KernelState> prepare_square(const PrepareContext& c);

}  // namespace onnxrun
