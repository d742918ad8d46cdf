// MatMul, and onnxrun.MatMulT, which takes its operands transposed.
#include "base/threads.h"
#include "emit/matrix_products.h"
#include "graph/gradient_context.h"
#include "graph/matrix_product.h"
#include "graph/quantized_form.h"
#include "graph/run_context.h"
#include "kernels/compute_buffers.h"
#include "kernels/openblas.h"
#include "matrix_batches.h"
#include "passes/gradient.h"

namespace onnxrun {

namespace {

// Multiplications that are worth a piece of a parallel loop.
constexpr int64_t product_grain = 1 << 17;

struct BatchedProduct final : KernelState {
  bool trans_a = false, trans_b = false;
  int64_t m = 0, n = 0, k = 0;
  int64_t batches = 1;
  int64_t grain = 1;  // batches that are worth a piece of a parallel loop
  MatrixBatches matrices;
  bool by_openblas = false;

  std::string_view kernel() const override { return by_openblas ? "openblas" : ""; }
};

std::unique_ptr<BatchedProduct> plan_product(const PrepareContext& c, bool trans_a, bool trans_b) {
  Dims a = c.input(0).dims(), b = c.input(1).dims();
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  auto p = std::make_unique<BatchedProduct>();
  auto last = [](const Dims& d, bool first) { return d[d.size() - (first ? 2 : 1)]; };
  p->trans_a = trans_a;
  p->trans_b = trans_b;
  p->m = last(a, !trans_a);
  p->n = last(b, trans_b);
  p->k = last(a, trans_a);
  if (c.output(0).size() == 0) {
    p->batches = 0;
    return p;
  }
  p->matrices = MatrixBatches(a, b);
  p->batches = p->matrices.count();
  bool one_b = c.input(1).size() == p->k * p->n;
  // All matrices of `a` lie one below the other: one product with the one matrix of `b`.
  if (!trans_a && one_b && p->k * p->n > 0) {
    p->m *= p->batches;
    p->batches = 1;
    p->matrices = {};
  }
  p->by_openblas = dtypes::floats.contains(c.output(0).dtype()) &&
                   openblas_takes(c.products(), p->m, p->n, p->k);
  int64_t work = c.output(0).size() / p->batches * p->k;
  p->grain = std::max<int64_t>(1, product_grain / std::max<int64_t>(1, work));
  return p;
}

template <typename T>
void run_batches(const BatchedProduct& p, const T* a, const T* b, T* c, int64_t begin,
                 int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const auto [a_at, b_at] = p.matrices.at(i);
    gemm_by<T>(p.by_openblas, p.trans_a, p.trans_b, p.m, p.n, p.k, 1, a + a_at * p.m * p.k,
               b + b_at * p.k * p.n, 0, c + i * p.m * p.n);
  }
}

template <typename T>
void run_product(const BatchedProduct& p, const T* a, const T* b, T* c) {
  if (p.batches <= p.grain) return run_batches(p, a, b, c, 0, p.batches);
  parallel_for(p.batches, p.grain,
               [&](int64_t begin, int64_t end) { run_batches(p, a, b, c, begin, end); });
}

// Y = op(A) op(B) over the last two axes.
class MatrixOp : public Op, public MatrixProduct {
 public:
  Transposed transposed() const override { return {trans_a_, trans_b_}; }
  ProductForm form(Transposed t) const override {
    return {"onnxrun.MatMulT", {{"transA", int64_t{t.left}}, {"transB", int64_t{t.right}}}};
  }

  void infer(InferContext& c) const override {
    const Shape *a = c.shape(0), *b = c.shape(1);
    if (!a || !b) return c.set_output(0, c.dtype(0));
    if (a->size() < lowest_rank() || b->size() < lowest_rank()) {
      c.reject("inputs must have at least {} axes: {}, {}", lowest_rank(), c.describe_input(0),
               c.describe_input(1));
    }
    c.set_output(0, c.dtype(0), product_shape(c, *a, *b));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return plan_product(c, trans_a_, trans_b_);
  }

