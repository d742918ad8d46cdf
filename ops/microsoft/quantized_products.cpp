// com.microsoft: QGemm, MatMulIntegerToFloat, DynamicQuantizeMatMul, MatMulNBits.
#include "emit/function_op.h"
#include "emit/packed_bits.h"
#include "emit/quantize.h"
#include "graph/cost.h"
#include "kernels/byte_matmul.h"
#include "kernels/linear_quantization.h"
#include "microsoft/declarations.h"

namespace onnxrun {

namespace {

// One number, or one for each column of the matrix at `matrix`.
void check_columns(const InferContext& c, size_t i, size_t matrix) {
  if (!c.has_input(i) || !c.shape(i) || !c.shape(matrix)) return;
  if (element_count(*c.shape(i)) == Dim(1)) return;
  if (c.rank(matrix) < 1) c.reject("{}, expected a matrix", c.describe_input(matrix));
  require_shape(c, i, {c.shape(matrix)->back()});
}

// Exact sums times the factor of both scales.
ValueId scaled_product(const Emit& e, ValueId sums, ValueId a_scale, ValueId b_scale) {
  DType type = e.b.dtype(b_scale);
  ValueId factor = e.mul(e.b.cast(a_scale, DType::Float32), e.b.cast(b_scale, DType::Float32));
  return e.b.cast(e.mul(e.b.cast(sums, DType::Float32), factor), type);
}

float number(const Tensor& t, int64_t i) { return t.data<float>()[i % t.size()]; }

// Factors of the columns, of which b_scale may be a list, times `factor`; and in one where all are
// the same.
struct ColumnFactors {
  ColumnFactors(float a_scale, const Tensor& b_scale, float alpha = 1, float y_scale = 1) {
    for (int64_t j = 0; j < b_scale.size(); ++j) {
      float factor = a_scale * number(b_scale, j);
      if (alpha != 1) factor *= alpha;
      factors.push_back(y_scale == 1 ? factor : factor / y_scale);
    }
  }
  const float* list(int64_t column) const {
    return factors.size() == 1 ? nullptr : &factors[static_cast<size_t>(column)];
  }

  std::vector<float> factors;
};

// Runs by products of bytes where these are what prepare() finds, else what it decomposes into.
class ByteFunctionOp : public FunctionOp {
 public:
  Count operations(const CostContext& c) const override { return products_of(c, c.length(0, -1)); }

  void run(RunContext& c) const final {
    const auto* product = own_state<ByteMatMul>(c);
    if (!product) return ComposedOp::run(c);
    if (c.output(0).size() > 0) run_product(c, *product);
  }

 protected:
  virtual void run_product(RunContext& c, const ByteMatMul& product) const = 0;

  // Whether inputs that are there go with the columns, biases (the last) one by one, and the result
  // is of floats.
  static bool are_columns(const PrepareContext& c, std::array<size_t, 3> inputs) {
    if (c.output(0).dtype() != DType::Float32 || c.output(0).rank() == 0) return false;
    const Dims& right = c.input(1).dims();
    if (right.size() < 2 || !ByteMatMul::is_worth_it(right)) return false;
    const int64_t columns = c.output(0).dims().back();
    auto fits = [&](size_t i) {
      return !c.has_input(i) || c.input(i).size() == columns ||
             (i != inputs.back() && c.input(i).size() == 1);
    };
    return std::ranges::all_of(inputs, fits);
  }

  // The product's sums as floats: the scales of `b_scale`, and a bias that may be null.
  static TakeSums take_floats(const RunContext& c, const ByteMatMul& product,
                              const ColumnFactors& factors, const Tensor* bias) {
    auto* y = c.output(0).data<float>();
    const float* biases = bias ? bias->data<float>() : nullptr;
    return [&factors, &product, y, biases](int64_t row, int64_t column, int64_t columns,
                                           const int32_t* sums, const SumCorrection& correction) {
      scale_sums({factors.factors[0], factors.list(column), biases ? biases + column : nullptr},
                 correction, sums, columns, y + row * product.columns() + column);
    };
  }
};

class QGemm final : public ByteFunctionOp {
 public:
  Count operations(const CostContext& c) const override {
    return products_of(c, c.length(0, trans_a_ ? 0 : 1), 6);
  }

