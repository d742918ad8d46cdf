// MatMulInteger, QLinearMatMul.
#include "emit/quantize.h"
#include "graph/cost.h"
#include "kernels/byte_matmul.h"
#include "kernels/byte_sums.h"

namespace onnxrun {

namespace {

constexpr DTypeSet small = bytes | dtypes::float8s;

// Scales and zero points of matrices are one, or one a row (a list, or as the matrix with one
// column).
ValueId for_rows(const Emit& e, ValueId v, ValueId matrix) {
  if (e.b.rank(v) != 1 || e.b.rank(matrix) < 2) return v;
  return e.b.unsqueeze(v, {1});
}

// A list of one would make the result of two vectors a list; as a scalar it does not.
ValueId flat(const Emit& e, ValueId v) {
  bool one = e.b.rank(v) > 0 && element_count(*e.b.type(v).shape) == Dim(1);
  return one ? e.b.reshape(v, e.b.ints({})) : v;
}

void check_factor(const InferContext& c, size_t i, size_t matrix, bool rows) {
  const Shape *f = c.has_input(i) ? c.shape(i) : nullptr, *m = c.shape(matrix);
  if (!f || !m || m->empty() || element_count(*f) == Dim(1)) return;
  bool fits = f->size() == 1 || f->size() == m->size();
  size_t at = m->size() >= 2 && rows ? m->size() - 2 : m->size() - 1;
  const Dim& length = f->size() == 1 || !rows ? f->back() : (*f)[f->size() > 1 ? f->size() - 2 : 0];
  fits = fits && (m->size() > 1 || f->size() == 0) &&
         (!length.is_known() || !(*m)[at].is_known() || length == (*m)[at]);
  if (!fits) c.reject("{} does not fit {}", c.describe_input(i), c.describe_input(matrix));
}

std::optional<Shape> matrix_product(const InferContext& c, size_t first, size_t second) {
  const Shape *a = c.shape(first), *b = c.shape(second);
  if (!a || !b) return std::nullopt;
  if (a->empty() || b->empty()) c.reject("a scalar is no matrix");
  const Dim &inner_a = a->back(), &inner_b = b->size() == 1 ? (*b)[0] : (*b)[b->size() - 2];
  if (inner_a.is_known() && inner_b.is_known() && !(inner_a == inner_b)) {
    c.reject("inner dimensions differ: {}, {}", c.describe_input(first), c.describe_input(second));
  }
  auto batch = [](const Shape& s) {
    return s.size() <= 2 ? Shape() : Shape(s.begin(), s.end() - 2);
  };
  Shape y = broadcast(batch(*a), batch(*b));
  if (a->size() > 1) y.push_back((*a)[a->size() - 2]);
  if (b->size() > 1) y.push_back(b->back());
  return y;
}

// x - zero_point in int32.
ValueId centred(const Emit& e, ValueId x, ValueId zero_point) {
  ValueId number = e.b.cast(x, DType::Int32);
  return zero_point == no_value ? number : e.sub(number, e.b.cast(zero_point, DType::Int32));
}

// Computed by products of bytes where these lists go with rows and columns: what input i is, and
// whose it is. All others run what they decompose into.
struct Factor {
  size_t input;
  bool rows;
};

class ByteProductOp : public ComposedOp {
 public:
  Count operations(const CostContext& c) const override { return products_of(c, c.length(0, -1)); }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const final {
    if (!is_whole(c)) return ComposedOp::prepare(c);
    return std::make_unique<ByteMatMul>(c, 0, right());
  }

  void run(RunContext& c) const final {
    const auto* product = own_state<ByteMatMul>(c);
    if (!product) return ComposedOp::run(c);
    if (c.output(0).size() > 0) run_product(c, *product);
  }

 protected:
  virtual size_t right() const = 0;
  virtual std::span<const Factor> factors() const = 0;
  virtual void run_product(RunContext& c, const ByteMatMul& product) const = 0;