  void run(RunContext& c) const override {
    const auto& p = c.state<BatchedProduct>();
    dispatch<float, double, float16, bfloat16, int32_t, int64_t, uint32_t, uint64_t>(
        c.output(0).dtype(), [&]<typename T>() {
          ComputeInput<T> a(c.input(0)), b(c.input(1));
          ComputeOutput<T> y(c.output(0));
          run_product(p, a.data(), b.data(), y.data());
          y.store();
        });
  }

 protected:
  virtual size_t lowest_rank() const = 0;

  bool trans_a_ = false;
  bool trans_b_ = false;

 private:
  Shape product_shape(const InferContext& c, Shape a, Shape b) const {
    bool row = a.size() == 1, column = b.size() == 1;
    if (row) a.insert(a.begin(), Dim(1));
    if (column) b.push_back(Dim(1));
    if (trans_a_) std::swap(a[a.size() - 2], a[a.size() - 1]);
    if (trans_b_) std::swap(b[b.size() - 2], b[b.size() - 1]);
    Dim m = a[a.size() - 2], n = b.back();
    check_inner(c, a.back(), b[b.size() - 2]);
    a.resize(a.size() - 2);
    b.resize(b.size() - 2);
    Shape y;
    try {
      y = broadcast(a, b);
    } catch (const Error&) {
      c.reject("batch dimensions do not broadcast: {}, {}", c.describe_input(0),
               c.describe_input(1));
    }
    if (!row) y.push_back(m);
    if (!column) y.push_back(n);
    return y;
  }
};

// d(A B) = dA B + A dB, with vectors as matrices of one row (A) or column (B).
class MatMul final : public MatrixOp, public HasQuantizedForm {
 public:
  int64_t scale_axis() const override { return 1; }
  std::optional<QuantizedForm> quantized_form(const Graph& graph,
                                              const QuantizedOperands& o) const override {
    const int64_t rank = graph.value(o.w.levels).type.rank();
    if (graph.value(o.x.levels).type.rank() < 2 || rank < 2) return std::nullopt;
    // Lists of scales are those of the columns of one matrix.
    const Tensor* scales = graph.constant(o.w.scale);
    if (rank != 2 && !(scales && scales->size() == 1)) return std::nullopt;
    if (o.y.scale == no_value) {
      return QuantizedForm{
          "com.microsoft.MatMulIntegerToFloat",
          {o.x.levels, o.w.levels, o.x.scale, o.w.scale, o.x.zero_point, o.w.zero_point},
          {}};
    }
    return QuantizedForm{"QLinearMatMul",
                         {o.x.levels, o.x.scale, o.x.zero_point, o.w.levels, o.w.scale,
                          o.w.zero_point, o.y.scale, o.y.zero_point},
                         {}};
  }

  size_t lowest_rank() const override { return 1; }

  void gradient(GradientContext& g) const override {
    int64_t a = g.rank(g.input(0)), b = g.rank(g.input(1));
    if (a < 0 || b < 0) return unknown_ranks(g);
    if (a > 2 || b > 2) return batches(g, a, b);
    // First what reads A, which is often the largest of all and then free.
    if (g.wants(1)) g.set(1, right(g, a, b));
    if (g.wants(0)) g.set(0, left(g, a, b));
  }

 private:
  static ValueId left(GradientContext& g, int64_t a, int64_t b) {
    ValueId dy = g.grad(0), other = g.input(1);
    if (a == 1 && b == 1) return g.mul(dy, other);
    if (a == 1) return g.add("MatMul", {other, dy});
    if (b == 1) return outer(g, dy, other);
    return emit_product(g.builder(), dy, false, other, true);
  }

  static ValueId right(GradientContext& g, int64_t a, int64_t b) {
    ValueId dy = g.grad(0), other = g.input(0);
    if (a == 1 && b == 1) return g.mul(dy, other);
    if (a == 1) return outer(g, other, dy);
    if (b == 1) return g.add("MatMul", {dy, other});
    return emit_product(g.builder(), other, true, dy, false);
  }

