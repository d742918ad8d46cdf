// com.microsoft, of quantized tensors: QuantizeLinear, DequantizeLinear, QLinearAdd, QLinearMul,
// QLinearSigmoid, QLinearLeakyRelu, QLinearSoftmax, QLinearConcat, QLinearAveragePool,
// QLinearGlobalAveragePool.
#include "emit/function_op.h"
#include "emit/quantize.h"
#include "microsoft/declarations.h"

namespace onnxrun {

namespace {

ValueId dequantized(const Emit& e, const DecomposeContext& d, size_t at) {
  return emit_dequantize(e, d.input(at), d.input(at + 1), d.input(at + 2), {}, DType::Float32);
}

ValueId quantized_as(const Emit& e, ValueId y, ValueId scale, ValueId zero_point, DType to) {
  return emit_quantize(e, y, scale, zero_point, {}, to, DType::Float32);
}

class MicrosoftQuantizeLinear final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "of scales that are one for each place");
  }

  void decompose(DecomposeContext& d) const override {
    d.set(0, d.add("QuantizeLinear", {d.input(0), d.input(1), d.input(2)},
                   {{"axis", axis_.value_or(1)}}));
  }

 protected:
  DType output_type(const InferContext& c, size_t) const override {
    return c.has_input(2) ? c.dtype(2) : DType::UInt8;
  }

 private:
  std::optional<int64_t> axis_;
};

class MicrosoftDequantizeLinear final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "of scales that are one for each place");
  }

  void decompose(DecomposeContext& d) const override {
    d.set(0, d.add("DequantizeLinear", {d.input(0), d.input(1), d.input(2)},
                   {{"axis", axis_.value_or(1)}}));
  }

 protected:
  DType output_type(const InferContext& c, size_t) const override { return c.dtype(1); }

 private:
  std::optional<int64_t> axis_;
};

// Operands of two triples (tensor, scale, zero point), then scale and zero point of the result.
class QLinearBinary final : public FunctionOp {
 public:
  explicit QLinearBinary(const char* op) : op_(op) {}

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId y = e(op_, {dequantized(e, d, 0), dequantized(e, d, 3)});
    d.set(0, quantized_as(e, y, d.input(6), d.input(7), d.dtype(d.input(0))));
  }

 protected:
  void check(const InferContext& c) const override {
    for (size_t i : {1, 2, 4, 5, 6, 7}) require_single(c, i);
  }

 private:
  const char* op_;
};

// One triple, then scale and zero point of the result.
class QLinearUnary : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const final {
    Emit e(d.builder());
    ValueId y = apply(e, dequantized(e, d, 0));
    d.set(0, quantized_as(e, y, d.input(3), d.input(4), d.dtype(d.input(0))));
  }

 protected:
  virtual ValueId apply(const Emit& e, ValueId x) const = 0;

  void check(const InferContext& c) const override {
    for (size_t i : {1, 2, 3, 4}) require_single(c, i);
  }
};

class QLinearSigmoid final : public QLinearUnary {
 protected:
  ValueId apply(const Emit& e, ValueId x) const override { return e("Sigmoid", {x}); }
};

class QLinearLeakyRelu final : public QLinearUnary {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("alpha", alpha_, "factor of negative numbers");
  }

 protected:
  ValueId apply(const Emit& e, ValueId x) const override {
    return e("LeakyRelu", {x}, {{"alpha", alpha_}});
  }

 private:
  float alpha_ = 0.01f;
};

class QLinearSoftmax final : public QLinearUnary {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "axis that sums to one, or before opset 13 the first of such");
    v.required("opset", opset_, "of the standard, whose Softmax is meant");
  }

 protected:
  void check(const InferContext& c) const override {
    QLinearUnary::check(c);
    if (c.shape(0) && (axis_ < -c.rank(0) || axis_ >= c.rank(0))) {
      c.reject("attribute 'axis' is {}, but {}", axis_, c.describe_input(0));
    }
  }

  ValueId apply(const Emit& e, ValueId x) const override {
    if (opset_ >= 13) return e("Softmax", {x}, {{"axis", axis_}});
    ValueId rows = e("Flatten", {x}, {{"axis", axis_}});
    return e.b.reshape_like(e("Softmax", {rows}, {{"axis", int64_t{-1}}}), x);
  }

 private:
  int64_t axis_ = -1, opset_ = 0;
};