 private:
  bool is_whole(const PrepareContext& c) const {
    if (!bytes.contains(c.input(0).dtype()) || !bytes.contains(c.input(right()).dtype())) {
      return false;
    }
    if (!(bytes | DTypeSet(DType::Int32)).contains(c.output(0).dtype())) return false;
    if (!ByteMatMul::is_worth_it(c.input(right()).dims())) return false;
    return std::ranges::all_of(factors(), [&](const Factor& f) {
      if (!c.has_input(f.input)) return true;
      return f.rows ? is_one_or_rows(c.input(f.input)) : is_one_or_columns(c.input(f.input));
    });
  }
};

class MatMulInteger final : public ByteProductOp {
 public:
  void infer(InferContext& c) const override {
    check_factor(c, 2, 0, true);
    check_factor(c, 3, 1, false);
    c.set_output(0, DType::Int32, matrix_product(c, 0, 1));
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId rows = d.has_input(2) ? for_rows(e, d.input(2), d.input(0)) : no_value;
    d.set(0, e.matmul(centred(e, d.input(0), rows), centred(e, d.input(1), d.input(3))));
  }

 protected:
  size_t right() const override { return 1; }
  std::span<const Factor> factors() const override {
    static constexpr Factor all[] = {{2, true}, {3, false}};
    return all;
  }

  void run_product(RunContext& c, const ByteMatMul& product) const override {
    auto zero = [&](size_t i) { return c.has_input(i) ? &c.input(i) : nullptr; };
    auto* y = c.output(0).data<int32_t>();
    product.run(c.input(0), zero(2), c.input(1), zero(3),
                [&](int64_t row, int64_t column, int64_t columns, const int32_t* sums,
                    const SumCorrection& correction) {
                  correct_sums(correction, sums, columns, y + row * product.columns() + column);
                });
  }
};

// The factors and zero points that QLinearMatMul's rows are quantized with.
class RowFactors {
 public:
  RowFactors(const RunContext& c, int64_t columns)
      : a_(convert(c.input(1), DType::Float32)),
        b_(convert(c.input(4), DType::Float32)),
        y_(convert(c.input(6), DType::Float32)),
        zeros_(zero_points(&c.input(7), 0)),
        is_signed_(c.output(0).dtype() == DType::Int8) {
    if (a_.size() > 1 || y_.size() > 1 || b_.size() == 1) return;
    for (int64_t j = 0; j < columns; ++j) whole_.push_back(factor(0, j));
  }

  // Of the columns [column, column + columns) of a row; `list` holds them if they differ.
  Requantization at(int64_t row, int64_t column, int64_t columns, std::vector<float>& list) const {
    Requantization r{.zero_point = zeros_.at(row), .is_signed = is_signed_};
    if (b_.size() == 1) {
      r.factor = factor(row, 0);
    } else if (!whole_.empty()) {
      r.factors = &whole_[static_cast<size_t>(column)];
    } else {
      list.clear();
      for (int64_t j = column; j < column + columns; ++j) list.push_back(factor(row, j));
      r.factors = list.data();
    }
    return r;
  }

 private:
  float factor(int64_t row, int64_t column) const {
    auto of = [](const Tensor& t, int64_t i) { return t.data<float>()[i % t.size()]; };
    return of(a_, row) * of(b_, column) / of(y_, row);
  }

