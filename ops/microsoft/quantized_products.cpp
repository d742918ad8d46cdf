// com.microsoft: QGemm, MatMulIntegerToFloat, DynamicQuantizeMatMul, MatMulNBits.
#include "emit/function_op.h"
#include "emit/packed_bits.h"
#include "emit/quantize.h"

namespace onnxrun {

namespace {

constexpr auto optional = Param::Kind::Optional;
constexpr DTypeSet bytes = {DType::Int8, DType::UInt8};

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

class QGemm final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("alpha", alpha_, "factor of the product");
    v.visit("transA", trans_a_, "A is transposed");
    v.visit("transB", trans_b_, "B is transposed");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    auto centred = [&](size_t i, bool trans) {
      ValueId x = e.b.cast(d.input(i), DType::Int32), zero = e.b.cast(d.input(i + 2), DType::Int32);
      ValueId turned = trans ? e.b.transpose(x, {1, 0}) : x;
      return e.sub(turned, single(e, zero));
    };
    ValueId sums = e.matmul(centred(0, trans_a_), centred(3, trans_b_));
    if (d.has_input(6)) sums = e.add(sums, d.input(6));
    ValueId factor = e.mul(single(e, d.input(1)), single(e, d.input(4)));
    factor = e.mul(factor, e.scalar(static_cast<double>(alpha_), factor));
    if (!d.has_input(8)) return d.set(0, e.mul(e.b.cast(sums, DType::Float32), factor));
    d.set(0, emit_requantize(e, sums, e.div(factor, single(e, d.input(7))), single(e, d.input(8)),
                             d.dtype(d.input(8))));
  }

 protected:
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
  // A list of one would make a matrix of a scalar's rank no matter; as a scalar it never does.
  static ValueId single(const Emit& e, ValueId v) {
    const Type& type = e.b.type(v);
    bool one = type.shape && !type.shape->empty() && element_count(*type.shape) == Dim(1);
    return one ? e.b.reshape(v, e.b.ints({})) : v;
  }

  float alpha_ = 1;
  bool trans_a_ = false, trans_b_ = false;
};

class MatMulIntegerToFloat final : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId sums = e("MatMulInteger", {d.input(0), d.input(1), d.input(4), d.input(5)});
    ValueId y = scaled_product(e, sums, d.input(2), d.input(3));
    d.set(0, d.has_input(6) ? e.add(y, d.input(6)) : y);
  }

 protected:
  void check(const InferContext& c) const override {
    require_single(c, 2);
    require_single(c, 4);
    for (size_t i : {3, 5, 6}) check_columns(c, i, 1);
  }

  DType output_type(const InferContext& c, size_t) const override { return c.dtype(2); }
};

class DynamicQuantizeMatMul final : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    std::vector<ValueId> a = e.b.add_n("DynamicQuantizeLinear", {d.input(0)}, 3);
    ValueId sums = e("MatMulInteger", {a[0], d.input(1), a[2], d.input(3)});
    ValueId y = scaled_product(e, sums, a[1], d.input(2));
    d.set(0, d.has_input(4) ? e.add(y, d.input(4)) : y);
  }

 protected:
  void check(const InferContext& c) const override {
    for (size_t i : {2, 3, 4}) check_columns(c, i, 1);
  }
};

// Weights [N, K] of few bits, in blocks along K that share a scale.
class MatMulNBits final : public FunctionOp {
 public:
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