  void attributes(AttributeVisitor& v) override {
    v.visit("alpha", alpha_, "factor of the product");
    v.visit("transA", trans_a_, "A is transposed");
    v.visit("transB", trans_b_, "B is transposed");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    auto turned = [&](size_t i, bool trans) {
      return trans ? e.b.transpose(d.input(i), {1, 0}) : d.input(i);
    };
    ValueId sums = e("MatMulInteger", {turned(0, trans_a_), turned(3, trans_b_),
                                       single(e, d.input(2)), single(e, d.input(5))});
    if (d.has_input(6)) sums = e.add(sums, d.input(6));
    ValueId factor = e.mul(single(e, d.input(1)), single(e, d.input(4)));
    factor = e.mul(factor, e.scalar(static_cast<double>(alpha_), factor));
    if (!d.has_input(8)) return d.set(0, e.mul(e.b.cast(sums, DType::Float32), factor));
    d.set(0, emit_requantize(e, sums, e.div(factor, single(e, d.input(7))), single(e, d.input(8)),
                             d.dtype(d.input(8))));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    const Tensor *b = c.constant(3), *bias = c.has_input(6) ? &c.input(6) : nullptr;
    Dims right = c.input(3).dims();
    if (trans_b_) std::swap(right[0], right[1]);
    const bool fits = !trans_a_ && (b || !trans_b_) && ByteMatMul::is_worth_it(right) &&
                      (!bias || (bias->rank() > 0 && bias->size() == bias->dims().back() &&
                                 bias->size() == c.output(0).dims()[1]));
    if (!fits) return ComposedOp::prepare(c);
    if (!trans_b_) return std::make_unique<ByteMatMul>(c, 0, 3);
    return std::make_unique<ByteMatMul>(c.input(0).dims(), right, c.packed(3, "byte rows", [&] {
      return ByteMatMul::packed(transposed(*b));
    }));
  }

 protected:
  void run_product(RunContext& c, const ByteMatMul& product) const override {
    const bool whole = c.has_input(8);
    const ColumnFactors factors(number(c.input(1), 0), c.input(4), alpha_,
                                whole ? number(c.input(7), 0) : 1);
    Requantization r{.factor = factors.factors[0], .is_signed = c.output(0).dtype() == DType::Int8};
    if (whole) r.zero_point = zero_points(&c.input(8), 0).at(0);
    const int32_t* bias = c.has_input(6) ? c.input(6).data<int32_t>() : nullptr;
    auto* bytes_out = reinterpret_cast<uint8_t*>(c.output(0).raw());
    const TakeSums floats = whole ? TakeSums() : take_floats(c, product, factors, nullptr);
    product.run(c.input(0), &c.input(2), c.input(3), &c.input(5),
                [&](int64_t row, int64_t column, int64_t columns, const int32_t* sums,
                    SumCorrection correction) {
                  if (bias) correction.addends = bias + column;
                  if (!whole) return floats(row, column, columns, sums, correction);
                  Requantization here = r;
                  here.factors = factors.list(column);
                  requantize(here, correction, sums, columns,
                             bytes_out + row * product.columns() + column);
                });
  }

  void check(const InferContext& c) const override {
    for (size_t i : {0, 3}) require_rank(c, i, 2);
    for (size_t i : {1, 2, 7, 8}) require_single(c, i);
    if (c.has_input(7) != c.has_input(8)) c.reject("y_scale and y_zero_point go together");
    if (!c.shape(0) || !c.shape(3)) return;
    Dim rows = (*c.shape(0))[trans_a_ ? 1 : 0], columns = (*c.shape(3))[trans_b_ ? 0 : 1];
    for (size_t i : {4, 5}) {
      if (c.shape(i) && !(element_count(*c.shape(i)) == Dim(1))) require_shape(c, i, {columns});
    }
    if (!c.has_input(6) || !c.shape(6)) return;
    Shape whole = {rows, columns};
    if (c.rank(6) > 2 || !compatible(Type::tensor(DType::Int32, broadcast(*c.shape(6), whole)),
                                     Type::tensor(DType::Int32, whole))) {
      c.reject("{} does not fit {}", c.describe_input(6), to_string(whole));
    }
  }

