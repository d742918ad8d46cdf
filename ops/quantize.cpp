// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear; and onnxrun.FakeQuantize, the first two
// in one, which a gradient passes.
#include "emit/quantize.h"
#include "kernels/scaled_tensor.h"

namespace onnxrun {

namespace {

constexpr DTypeSet quantized = {DType::UInt8, DType::Int8,  DType::UInt16,
                                DType::Int16, DType::UInt4, DType::Int4,
                                DType::UInt2, DType::Int2,  DType::Float4E2M1};
constexpr DTypeSet all_quantized = quantized | dtypes::float8s | dtypes::float6s;

// Has a kernel of its own between floats and bytes where scales are not of blocks.
class ScalingOp : public ComposedOp {
 public:
  std::unique_ptr<KernelState> prepare(PrepareContext& c) const final {
    if (!is_linear(c)) return ComposedOp::prepare(c);
    const Dims& x = c.input(0).dims();
    const int64_t scales = c.input(1).size();
    const auto rank = static_cast<int64_t>(x.size());
    const int64_t axis = scales == 1 || rank < 2 ? 0 : normalize_axis(axis_.axis, rank);
    return std::make_unique<ScaledTensor>(x, scales, axis);
  }

  void run(RunContext& c) const final {
    const auto* scaled = own_state<ScaledTensor>(c);
    if (!scaled) return ComposedOp::run(c);
    run_parts(c, *scaled, c.has_input(2) ? &c.input(2) : nullptr);
  }

 protected:
  virtual bool is_linear(const PrepareContext& c) const = 0;
  virtual void run_parts(RunContext& c, const ScaledTensor& scaled, const Tensor* zero) const = 0;

  QuantizedAxis axis_;
};

class QuantizeLinear final : public ScalingOp, public Quantizes {
 public:
  QuantizedAxis quantized_axis() const override { return axis_; }
  bool divides_as_scale() const override { return precision_ == DType::Undefined; }

  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_.axis, "of scales that are one for each place");
    v.visit("block_size", axis_.block, "elements along the axis that share a scale; 0: no blocks");
    v.visit("output_dtype", type_, "of the output; the zero point's, or uint8, without");
    v.visit("precision", precision_, "type of the division; that of the scale without");
    v.visit("saturate", saturate_, "numbers too large for 8-bit floats become the largest");
  }

  void infer(InferContext& c) const override {
    check_scales(c, 1, 2, axis_);
    DType type = type_ == DType::Undefined ? DType::UInt8 : type_;
    if (c.has_input(2)) {
      type = c.dtype(2);
      if (type_ != DType::Undefined && type_ != type) {
        c.reject("attribute 'output_dtype' is {}, but {}", to_string(type_), c.describe_input(2));
      }
    }
    if (!all_quantized.contains(type)) c.reject("attribute 'output_dtype' is {}", to_string(type));
    if (precision_ != DType::Undefined && !dtypes::floats.contains(precision_)) {
      c.reject("attribute 'precision' is {}", to_string(precision_));
    }
    c.set_output(0, type, c.type(0).shape);
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    DType to = d.has_input(2)              ? d.dtype(d.input(2))
               : type_ == DType::Undefined ? DType::UInt8
                                           : type_;
    d.set(0, emit_quantize(e, d.input(0), d.input(1), d.input(2), axis_, to,
                           division_type(d.dtype(d.input(0)), d.dtype(d.input(1))), saturate_));
  }

 protected:
  bool is_linear(const PrepareContext& c) const override {
    DType x = c.input(0).dtype(), scale = c.input(1).dtype();
    return axis_.block == 0 && x == DType::Float32 && scale == DType::Float32 &&
           division_type(x, scale) == DType::Float32 && bytes.contains(c.output(0).dtype());
  }

  void run_parts(RunContext& c, const ScaledTensor& scaled, const Tensor* zero) const override {
    const auto* x = c.input(0).data<float>();
    auto* y = reinterpret_cast<uint8_t*>(c.output(0).raw());
    scaled.for_each_part(c.input(1), zero, c.output(0).dtype() == DType::Int8,
                         [&](const LinearScale& s, int64_t begin, int64_t end) {
                           quantize_linear(s, x + begin, end - begin, y + begin);
                         });
  }

 private:
  DType division_type(DType x, DType scale) const {
    if (precision_ != DType::Undefined) return precision_;
    if (x == DType::Int32 || scale == DType::Int32 || x == DType::Float64) return DType::Float64;
    return scale == DType::Float8E8M0 ? DType::Float32 : scale;
  }

  DType type_ = DType::Undefined, precision_ = DType::Undefined;
  bool saturate_ = true;
};