// With channels last, the axes in between are pooled.
class QLinearPool : public QLinearUnary {
 protected:
  ValueId around(const Emit& e, ValueId x, std::string_view op, const Attributes& a) const {
    if (!channels_last_) return e(op, {x}, a);
    int64_t rank = e.b.rank(x);
    if (rank < 0) fail(ErrorKind::Unsupported, "the rank of the input is not known");
    std::vector<int64_t> first = {0, rank - 1}, last = {0};
    for (int64_t i = 1; i + 1 < rank; ++i) {
      first.push_back(i);
      last.push_back(i + 1);
    }
    last.push_back(1);
    return e.b.transpose(e(op, {e.b.transpose(x, first)}, a), last);
  }

  void check(const InferContext& c) const override {
    QLinearUnary::check(c);
    if (c.shape(0) && c.rank(0) < 3) c.reject("{}, expected images", c.describe_input(0));
  }

  bool channels_last_ = false;
};

class QLinearAveragePool final : public QLinearPool {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("auto_pad", auto_pad_, "NOTSET, SAME_UPPER, SAME_LOWER or VALID");
    v.visit("ceil_mode", ceil_, "a window may begin that the image does not fill");
    v.visit("channels_last", channels_last_, "channels are the last axis");
    v.visit("count_include_pad", include_pad_, "padding counts as elements of a window");
    v.required("kernel_shape", kernel_, "lengths of a window");
    v.visit("pads", pads_, "padding at all beginnings, then at all ends");
    v.visit("strides", strides_, "distance between windows");
  }

 protected:
  ValueId apply(const Emit& e, ValueId x) const override {
    Attributes a{{"auto_pad", auto_pad_},
                 {"ceil_mode", int64_t{ceil_}},
                 {"count_include_pad", int64_t{include_pad_}},
                 {"kernel_shape", kernel_}};
    if (pads_) a["pads"] = *pads_;
    if (strides_) a["strides"] = *strides_;
    return around(e, x, "AveragePool", a);
  }

 private:
  std::string auto_pad_ = "NOTSET";
  bool ceil_ = false, include_pad_ = false;
  std::vector<int64_t> kernel_;
  std::optional<std::vector<int64_t>> pads_, strides_;
};

class QLinearGlobalAveragePool final : public QLinearPool {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("channels_last", channels_last_, "channels are the last axis");
  }

 protected:
  ValueId apply(const Emit& e, ValueId x) const override {
    return around(e, x, "GlobalAveragePool", {});
  }
};

// Scale and zero point of the result, then one triple for each part.
class QLinearConcat final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.required("axis", axis_, "axis along which the parts are put");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    std::vector<ValueId> parts;
    for (size_t i = 2; i + 2 < d.num_inputs(); i += 3) parts.push_back(dequantized(e, d, i));
    d.set(0, quantized_as(e, e.concat(parts, axis_), d.input(0), d.input(1), d.dtype(d.input(1))));
  }

 protected:
  void check(const InferContext& c) const override {
    if (c.num_inputs() < 5 || (c.num_inputs() - 2) % 3 != 0) {
      c.reject("{} inputs, expected two and three for each part", c.num_inputs());
    }
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      size_t role = i < 2 ? i + 1 : (i - 2) % 3;
      bool fits = role == 1 ? c.dtype(i) == DType::Float32 : bytes.contains(c.dtype(i));
      if (!fits) c.reject("{}", c.describe_input(i));
      if (role != 0) require_single(c, i);
    }
    for (size_t i = 2; i + 2 < c.num_inputs(); i += 3) {
      if (c.dtype(i) != c.dtype(i + 2)) {
        c.reject("{}, but {}", c.describe_input(i), c.describe_input(i + 2));
      }
    }
  }

  DType output_type(const InferContext& c, size_t) const override { return c.dtype(1); }

 private:
  int64_t axis_ = 0;
};

OpSpec quantized_spec(std::string_view name, std::string_view doc, std::vector<Param> inputs,
                      std::string_view output) {
  return {.name = name,
          .domain = "com.microsoft",
          .doc = doc,
          .since = {1},
          .inputs = std::move(inputs),
          .outputs = {{output, "T"}},
          .types = {{"T", bytes}, {"tensor(float)", DType::Float32}},
          .gradient = GradientState::NotDifferentiable,
          .decomposes = true};
}

