// Det, and onnxrun.Cofactor, its gradient.
#include <cmath>
#include <iterator>
#include <numeric>

#include "base/threads.h"
#include "kernels/composed.h"
#include "kernels/finite_numbers.h"
#include "kernels/openblas.h"

namespace onnxrun {

namespace {

// Row-major, n x n.
using Matrix = std::vector<double>;

// By elimination with the largest pivot of each column.
double determinant(const RunControl& control, Matrix a, int64_t n) {
  double det = 1;
  for (int64_t k = 0; k < n; ++k) {
    control.check();
    auto at = [&](int64_t i, int64_t j) -> double& { return a[static_cast<size_t>(i * n + j)]; };
    int64_t best = k;
    for (int64_t i = k + 1; i < n; ++i) {
      // What is no number is taken, too, so that the result is none.
      if (!(std::abs(at(i, k)) <= std::abs(at(best, k)))) best = i;
    }
    if (at(best, k) == 0) return 0;
    if (best != k) {
      for (int64_t j = k; j < n; ++j) std::swap(at(best, j), at(k, j));
      det = -det;
    }
    det *= at(k, k);
    for (int64_t i = k + 1; i < n; ++i) {
      double factor = at(i, k) / at(k, k);
      for (int64_t j = k + 1; j < n; ++j) at(i, j) -= factor * at(k, j);
    }
  }
  return det;
}

// P A Q = L U with the largest of all remaining elements as pivots. The last pivot may be zero;
// where an earlier one is, the rank is less than n - 1, and complete is false.
class FullyPivoted {
 public:
  FullyPivoted(const RunControl& control, Matrix matrix, int64_t size)
      : a(std::move(matrix)), n(size) {
    rows.resize(static_cast<size_t>(n));
    std::iota(rows.begin(), rows.end(), 0);
    columns = rows;
    for (int64_t k = 0; k < n && complete; ++k) {
      control.check();
      pivot(k);
      if (k == n - 1) break;
      complete = at(k, k) != 0;
      for (int64_t i = k + 1; i < n && complete; ++i) {
        at(i, k) /= at(k, k);
        for (int64_t j = k + 1; j < n; ++j) at(i, j) -= at(i, k) * at(k, j);
      }
    }
  }

  double& at(int64_t i, int64_t j) { return a[static_cast<size_t>(i * n + j)]; }

  Matrix a;  // U, and below its diagonal L without its ones
  int64_t n;
  std::vector<int64_t> rows, columns;  // (P A Q)[i][j] = A[rows[i]][columns[j]]
  double sign = 1;                     // det P det Q
  bool complete = true;