class DequantizeLinear final : public ScalingOp, public Dequantizes {
 public:
  QuantizedAxis quantized_axis() const override { return axis_; }

  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_.axis, "of scales that are one for each place");
    v.visit("block_size", axis_.block, "elements along the axis that share a scale; 0: no blocks");
    v.visit("output_dtype", type_, "of the output; the scale's without");
  }

  void infer(InferContext& c) const override {
    check_scales(c, 1, 2, axis_);
    DType type = type_ == DType::Undefined ? c.dtype(1) : type_;
    if (!dtypes::floats.contains(type)) c.reject("the output would be {}", to_string(type));
    c.set_output(0, type, c.type(0).shape);
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    DType to = type_ == DType::Undefined ? d.dtype(d.input(1)) : type_;
    d.set(0, emit_dequantize(e, d.input(0), d.input(1), d.input(2), axis_, to));
  }

 protected:
  bool is_linear(const PrepareContext& c) const override {
    return axis_.block == 0 && bytes.contains(c.input(0).dtype()) &&
           c.input(1).dtype() == DType::Float32 && c.output(0).dtype() == DType::Float32;
  }

  void run_parts(RunContext& c, const ScaledTensor& scaled, const Tensor* zero) const override {
    const auto* x = reinterpret_cast<const uint8_t*>(c.input(0).raw());
    auto* y = c.output(0).data<float>();
    scaled.for_each_part(c.input(1), zero, c.input(0).dtype() == DType::Int8,
                         [&](const LinearScale& s, int64_t begin, int64_t end) {
                           dequantize_linear(s, x + begin, end - begin, y + begin);
                         });
  }

 private:
  DType type_ = DType::Undefined;
};

// What a QuantizeLinear and a DequantizeLinear of equal scales do.
class FakeQuantize final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_.axis, "as QuantizeLinear's");
    v.visit("block_size", axis_.block, "as QuantizeLinear's");
    v.visit("quantized", type_, "type in between");
  }

  void infer(InferContext& c) const override {
    check_scales(c, 1, 2, axis_);
    if (!all_quantized.contains(type_)) c.reject("attribute 'quantized' is {}", to_string(type_));
    infer_same(c);
  }

  void decompose(DecomposeContext& d) const override {
    Attributes a{{"axis", axis_.axis}, {"block_size", axis_.block}};
    Attributes first = a;
    first["output_dtype"] = static_cast<int64_t>(type_);
    ValueId q = d.add("QuantizeLinear", {d.input(0), d.input(1), d.input(2)}, first);
    d.set(0, d.add("DequantizeLinear", {q, d.input(1), d.input(2)}, a));
  }

  // The gradient passes where the number was in range, as PyTorch's fake quantization has it. Of
  // the scale: Esser et al. 2020, "Learned step size quantization".
  void gradient(GradientContext& g) const override {
    Emit e(g.builder());
    ValueId x = g.input(0), dy = g.grad(0);
    DType type = g.dtype(x);
    ValueId levels = e.b.cast(emit_levels(e, x, g.input(1), g.input(2), axis_, type_, type), type);
    Levels range = levels_of(type_);
    ValueId low = e.scalar(range.lowest, x), high = e.scalar(range.highest, x);
    ValueId inside =
        e("And", {e("GreaterOrEqual", {levels, low}), e("LessOrEqual", {levels, high})});
    if (g.wants(0)) g.set(0, e.where(inside, dy, e.scalar(0, x)));
    if (!g.wants(1)) return;
    ValueId number = e("Clip", {levels, low, high});
    if (g.has_input(2)) {
      number = e.sub(number, e.b.cast(spread_scale(e, g.input(2), x, axis_), type));
    }
    ValueId ratio = e.div(x, spread_scale(e, g.input(1), x, axis_));
    ValueId slope = e.mul(dy, e.where(inside, e.sub(number, ratio), number));
    g.set(1, gathered(e, slope, x, g.input(1)));
  }

 private:
  // The sum of `slope` over what each scale was for.
  ValueId gathered(const Emit& e, ValueId slope, ValueId x, ValueId scale) const {
    int64_t rank = e.b.rank(x);
    if (e.b.rank(scale) == 0) return e.b.reduce_sum(slope, all_but(rank, -1), false);
    if (axis_.block > 0) {
      int64_t axis = normalize_axis(axis_.axis, rank);
      ValueId place = e.div(e.range(e.dim(x, axis)), e.b.int_scalar(axis_.block));
      std::vector<int64_t> others = all_but(rank, axis);
      ValueId index = e("Expand", {e.b.unsqueeze(place, others), e.b.shape_of(x)});
      return e("ScatterElements", {e.b.zeros_like(scale), index, slope},
               {{"axis", axis}, {"reduction", std::string("add")}});
    }
    bool one = element_count(*e.b.type(scale).shape) == Dim(1);
    int64_t axis = one ? -1 : normalize_axis(rank == 1 ? 0 : axis_.axis, rank);
    return e.b.reshape_like(e.b.reduce_sum(slope, all_but(rank, axis), false), scale);
  }

  static std::vector<int64_t> all_but(int64_t rank, int64_t axis) {
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < rank; ++i) {
      if (i != axis) axes.push_back(i);
    }
    return axes;
  }

  QuantizedAxis axis_;
  DType type_ = DType::UInt8;
};