  static ValueId outer(GradientContext& g, ValueId column, ValueId row) {
    return emit_product(g.builder(), g.builder().unsqueeze(column, {1}), false,
                        g.builder().unsqueeze(row, {0}), false);
  }

  // The batch axes of a cotangent are summed where an operand was repeated.
  static void batches(GradientContext& g, int64_t ra, int64_t rb) {
    GraphBuilder& b = g.builder();
    ValueId left = g.input(0), right = g.input(1), dy = g.grad(0);
    if (rb == 1) {
      right = b.unsqueeze(right, {1});
      dy = b.unsqueeze(dy, {-1});
    }
    if (ra == 1) {
      left = b.unsqueeze(left, {0});
      dy = b.unsqueeze(dy, {-2});
    }
    if (g.wants(1)) {
      // A weight that all batches share gets its gradient by one product over all of their rows.
      bool shared = rb <= 2;
      ValueId db = shared ? emit_product(b, emit_rows(b, left), true, emit_rows(b, dy), false)
                          : emit_product(b, left, true, dy, false);
      g.set(1, rb == 1 ? b.squeeze(db, {1}) : db);
    }
    if (g.wants(0)) {
      ValueId da = emit_product(b, dy, false, right, true);
      g.set(0, ra == 1 ? b.squeeze(sum_to(b, da, left), {0}) : da);
    }
  }