  DType output_type(const InferContext& c, size_t) const override {
    return c.has_input(8) ? c.dtype(8) : DType::Float32;
  }

 private:
  static Tensor transposed(const Tensor& b) {
    Tensor turned(b.dtype(), {b.dims()[1], b.dims()[0]});
    const int64_t rows = b.dims()[0], columns = b.dims()[1];
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        turned.raw()[j * rows + i] = b.raw()[i * columns + j];
      }
    }
    return turned;
  }

  // A list of one would make a matrix of a scalar's rank no matter; as a scalar it never does.
  static ValueId single(const Emit& e, ValueId v) {
    const Type& type = e.b.type(v);
    bool one = type.shape && !type.shape->empty() && element_count(*type.shape) == Dim(1);
    return one ? e.b.reshape(v, e.b.ints({})) : v;
  }

  float alpha_ = 1;
  bool trans_a_ = false, trans_b_ = false;
};

class MatMulIntegerToFloat final : public ByteFunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId sums = e("MatMulInteger", {d.input(0), d.input(1), d.input(4), d.input(5)});
    ValueId y = scaled_product(e, sums, d.input(2), d.input(3));
    d.set(0, d.has_input(6) ? e.add(y, d.input(6)) : y);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    if (!are_columns(c, {3, 5, 6})) return ComposedOp::prepare(c);
    return std::make_unique<ByteMatMul>(c, 0, 1);
  }

 protected:
  void run_product(RunContext& c, const ByteMatMul& product) const override {
    auto there = [&](size_t i) { return c.has_input(i) ? &c.input(i) : nullptr; };
    const ColumnFactors factors(number(c.input(2), 0), c.input(3));
    product.run(c.input(0), there(4), c.input(1), there(5),
                take_floats(c, product, factors, there(6)));
  }

  void check(const InferContext& c) const override {
    require_single(c, 2);
    require_single(c, 4);
    for (size_t i : {3, 5, 6}) check_columns(c, i, 1);
  }

  DType output_type(const InferContext& c, size_t) const override { return c.dtype(2); }
};

class DynamicQuantizeMatMul final : public ByteFunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    std::vector<ValueId> a = e.b.add_n("DynamicQuantizeLinear", {d.input(0)}, 3);
    ValueId sums = e("MatMulInteger", {a[0], d.input(1), a[2], d.input(3)});
    ValueId y = scaled_product(e, sums, a[1], d.input(2));
    d.set(0, d.has_input(4) ? e.add(y, d.input(4)) : y);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    if (c.input(0).size() == 0 || !are_columns(c, {2, 3, 4})) return ComposedOp::prepare(c);
    c.request_scratch(c.input(0).size());
    return std::make_unique<ByteMatMul>(c, 0, 1);
  }

 protected:
  void run_product(RunContext& c, const ByteMatMul& product) const override {
    auto there = [&](size_t i) { return c.has_input(i) ? &c.input(i) : nullptr; };
    const Tensor& a = c.input(0);
    auto* levels = reinterpret_cast<uint8_t*>(c.scratch());
    const LinearScale s = quantize_dynamically(a.data<float>(), a.size(), levels);
    const auto zero = static_cast<uint8_t>(s.zero_point);
    const ColumnFactors factors(s.scale, c.input(2));
    product.run({levels, false}, ZeroPoints(&zero, 1, false, signed_shift(false)), c.input(1),
                there(3), take_floats(c, product, factors, there(4)));
  }

  void check(const InferContext& c) const override {
    for (size_t i : {2, 3, 4}) check_columns(c, i, 1);
  }
};

// Weights [N, K] of few bits, in blocks along K that share a scale.
class MatMulNBits final : public FunctionOp {
 public:
  Count operations(const CostContext& c) const override { return products_of(c, k_); }