  Tensor a_, b_, y_;
  ZeroPoints zeros_;
  bool is_signed_;
  std::vector<float> whole_;
};

class QLinearMatMul final : public ByteProductOp {
 public:
  void infer(InferContext& c) const override {
    for (size_t i : {1, 2}) check_factor(c, i, 0, true);
    for (size_t i : {4, 5}) check_factor(c, i, 3, false);
    for (size_t i : {6, 7}) {
      if (c.shape(i) && c.rank(i) > 0 && !(element_count(*c.shape(i)) == Dim(1))) {
        check_factor(c, i, 0, true);
      }
    }
    c.set_output(0, c.dtype(7), matrix_product(c, 0, 3));
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId a = d.input(0), b = d.input(3);
    DType to = d.dtype(d.input(7));
    auto rows = [&](size_t i) { return for_rows(e, d.input(i), a); };
    // Those of the result, which has no columns where B is a vector.
    auto result_rows = [&](size_t i) { return e.b.rank(b) == 1 ? flat(e, d.input(i)) : rows(i); };
    bool whole = bytes.contains(d.dtype(a)) && bytes.contains(d.dtype(b)) && bytes.contains(to);
    auto wide = [&](ValueId v) { return e.b.cast(v, DType::Float32); };
    ValueId factor =
        e.div(e.mul(wide(result_rows(1)), wide(flat(e, d.input(4)))), wide(result_rows(6)));
    if (whole) {
      ValueId sums = e.matmul(centred(e, a, rows(2)), centred(e, b, d.input(5)));
      return d.set(0, emit_requantize(e, sums, factor, result_rows(7), to));
    }
    ValueId sums = e.matmul(e.sub(wide(a), wide(rows(2))), e.sub(wide(b), wide(d.input(5))));
    ValueId y = e.add(e.mul(sums, factor), wide(result_rows(7)));
    if (is_float(to)) return d.set(0, e.b.cast(y, to));
    d.set(0, emit_requantize(e, e.mul(sums, factor), e.scalar(1, y), result_rows(7), to));
  }

 protected:
  size_t right() const override { return 3; }
  std::span<const Factor> factors() const override {
    static constexpr Factor all[] = {{1, true},  {2, true}, {4, false},
                                     {5, false}, {6, true}, {7, true}};
    return all;
  }

  void run_product(RunContext& c, const ByteMatMul& product) const override {
    const RowFactors factors(c, product.columns());
    auto* y = reinterpret_cast<uint8_t*>(c.output(0).raw());
    product.run(c.input(0), &c.input(2), c.input(3), &c.input(5),
                [&](int64_t row, int64_t column, int64_t columns, const int32_t* sums,
                    const SumCorrection& correction) {
                  std::vector<float> list;
                  requantize(factors.at(row, column, columns, list), correction, sums, columns,
                             y + row * product.columns() + column);
                });
  }
};

}  // namespace

void register_integer_products(OpRegistry& r) {
  r.add<MatMulInteger>({.name = "MatMulInteger",
                        .doc = "a product of matrices of bytes, in int32",
                        .since = {10},
                        .inputs = {{"A", "T1"},
                                   {"B", "T2"},
                                   {"a_zero_point", "T1", Param::Kind::Optional},
                                   {"b_zero_point", "T2", Param::Kind::Optional}},
                        .outputs = {{"Y", "T3"}},
                        .types = {{"T1", bytes}, {"T2", bytes}, {"T3", DType::Int32}},
                        .gradient = GradientState::NotDifferentiable,
                        .decomposes = true});
  r.add<QLinearMatMul>({.name = "QLinearMatMul",
                        .doc = "a product of quantized matrices, quantized",
                        .since = {10, 21},
                        .inputs = {{"a", "T1"},
                                   {"a_scale", "TS"},
                                   {"a_zero_point", "T1"},
                                   {"b", "T2"},
                                   {"b_scale", "TS"},
                                   {"b_zero_point", "T2"},
                                   {"y_scale", "TS"},
                                   {"y_zero_point", "T3"}},
                        .outputs = {{"y", "T3"}},
                        .types = {{"TS", dtypes::floats - DTypeSet(DType::Float64)},
                                  {"T1", small},
                                  {"T2", small},
                                  {"T3", small}},
                        .gradient = GradientState::NotDifferentiable,
                        .decomposes = true});
}

}  // namespace onnxrun