  // Vectors become matrices by reshaping to what their shapes turn out to be.
  static void unknown_ranks(GradientContext& g) {
    GraphBuilder& b = g.builder();
    auto concat = [&](std::vector<ValueId> parts) {
      return b.add("Concat", std::move(parts), {{"axis", int64_t{0}}});
    };
    ValueId one = b.ints({1}), two = b.ints({2}), start = b.ints({0});
    ValueId a_shape = b.shape_of(g.input(0)), b_shape = b.shape_of(g.input(1));
    ValueId a_rank = b.shape_of(a_shape), b_rank = b.shape_of(b_shape);
    ValueId right_shape =
        b.add("Slice", {concat({b_shape, one}), start, b.add("Max", {b_rank, two})});
    ValueId left_shape = concat({one, a_shape});
    ValueId left = b.reshape(g.input(0), left_shape), right = b.reshape(g.input(1), right_shape);
    // dY without the axes of its matrices, which vectors left out.
    ValueId dy = g.grad(0), dy_shape = b.shape_of(dy);
    ValueId axes = b.add("Add", {b.add("Min", {b.add("Sub", {a_rank, one}), one}),
                                 b.add("Min", {b.add("Sub", {b_rank, one}), one})});
    ValueId batch = b.add("Slice", {dy_shape, start, b.add("Sub", {b.shape_of(dy_shape), axes})});
    ValueId rows = b.slice(left_shape, 0, -2, -1), columns = b.slice(right_shape, 0, -1, INT64_MAX);
    dy = b.reshape(dy, concat({one, batch, rows, columns}));
    auto give = [&](size_t i, ValueId cotangent, ValueId like) {
      g.set(i, b.reshape(sum_to(b, cotangent, like), i == 0 ? a_shape : b_shape));
    };
    auto product = [&](ValueId x, bool trans_x, ValueId y, bool trans_y) {
      return b.add("onnxrun.MatMulT", {x, y},
                   {{"transA", int64_t{trans_x}}, {"transB", int64_t{trans_y}}});
    };
    if (g.wants(0)) give(0, product(dy, false, right, true), left);
    if (g.wants(1)) give(1, product(left, true, dy, false), right);
  }
};

class MatMulT final : public MatrixOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("transA", trans_a_, "A's last two axes are swapped");
    v.visit("transB", trans_b_, "B's last two axes are swapped");
  }

  size_t lowest_rank() const override { return 2; }

  // d(op(A) op(B)) = op(dA) op(B) + op(A) op(dB)
  void gradient(GradientContext& g) const override {
    GraphBuilder& b = g.builder();
    ValueId left = g.input(0), right = g.input(1), dy = g.grad(0);
    if (b.rank(left) < 0 || b.rank(right) < 0) return unknown_ranks(g);
    if (g.wants(0)) {
      g.set(0, trans_a_ ? emit_product(b, right, trans_b_, dy, true)
                        : emit_product(b, dy, false, right, !trans_b_));
    }
    if (!g.wants(1)) return;
    if (b.rank(right) == 2 && !trans_a_) {
      left = emit_rows(b, left);
      dy = emit_rows(b, dy);
    }
    g.set(1, trans_b_ ? emit_product(b, dy, true, left, trans_a_)
                      : emit_product(b, left, !trans_a_, dy, false));
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    auto operand = [&](size_t i, bool trans) {
      return trans ? swapped(b, d.input(i)) : d.input(i);
    };
    d.set(0, b.add("MatMul", {operand(0, trans_a_), operand(1, trans_b_)}));
  }

 private:
  void unknown_ranks(GradientContext& g) const {
    ValueId left = g.input(0), right = g.input(1), dy = g.grad(0);
    auto product = [&](ValueId x, bool trans_x, ValueId y, bool trans_y) {
      return g.add("onnxrun.MatMulT", {x, y},
                   {{"transA", int64_t{trans_x}}, {"transB", int64_t{trans_y}}});
    };
    if (g.wants(0)) {
      g.set(0,
            trans_a_ ? product(right, trans_b_, dy, true) : product(dy, false, right, !trans_b_));
    }
    if (g.wants(1)) {
      g.set(1, trans_b_ ? product(dy, true, left, trans_a_) : product(left, !trans_a_, dy, false));
    }
  }

  static ValueId swapped(GraphBuilder& b, ValueId v) {
    if (int64_t rank = b.rank(v); rank >= 0) {
      std::vector<int64_t> perm(static_cast<size_t>(rank));
      for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(i);
      std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
      return b.transpose(v, perm);
    }
    // With the batch axes as one, the rank is three.
    ValueId shape = b.shape_of(v);
    ValueId batch = b.slice(shape, 0, 0, -2);
    ValueId rows = b.slice(shape, 0, -2, -1), columns = b.slice(shape, 0, -1, INT64_MAX);
    auto concat = [&](std::vector<ValueId> parts) {
      return b.add("Concat", std::move(parts), {{"axis", int64_t{0}}});
    };
    ValueId count = b.add("ReduceProd", {batch}, {{"keepdims", int64_t{1}}});
    ValueId stacked = b.reshape(v, concat({count, rows, columns}));
    return b.reshape(b.transpose(stacked, {0, 2, 1}), concat({batch, columns, rows}));
  }
};

constexpr DTypeSet product_types =
    dtypes::floats | DTypeSet{DType::Int32, DType::Int64, DType::UInt32, DType::UInt64};

}  // namespace

void register_matmul(OpRegistry& r) {
  r.add<MatMul>({.name = "MatMul",
                 .doc = "matrix product over the last two axes, as numpy.matmul",
                 .since = {1, 9, 13},
                 .inputs = {{"A", "T", InputRole::Weight}, {"B", "T", InputRole::Weight}},
                 .outputs = {{"Y", "T"}},
                 .types = {{"T", product_types}},
                 .kind = OpKind::Product,
                 .gradient = GradientState::Rule});
  r.add<MatMulT>({.name = "MatMulT",
                  .domain = private_domain,
                  .doc = "matrix product over the last two axes of operands that may be transposed",
                  .since = {1},
                  .inputs = {{"A", "T", InputRole::Weight}, {"B", "T", InputRole::Weight}},
                  .outputs = {{"Y", "T"}},
                  .types = {{"T", product_types}},
                  .kind = OpKind::Product,
                  .gradient = GradientState::Rule,
                  .decomposes = true});
}

}  // namespace onnxrun