 private:
  void pivot(int64_t k) {
    int64_t row = k, column = k;
    for (int64_t i = k; i < n; ++i) {
      for (int64_t j = k; j < n; ++j) {
        if (!(std::abs(at(i, j)) <= std::abs(at(row, column)))) row = i, column = j;
      }
    }
    if (row != k) {
      for (int64_t j = 0; j < n; ++j) std::swap(at(row, j), at(k, j));
      std::swap(rows[static_cast<size_t>(row)], rows[static_cast<size_t>(k)]);
      sign = -sign;
    }
    if (column != k) {
      for (int64_t i = 0; i < n; ++i) std::swap(at(i, column), at(i, k));
      std::swap(columns[static_cast<size_t>(column)], columns[static_cast<size_t>(k)]);
      sign = -sign;
    }
  }
};

// The cofactors are the transposed adjugate, adj A = sign Q adj(U) L^-1 P. With U = [V u; 0 d]
//     adj U = [d det(V) V^-1, -det(V) V^-1 u; 0, det(V)],
// which holds for singular matrices (d = 0), too: nothing is divided by d.
void cofactors(const RunControl& control, Matrix matrix, int64_t n, double* out) {
  std::fill_n(out, n * n, 0.0);
  FullyPivoted f(control, std::move(matrix), n);
  if (!f.complete || n == 0) return;
  int64_t last = n - 1;
  double det = f.sign;
  for (int64_t k = 0; k < last; ++k) det *= f.at(k, k);
  std::vector<double> z(static_cast<size_t>(n));
  auto v = [&](int64_t i) -> double& { return z[static_cast<size_t>(i)]; };
  for (int64_t j = 0; j < n; ++j) {
    control.check();
    for (int64_t i = 0; i < n; ++i) {
      v(i) = i == j ? 1 : 0;
      for (int64_t k = j; k < i; ++k) v(i) -= f.at(i, k) * v(k);
    }
    for (int64_t i = last; i-- > 0;) {
      v(i) = f.at(last, last) * v(i) - f.at(i, last) * v(last);
      for (int64_t k = i + 1; k < last; ++k) v(i) -= f.at(i, k) * v(k);
      v(i) /= f.at(i, i);
    }
    for (int64_t i = 0; i < n; ++i) {
      int64_t row = f.rows[static_cast<size_t>(j)], column = f.columns[static_cast<size_t>(i)];
      out[row * n + column] = det * v(i);
    }
  }
}

// The same from the inverse; false where the matrix is too near a singular one for that.
bool cofactors_by_openblas(Matrix matrix, int64_t n, double* out) {
  constexpr double least_ratio = 1e-6;
  if (!are_finite(matrix.data(), std::ssize(matrix))) return false;
  const OpenBlasFactors f(matrix.data(), n);
  if (!f.is_regular() || f.pivot_ratio() < least_ratio) return false;
  const double det = f.determinant();
  if (!std::isnormal(det)) return false;
  f.invert(true, out);
  for (int64_t i = 0; i < n * n; ++i) out[i] *= det;
  return true;
}

void check_square(const InferContext& c) {
  const Shape* x = c.shape(0);
  if (!x) return;
  bool good = x->size() >= 2;
  if (good) {
    const Dim &rows = (*x)[x->size() - 2], &columns = x->back();
    good = !rows.is_known() || !columns.is_known() || rows == columns;
  }
  if (!good) c.reject("{}, expected square matrices", c.describe_input(0));
}

// Calls f(matrix in double, its number) for all matrices.
template <typename F>
void for_each_matrix(const RunContext& c, int64_t count, const F& f) {
  const Tensor& x = c.input(0);
  int64_t n = x.dims().back(), size = n * n;
  c.control().require(4 * size, sizeof(double), "a matrix");
  int64_t work = std::max<int64_t>(1, size * n);
  dispatch_float(x.dtype(), [&]<typename T>() {
    parallel_for(count, std::max<int64_t>(1, 16384 / work), [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        c.control().check();
        const T* from = x.data<T>() + k * size;
        Matrix m(static_cast<size_t>(size));
        std::transform(from, from + size, m.begin(), [](T v) { return static_cast<double>(v); });
        f(std::move(m), n, k);
      }
    });
  });
}

template <typename T>
T narrow(double v) {
  if constexpr (std::is_same_v<T, double>) return v;
  return static_cast<T>(static_cast<float>(v));
}

class Det final : public Op {
 public:
  void infer(InferContext& c) const override {
    check_square(c);
    const Shape* x = c.shape(0);
    if (!x) return c.set_output(0, c.dtype(0));
    c.set_output(0, c.dtype(0), Shape(x->begin(), x->end() - 2));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return prepare_square(c);
  }

  void run(RunContext& c) const override {
    Tensor& y = c.output(0);
    for_each_matrix(c, y.size(), [&](Matrix m, int64_t n, int64_t k) {
      double det = c.is_prepared() && are_finite(m.data(), std::ssize(m))
                       ? OpenBlasFactors(m.data(), n).determinant()
                       : determinant(c.control(), std::move(m), n);
      dispatch_float(y.dtype(), [&]<typename T>() { y.data<T>()[k] = narrow<T>(det); });
    });
  }