  void attributes(AttributeVisitor& v) override {
    v.required("K", k_, "columns of A, rows of the weights");
    v.required("N", n_, "columns of the result");
    v.visit("accuracy_level", accuracy_, "a type that A may be rounded to; it never is");
    v.visit("bits", bits_, "of a weight: 2, 4 or 8");
    v.required("block_size", block_, "weights that share a scale");
    v.visit("weight_prepacked", prepacked_, "0: as the standard form has them");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId weights = this->weights(e, d);
    ValueId y = e("onnxrun.MatMulT", {matrix(e, d.input(0)), weights}, {{"transB", int64_t{1}}});
    if (e.b.rank(d.input(0)) == 1) y = e.b.squeeze(y, {0});
    d.set(0, d.has_input(5) ? e.add(y, d.input(5)) : y);
  }

 protected:
  void check(const InferContext& c) const override {
    constexpr int64_t most = int64_t{1} << 31;
    if (n_ < 1 || k_ < 1 || n_ > most || k_ > most) c.reject("weights of {} times {}", n_, k_);
    if (bits_ != 2 && bits_ != 4 && bits_ != 8) {
      throw Error(ErrorKind::Unsupported, fmt::format("attribute 'bits' is {}", bits_));
    }
    if (block_ < 16 || block_ > most || (block_ & (block_ - 1)) != 0) {
      c.reject("attribute 'block_size' is {}, expected a power of two from 16 on", block_);
    }
    if (prepacked_ != 0) throw Error(ErrorKind::Unsupported, "the weights are prepacked");
    if (c.shape(0)) {
      if (c.shape(0)->empty()) c.reject("{}, expected rows", c.describe_input(0));
      const Dim& columns = c.shape(0)->back();
      if (columns.is_known() && columns.value() != k_) {
        c.reject("{}, expected {} columns", c.describe_input(0), k_);
      }
    }
    require_count(c, 1, n_ * blocks() * (block_ * bits_ / 8));
    require_count(c, 2, n_ * blocks());
    if (c.has_input(3)) {
      bool packed = c.dtype(3) == DType::UInt8;
      require_count(c, 3, n_ * (packed ? (blocks() * bits_ + 7) / 8 : blocks()));
    }
    if (c.has_input(4)) {
      require_rank(c, 4, 1);
      const Shape* s = c.shape(4);
      if (s && (*s)[0].is_known() && (*s)[0].value() < k_) {
        c.reject("{}, expected {} elements", c.describe_input(4), k_);
      }
    }
    require_shape(c, 5, {Dim(n_)});
  }

 private:
  int64_t blocks() const { return (k_ + block_ - 1) / block_; }

  static void require_count(const InferContext& c, size_t i, int64_t count) {
    if (!c.shape(i)) return;
    Dim found = element_count(*c.shape(i));
    if (found.is_known() && found.value() != count) {
      c.reject("{}, expected {} elements", c.describe_input(i), count);
    }
  }

  static ValueId matrix(const Emit& e, ValueId a) {
    return e.b.rank(a) == 1 ? e.b.unsqueeze(a, {0}) : a;
  }

  // As rows of `columns`.
  ValueId unpacked(const Emit& e, ValueId packed, int64_t columns) const {
    ValueId rows = e.b.reshape(packed, e.b.ints({n_, -1}));
    return e.b.slice(emit_unpacked_bits(e, rows, bits_), 1, 0, columns);
  }

  ValueId weights(const Emit& e, const DecomposeContext& d) const {
    DType type = d.dtype(d.input(0));
    DType wide = type == DType::Float64 ? type : DType::Float32;
    ValueId groups = d.has_input(4) ? e.b.slice(d.input(4), 0, 0, k_)
                                    : e.div(e.range(e.b.ints({k_})), e.b.int_scalar(block_));
    auto spread = [&](ValueId v) { return e("Gather", {v, groups}, {{"axis", int64_t{1}}}); };
    ValueId q = e.b.cast(unpacked(e, d.input(1), k_), wide);
    ValueId zero = e.b.scalar(static_cast<double>(int64_t{1} << (bits_ - 1)), wide);
    if (d.has_input(3)) {
      ValueId points = d.dtype(d.input(3)) == DType::UInt8
                           ? unpacked(e, d.input(3), blocks())
                           : e.b.reshape(d.input(3), e.b.ints({n_, blocks()}));
      zero = spread(e.b.cast(points, wide));
    }
    ValueId scales = e.b.cast(e.b.reshape(d.input(2), e.b.ints({n_, blocks()})), wide);
    return e.b.cast(e.mul(e.sub(q, zero), spread(scales)), type);
  }