class DynamicQuantizeLinear final : public ComposedOp, public Quantizes {
 public:
  QuantizedAxis quantized_axis() const override { return {}; }
  bool chooses_scale() const override { return true; }

  void infer(InferContext& c) const override {
    if (c.shape(0) && element_count(*c.shape(0)) == Dim(0)) {
      c.reject("{} has no elements to scale by", c.describe_input(0));
    }
    c.set_output(0, DType::UInt8, c.type(0).shape);
    c.set_output(1, DType::Float32, Shape{});
    c.set_output(2, DType::UInt8, Shape{});
  }

  // The range always holds zero.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0), zero = e.scalar(0, x), levels = e.scalar(255, x);
    auto reduce = [&](const char* op, const char* limit) {
      return e(limit, {e(op, {x}, {{"keepdims", int64_t{0}}}), zero});
    };
    ValueId high = reduce("ReduceMax", "Max"), low = reduce("ReduceMin", "Min");
    ValueId span = e.sub(high, low);
    ValueId scale = e.div(e.where(e.equal(span, zero), e.scalar(1, x), span), levels);
    ValueId point = e("Round", {e("Clip", {e.div(e("Neg", {low}), scale), zero, levels})});
    ValueId zero_point = e.b.cast(point, DType::UInt8);
    if (d.has_output(0)) {
      d.set(0, emit_quantize(e, x, scale, zero_point, {}, DType::UInt8, DType::Float32));
    }
    if (d.has_output(1)) d.set(1, scale);
    if (d.has_output(2)) d.set(2, zero_point);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    if (!c.has_output(0)) return ComposedOp::prepare(c);
    return std::make_unique<DynamicState>();
  }

  void run(RunContext& c) const override {
    if (!c.has_output(0)) return ComposedOp::run(c);
    const Tensor& x = c.input(0);
    const LinearScale s =
        quantize_dynamically(x.data<float>(), x.size(), c.output(0).data<uint8_t>());
    if (c.has_output(1)) *c.output(1).data<float>() = s.scale;
    if (c.has_output(2)) *c.output(2).data<uint8_t>() = static_cast<uint8_t>(s.zero_point);
  }

 private:
  struct DynamicState final : KernelState {};
};

}  // namespace

void register_quantize(OpRegistry& r) {
  constexpr DTypeSet wide = dtypes::floats, scales = wide | DTypeSet(DType::Float8E8M0);
  r.add<QuantizeLinear>(
      {.name = "QuantizeLinear",
       .doc = "saturate(round(x / scale) + zero point)",
       .since = {10, 13, 19, 21, 23, 24, 25, 28},
       .inputs = {{"x", "T1"},
                  {"y_scale", "T2", InputRole::Setting},
                  {"y_zero_point", "T3", Param::Kind::Optional, InputRole::Setting}},
       .outputs = {{"y", "T3"}},
       .types = {with_own_double("T1", wide | DTypeSet(DType::Int32)),
                 with_own_double("T2", scales | DTypeSet(DType::Int32)),
                 {"T3", all_quantized}},
       .gradient = GradientState::NotDifferentiable,
       .decomposes = true});
  r.add<DequantizeLinear>(
      {.name = "DequantizeLinear",
       .doc = "(x - zero point) scale",
       .since = {10, 13, 19, 21, 23, 24, 25, 28},
       .inputs = {{"x", "T1"},
                  {"x_scale", "T2", InputRole::Setting},
                  {"x_zero_point", "T1", Param::Kind::Optional, InputRole::Setting}},
       .outputs = {{"y", "T3"}},
       .types = {{"T1", all_quantized | DTypeSet(DType::Int32)},
                 with_own_double("T2", scales),
                 with_own_double("T3", wide)},
       .gradient = GradientState::Decompose,
       .decomposes = true});
  r.add<DynamicQuantizeLinear>(
      {.name = "DynamicQuantizeLinear",
       .doc = "quantized to uint8 by the range of the input itself",
       .since = {11},
       .inputs = {{"x", "T1"}},
       .outputs = {{"y", "T2"}, {"y_scale", "tensor(float)"}, {"y_zero_point", "T2"}},
       .types = {{"T1", DType::Float32}, {"T2", DType::UInt8}, {"tensor(float)", DType::Float32}},
       .gradient = GradientState::NotDifferentiable,
       .decomposes = true});
  r.add<FakeQuantize>({.name = "FakeQuantize",
                       .domain = private_domain,
                       .doc = "rounded to the numbers that a quantized type has",
                       .since = {1},
                       .inputs = {{"x", "T"},
                                  {"scale", "T", InputRole::Setting},
                                  {"zero_point", "Z", Param::Kind::Optional, InputRole::Setting}},
                       .outputs = {{"y", "T"}},
                       .types = {{"T", wide}, {"Z", all_quantized}},
                       .gradient = GradientState::Rule,
                       .decomposes = true});
}

}  // namespace onnxrun