  // Jacobi: d det(A) = <cof(A), dA>
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    ValueId dy = g.builder().unsqueeze(g.grad(0), {-2, -1});
    g.set(0, g.mul(dy, g.add("onnxrun.Cofactor", {g.input(0)})));
  }
};

class Cofactor final : public Op {
 public:
  void infer(InferContext& c) const override {
    check_square(c);
    infer_same(c);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return prepare_square(c);
  }

  void run(RunContext& c) const override {
    Tensor& y = c.output(0);
    int64_t size = y.dims().back() * y.dims().back();
    if (y.size() == 0) return;
    for_each_matrix(c, y.size() / size, [&](Matrix m, int64_t n, int64_t k) {
      Matrix out(static_cast<size_t>(size));
      if (!c.is_prepared() || !cofactors_by_openblas(m, n, out.data())) {
        cofactors(c.control(), std::move(m), n, out.data());
      }
      dispatch_float(y.dtype(), [&]<typename T>() {
        std::transform(out.begin(), out.end(), y.data<T>() + k * size, narrow<T>);
      });
    });
  }

  // With C = cof(A) = det(A) A^-T: <V, dC> = <C <C, V> - C V^T C, dA> / det(A)
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    const Emit e(g.builder());
    int64_t rank = e.b.rank(g.input(0));
    if (rank < 2) fail(ErrorKind::Unsupported, "the rank is not known");
    std::vector<int64_t> perm(static_cast<size_t>(rank));
    std::iota(perm.begin(), perm.end(), 0);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    ValueId c = g.output(0), v = g.grad(0);
    ValueId common = e.reduce("ReduceSum", e.mul(c, v), {-2, -1}, true);
    ValueId product = e.matmul(e.matmul(c, e.b.transpose(v, perm)), c);
    ValueId det = e.b.unsqueeze(e("Det", {g.input(0)}), {-2, -1});
    g.set(0, e.div(e.sub(e.mul(c, common), product), det));
  }

  // Signed determinants of what is left without a row and a column.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0);
    const Type type = e.b.type(x);
    if (!type.shape || !type.shape->back().is_known()) {
      fail(ErrorKind::Unsupported, "the size of the matrices is not known");
    }
    int64_t n = type.shape->back().value(), rank = e.b.rank(x);
    if (n <= 1) return d.set(0, e.fill(1, type.dtype, e.b.shape_of(x)));
    std::vector<int64_t> others;
    std::vector<double> signs;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        if (j != i) others.push_back(j);
        signs.push_back((i + j) % 2 == 0 ? 1 : -1);
      }
    }
    ValueId rest = e.b.constant(Tensor::of<int64_t>({n, n - 1}, others));
    ValueId rows = e("Gather", {x, rest}, {{"axis", rank - 2}});
    ValueId minors = e("Gather", {rows, rest}, {{"axis", rank}});
    std::vector<int64_t> perm(static_cast<size_t>(rank + 2));
    std::iota(perm.begin(), perm.end(), 0);
    std::swap(perm[static_cast<size_t>(rank - 1)], perm[static_cast<size_t>(rank)]);
    ValueId dets = e("Det", {e.b.transpose(minors, perm)});
    d.set(0, e.mul(dets, e.b.constant(convert(Tensor::of<double>({n, n}, signs), type.dtype))));
  }
};

}  // namespace

void register_det(OpRegistry& r) {
  r.add<Det>({.name = "Det",
              .doc = "determinants of square matrices",
              .since = {11, 22},
              .inputs = {{"X", "T"}},
              .outputs = {{"Y", "T"}},
              .types = {{"T", dtypes::floats}}});
  r.add<Cofactor>({.name = "Cofactor",
                   .domain = private_domain,
                   .doc = "derivatives of determinants by each element",
                   .since = {1},
                   .inputs = {{"X", "T"}},
                   .outputs = {{"Y", "T"}},
                   .types = {{"T", dtypes::floats}},
                   .gradient = GradientState::Rule,
                   .decomposes = true});
}

}  // namespace onnxrun
