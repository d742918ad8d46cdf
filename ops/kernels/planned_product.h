// Products of matrices whose shape is known before they run.
#pragma once

#include <string_view>
#include <type_traits>

#include "graph/run_context.h"
#include "kernels/openblas.h"

namespace onnxrun {

// C = alpha op(A) op(B) + beta C, of matrices without gaps, with one kernel of three: "openblas",
// "B packed once", or what gemm() finds best, which has no name. Without OpenBLAS every kernel
// gives the same bits.
struct PlannedProduct {
  bool trans_a = false, trans_b = false;
  int64_t m = 0, n = 0, k = 0;
  bool by_openblas = false;
  Tensor packed;  // by pack_columns(), where B is constant and few rows of A meet it in a run

  // For op(B) in input `b`, one matrix, and an output of type `type`. Kernels that keep something
  // of B are taken only where the memory limit has room.
  void choose_kernel(const PrepareContext& c, size_t b, DType type);

  std::string_view kernel() const {
    return by_openblas ? "openblas" : packed.defined() ? "B packed once" : "";
  }

  template <typename T>
  void run(std::type_identity_t<T> alpha, const T* a, const T* b, std::type_identity_t<T> beta,
           T* c, const Limits<T>* limits = nullptr) const {
    if constexpr (std::is_floating_point_v<T>) {
      if (packed.dtype() == dtype_of<T>) {
        const MatrixView<T> rows = matrix_view(a, trans_a ? m : k, trans_a);
        return gemm_packed({m, n, k, alpha, rows, {}, beta, c, n, limits}, packed.data<T>());
      }
    }
    gemm_by<T>(by_openblas, trans_a, trans_b, m, n, k, alpha, a, b, beta, c, limits);
  }
};

}  // namespace onnxrun
