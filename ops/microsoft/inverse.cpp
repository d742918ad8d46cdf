// com.microsoft: Inverse.
#include <cmath>
#include <iterator>

#include "base/threads.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/finite_numbers.h"
#include "kernels/openblas.h"
#include "tensor/tensor.h"

namespace onnxrun {

namespace {

// a becomes its inverse, by elimination (Gauss and Jordan) with the largest pivot of each column.
// False if there is none.
bool invert(const RunControl& control, std::vector<double>& a, int64_t n) {
  std::vector<int64_t> swaps;
  auto at = [&](int64_t i, int64_t j) -> double& { return a[static_cast<size_t>(i * n + j)]; };
  for (int64_t k = 0; k < n; ++k) {
    control.check();
    int64_t best = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::abs(at(i, k)) > std::abs(at(best, k))) best = i;
    }
    swaps.push_back(best);
    if (!(std::abs(at(best, k)) > 0)) return false;
    for (int64_t j = 0; j < n; ++j) std::swap(at(best, j), at(k, j));
    double scale = 1 / at(k, k);
    at(k, k) = 1;
    for (int64_t j = 0; j < n; ++j) at(k, j) *= scale;
    for (int64_t i = 0; i < n; ++i) {
      if (i == k) continue;
      double factor = at(i, k);
      at(i, k) = 0;
      for (int64_t j = 0; j < n; ++j) at(i, j) -= factor * at(k, j);
    }
  }
  for (int64_t k = n; k-- > 0;) {
    int64_t other = swaps[static_cast<size_t>(k)];
    for (int64_t i = 0; i < n && other != k; ++i) std::swap(at(i, k), at(i, other));
  }
  return true;
}

bool invert_by_openblas(std::vector<double>& a, int64_t n) {
  const OpenBlasFactors factors(a.data(), n);
  if (!factors.is_regular()) return false;
  std::vector<double> inverse(a.size());
  factors.invert(false, inverse.data());
  a.swap(inverse);
  return true;
}

class Inverse final : public Op {
 public:
  void infer(InferContext& c) const override {
    if (const Shape* x = c.shape(0)) {
      bool square = x->size() >= 2;
      if (square) {
        const Dim &rows = (*x)[x->size() - 2], &columns = x->back();
        square = !rows.is_known() || !columns.is_known() || rows == columns;
      }
      if (!square) c.reject("{}, expected square matrices", c.describe_input(0));
    }
    infer_same(c);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return prepare_square(c);
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    const int64_t n = x.dims().back();
    if (x.dim(x.rank() - 2) != n) {
      fail(ErrorKind::BadInput, "{}, expected square matrices", x.type_text());
    }
    if (x.size() == 0) return;
    std::vector<double> all = to_doubles(x);
    parallel_for(x.size() / (n * n), 1, [&](int64_t begin, int64_t end) {
      for (int64_t m = begin; m < end; ++m) {
        std::vector<double> a(all.begin() + m * n * n, all.begin() + (m + 1) * n * n);
        const bool done = c.is_prepared() && are_finite(a.data(), std::ssize(a))
                              ? invert_by_openblas(a, n)
                              : invert(c.control(), a, n);
        if (!done) fail(ErrorKind::BadInput, "matrix {} is singular", m);
        dispatch<float, double, float16>(y.dtype(), [&]<typename T>() {
          for (int64_t i = 0; i < n * n; ++i) {
            double v = a[static_cast<size_t>(i)];
            if constexpr (std::is_same_v<T, double>) {
              y.data<T>()[m * n * n + i] = v;
            } else {
              y.data<T>()[m * n * n + i] = static_cast<T>(static_cast<float>(v));
            }
          }
        });
      }
    });
  }

  // dX = -Y^T dY Y^T.
  void gradient(GradientContext& g) const override {
    ValueId y = g.output(0);
    ValueId left = g.add("onnxrun.MatMulT", {y, g.grad(0)}, {{"transA", int64_t{1}}});
    ValueId both = g.add("onnxrun.MatMulT", {left, y}, {{"transB", int64_t{1}}});
    g.set(0, g.add("Neg", {both}));
  }
};

}  // namespace

void register_microsoft_inverse(OpRegistry& r) {
  r.add<Inverse>({.name = "Inverse",
                  .domain = "com.microsoft",
                  .doc = "the inverse of each matrix",
                  .since = {1},
                  .inputs = {{"X", "T"}},
                  .outputs = {{"Y", "T"}},
                  .types = {{"T", dtypes::f32_f64 | DTypeSet(DType::Float16)}}});
}

}  // namespace onnxrun