void register_linear(OpRegistry& r) {
  constexpr DTypeSet numbers = {DType::Float32, DType::Float16};
  constexpr DTypeSet whole = {DType::Int8,   DType::UInt8, DType::Int16,
                              DType::UInt16, DType::Int4,  DType::UInt4};
  r.add<MicrosoftQuantizeLinear>({.name = "QuantizeLinear",
                                  .domain = "com.microsoft",
                                  .doc = "saturate(round(x / scale) + zero point)",
                                  .since = {1},
                                  .inputs = {{"x", "T1"},
                                             {"y_scale", "T1", InputRole::Setting},
                                             {"y_zero_point", "T2", optional}},
                                  .outputs = {{"y", "T2"}},
                                  .types = {{"T1", numbers}, {"T2", whole}},
                                  .gradient = GradientState::NotDifferentiable,
                                  .decomposes = true});
  r.add<MicrosoftDequantizeLinear>(
      {.name = "DequantizeLinear",
       .domain = "com.microsoft",
       .doc = "(x - zero point) scale",
       .since = {1},
       .inputs = {{"x", "T1"},
                  {"x_scale", "T2", InputRole::Setting},
                  {"x_zero_point", "T1", optional}},
       .outputs = {{"y", "T2"}},
       .types = {{"T1", whole | DTypeSet(DType::Int32)}, with_own_double("T2", numbers)},
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace

void register_microsoft_quantized_functions(OpRegistry& r) {
  register_linear(r);
  std::vector<Param> binary = {{"A", "T"},
                               {"A_scale", "tensor(float)", InputRole::Setting},
                               {"A_zero_point", "T", optional},
                               {"B", "T"},
                               {"B_scale", "tensor(float)", InputRole::Setting},
                               {"B_zero_point", "T", optional},
                               {"C_scale", "tensor(float)", InputRole::Setting},
                               {"C_zero_point", "T", optional}};
  r.add(quantized_spec("QLinearAdd", "a sum of quantized tensors, quantized", binary, "C"),
        [] { return std::make_shared<QLinearBinary>("Add"); });
  r.add(quantized_spec("QLinearMul", "a product of quantized tensors, quantized", binary, "C"),
        [] { return std::make_shared<QLinearBinary>("Mul"); });
  std::vector<Param> unary = {{"X", "T"},
                              {"X_scale", "tensor(float)", InputRole::Setting},
                              {"X_zero_point", "T", optional},
                              {"Y_scale", "tensor(float)", InputRole::Setting},
                              {"Y_zero_point", "T", optional}};
  r.add<QLinearSigmoid>(
      quantized_spec("QLinearSigmoid", "Sigmoid of quantized tensors", unary, "Y"));
  r.add<QLinearLeakyRelu>(
      quantized_spec("QLinearLeakyRelu", "LeakyRelu of quantized tensors", unary, "Y"));
  std::vector<Param> pool = {{"X", "T"},
                             {"x_scale", "tensor(float)", InputRole::Setting},
                             {"x_zero_point", "T", optional},
                             {"y_scale", "tensor(float)", InputRole::Setting},
                             {"y_zero_point", "T", optional}};
  r.add<QLinearAveragePool>(
      quantized_spec("QLinearAveragePool", "AveragePool of quantized images", pool, "Y"));
  std::vector<Param> global = pool;
  global[2].kind = global[4].kind = Param::Kind::Single;
  r.add<QLinearGlobalAveragePool>(quantized_spec(
      "QLinearGlobalAveragePool", "GlobalAveragePool of quantized images", global, "Y"));
  std::vector<Param> softmax = pool;
  softmax[1].name = "X_scale";
  softmax[4].kind = Param::Kind::Single;
  r.add<QLinearSoftmax>(
      quantized_spec("QLinearSoftmax", "Softmax of quantized tensors", softmax, "Y"));
  r.add<QLinearConcat>(
      {.name = "QLinearConcat",
       .domain = "com.microsoft",
       .doc = "quantized tensors put together, quantized alike",
       .since = {1},
       .inputs = {{"Y_scale", "TF", InputRole::Setting},
                  {"Y_zero_point", "T8"},
                  {"inputs", "TV", Param::Kind::Variadic, false, 1}},
       .outputs = {{"Y", "T8"}},
       .types = {{"T8", bytes}, {"TF", DType::Float32}, {"TV", bytes | DTypeSet(DType::Float32)}},
       .gradient = GradientState::NotDifferentiable,
       .decomposes = true});
}

}  // namespace onnxrun