  int64_t n_ = 0, k_ = 0, accuracy_ = 0, bits_ = 4, block_ = 0, prepacked_ = 0;
};

void register_nbits(OpRegistry& r) {
  r.add<MatMulNBits>({.name = "MatMulNBits",
                      .domain = "com.microsoft",
                      .doc = "a product with weights of 2, 4 or 8 bits",
                      .since = {1},
                      .inputs = {{"A", "T1"},
                                 {"B", "T2"},
                                 {"scales", "T1", InputRole::Setting},
                                 {"zero_points", "T3", optional},
                                 {"g_idx", "T4", optional},
                                 {"bias", "T1", optional, InputRole::Bias}},
                      .outputs = {{"Y", "T1"}},
                      .types = {with_own_double("T1", dtypes::floats),
                                {"T2", DType::UInt8},
                                with_own_double("T3", dtypes::floats | DTypeSet(DType::UInt8)),
                                {"T4", DType::Int32}},
                      .kind = OpKind::Product,
                      .gradient = GradientState::Decompose,
                      .decomposes = true});
}

}  // namespace

void register_microsoft_quantized_products(OpRegistry& r) {
  r.add<QGemm>({.name = "QGemm",
                .domain = "com.microsoft",
                .doc = "Gemm of quantized matrices, quantized or not",
                .since = {1},
                .inputs = {{"A", "TA"},
                           {"a_scale", "T", InputRole::Setting},
                           {"a_zero_point", "TA"},
                           {"B", "TB"},
                           {"b_scale", "T", InputRole::Setting},
                           {"b_zero_point", "TB"},
                           {"C", "TC", optional},
                           {"y_scale", "T", optional, InputRole::Setting},
                           {"y_zero_point", "TYZ", optional}},
                .outputs = {{"Y", "TY"}},
                .types = {{"T", DType::Float32},
                          {"TA", bytes},
                          {"TB", bytes},
                          {"TC", DType::Int32},
                          {"TYZ", bytes},
                          {"TY", bytes | DTypeSet(DType::Float32)}},
                .gradient = GradientState::NotDifferentiable,
                .decomposes = true});
  r.add<MatMulIntegerToFloat>(
      {.name = "MatMulIntegerToFloat",
       .domain = "com.microsoft",
       .doc = "a product of quantized matrices, dequantized",
       .since = {1},
       .inputs = {{"A", "T1"},
                  {"B", "T2"},
                  {"a_scale", "T3", InputRole::Setting},
                  {"b_scale", "T3", InputRole::Setting},
                  {"a_zero_point", "T1", optional},
                  {"b_zero_point", "T2", optional},
                  {"bias", "T3", optional, InputRole::Bias}},
       .outputs = {{"Y", "T3"}},
       .types = {{"T1", bytes}, {"T2", bytes}, {"T3", {DType::Float32, DType::Float16}}},
       .gradient = GradientState::NotDifferentiable,
       .decomposes = true});
  r.add<DynamicQuantizeMatMul>({.name = "DynamicQuantizeMatMul",
                                .domain = "com.microsoft",
                                .doc = "A quantized by its range, times quantized weights",
                                .since = {1},
                                .inputs = {{"A", "T1"},
                                           {"B", "T2"},
                                           {"b_scale", "T1", InputRole::Setting},
                                           {"b_zero_point", "T2", optional},
                                           {"bias", "T1", optional, InputRole::Bias}},
                                .outputs = {{"Y", "T1"}},
                                .types = {{"T1", DType::Float32}, {"T2", bytes}},
                                .gradient = GradientState::NotDifferentiable,
                                .decomposes = true});
  register_nbits(r);
}

}  // namespace onnxrun
