// Products of matrices whose shape is known before they run.
#pragma once

#include <string_view>
#include <tuple>
#include <type_traits>

#include "graph/run_context.h"
#include "kernels/gemm.h"
#include "kernels/openblas.h"

namespace onnxrun {

// C = alpha op(A) op(B) + beta C, of matrices without gaps, with one kernel: "openblas", "B packed
// once", or the one of gemm()'s that it would choose each time; integers have but one, without a
// name. Without OpenBLAS every kernel gives the same bits.
struct PlannedProduct {
  bool trans_a = false, trans_b = false;
  int64_t m = 0, n = 0, k = 0;
  bool by_openblas = false;
  Tensor packed;  // by pack_columns(), where B is constant and few rows of A meet it in a run
  std::tuple<const GemmKernel<float>*, const GemmKernel<double>*> own = {};  // of gemm_kernels()

  // For op(B) in input `b`, one matrix, and an output of type `type`. Kernels that keep something
  // of B are taken only where the memory limit has room.
  void choose_kernel(const PrepareContext& c, size_t b, DType type);
  std::string_view kernel() const;

  template <typename T>
  GemmArgs<T> args(T alpha, const T* a, const T* b, T beta, T* c, const Limits<T>* limits) const {
    return {m,
            n,
            k,
            alpha,
            matrix_view(a, trans_a ? m : k, trans_a),
            matrix_view(b, trans_b ? k : n, trans_b),
            beta,
            c,
            n,
            limits};
  }

  template <typename T>
  void run(std::type_identity_t<T> alpha, const T* a, const T* b, std::type_identity_t<T> beta,
           T* c, const Limits<T>* limits = nullptr) const {
    const GemmArgs<T> all = args(alpha, a, b, beta, c, limits);
    if constexpr (std::is_floating_point_v<T>) {
      if (const auto* kernel = std::get<const GemmKernel<T>*>(own)) return kernel->run(all);
      if (packed.dtype() == dtype_of<T>) return gemm_packed(all, packed.data<T>());
      if (by_openblas) return openblas_gemm(all);
    }
    gemm(all);
  }
};

}  // namespace onnxrun
