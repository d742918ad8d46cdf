// ConvInteger, QLinearConv.
#include "conv_family.h"
#include "emit/quantize.h"
#include "graph/cost.h"
#include "kernels/byte_convolution.h"
#include "kernels/byte_matmul.h"

namespace onnxrun {

namespace {

struct ByteConvState final : KernelState {
  explicit ByteConvState(ConvShape shape) : convolution(std::move(shape)) {}
  std::string_view kernel() const override { return convolution.kernel(); }

  ByteConvolution convolution;
  Tensor weights;  // packed, if they are constant
};

// Convolutions of bytes.
class WholeConv : public ConvFamily {
 public:
  explicit WholeConv(size_t weight) : weight_(weight) {}

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    const Dims &x = c.input(0).dims(), &w = c.input(weight_).dims();
    ConvShape shape{window_.resolve(spatial(x), spatial(w)), x[0], group_, w[1], w[0] / group_};
    auto state = std::make_unique<ByteConvState>(std::move(shape));
    const ByteConvolution& convolution = state->convolution;
    if (const Tensor* weights = c.constant(weight_)) {
      state->weights = c.packed(weight_, convolution.weight_layout(), [&] {
        Tensor packed(DType::Int32, {convolution.weight_words()});
        convolution.pack_weights(bytes_of(*weights), packed.data<int32_t>());
        return packed;
      });
    } else {
      c.request_scratch(convolution.weight_words() * static_cast<int64_t>(sizeof(int32_t)));
    }
    return state;
  }

  void run(RunContext& c) const override {
    const auto& state = c.state<ByteConvState>();
    const Tensor &x = c.input(0), &w = c.input(weight_);
    auto* packed = reinterpret_cast<int32_t*>(c.scratch());
    const bool is_kept = state.weights.defined();
    if (!is_kept) state.convolution.pack_weights(bytes_of(w), packed);
    const auto [x_zero, w_zero] = zero_inputs();
    const ZeroPoints zeros = zero_points(c.has_input(w_zero) ? &c.input(w_zero) : nullptr,
                                         signed_shift(w.dtype() == DType::Int8));
    const uint8_t zero_x = c.has_input(x_zero) ? *bytes_of(c.input(x_zero)).data : 0;
    const int32_t* weights = is_kept ? state.weights.data<int32_t>() : packed;
    if (c.output(0).size() > 0)
      convolve(c, state.convolution, {bytes_of(x), zero_x, weights, zeros});
  }

 protected:
  // The inputs that are zero points of X and W.
  virtual std::pair<size_t, size_t> zero_inputs() const = 0;
  virtual void convolve(RunContext& c, const ByteConvolution& convolution,
                        const ByteConvolution::Operands& o) const = 0;

  void infer_as(InferContext& c, DType type) const {
    auto axes = rank(c, {0, weight_});
    if (!axes) return c.set_output(0, type);
    c.set_output(0, type, convolved_shape(c, *axes, weight_));
  }

  static void expect_one(const InferContext& c, size_t i) {
    if (!c.has_input(i) || !c.shape(i)) return;
    Dim n = element_count(*c.shape(i));
    if (n.is_known() && n.value() != 1) c.reject("{}, expected one number", c.describe_input(i));
  }

  void expect_channels(const InferContext& c, size_t i) const {
    const Shape *s = c.has_input(i) ? c.shape(i) : nullptr, *w = c.shape(weight_);
    if (!s || !w || w->empty() || element_count(*s) == Dim(1)) return;
    bool fits =
        s->size() == 1 && (!(*s)[0].is_known() || !(*w)[0].is_known() || (*s)[0] == (*w)[0]);
    if (!fits)
      c.reject("{}, expected one for each of {} channels", c.describe_input(i),
               (*w)[0].to_string());
  }

  // A number, or a list with one for each output channel, to go with axis 0 of W or axis 1 of Y.
  static ValueId for_channels(const Emit& e, ValueId v, int64_t rank, bool weights) {
    if (e.b.rank(v) == 0) return v;
    if (element_count(*e.b.type(v).shape) == Dim(1)) return e.b.reshape(v, e.b.ints({}));
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < rank; ++i) {
      if (i != (weights ? 0 : 1)) axes.push_back(i);
    }
    return e.b.unsqueeze(v, axes);
  }

  // The sums in a floating-point type.
  ValueId sums(const Emit& e, ValueId x, ValueId w, ValueId x_zero, ValueId w_zero,
               ValueId bias) const {
    const Type type = e.b.type(w);
    int64_t terms = INT64_MAX / 256;
    if (type.is_concrete() && !type.shape->empty()) {
      Dims dims = to_dims(*type.shape);
      dims.erase(dims.begin());
      terms = element_count(dims);
    }
    // 255 times 255 this often is exact in single precision; so is a bias that is not larger.
    DType wide = terms <= 128 && bias == no_value ? DType::Float32 : DType::Float64;
    auto number = [&](ValueId v, ValueId zero) {
      v = e.b.cast(v, wide);
      return zero == no_value ? v : e.sub(v, e.b.cast(zero, wide));
    };
    if (w_zero != no_value) w_zero = for_channels(e, w_zero, e.b.rank(w), true);
    if (x_zero != no_value) x_zero = e.b.reshape(x_zero, e.b.ints({}));
    ValueId b = bias == no_value ? bias : e.b.cast(bias, wide);
    return e("Conv", {number(x, x_zero), number(w, w_zero), b}, window_attributes());
  }

 private:
  size_t weight_;
};

class ConvInteger final : public WholeConv {
 public:
  ConvInteger() : WholeConv(1) {}

  Count operations(const CostContext& c) const override { return products_of(c, c.elements(1, 1)); }

  void infer(InferContext& c) const override {
    expect_one(c, 2);
    expect_channels(c, 3);
    infer_as(c, DType::Int32);
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId y = sums(e, d.input(0), d.input(1), d.input(2), d.input(3), no_value);
    d.set(0, e.b.cast(y, DType::Int32));
  }

 protected:
  std::pair<size_t, size_t> zero_inputs() const override { return {2, 3}; }
  void convolve(RunContext& c, const ByteConvolution& convolution,
                const ByteConvolution::Operands& o) const override {
    convolution.sums(o, c.output(0).data<int32_t>());
  }
};

class QLinearConv final : public WholeConv {
 public:
  QLinearConv() : WholeConv(3) {}

  Count operations(const CostContext& c) const override {
    return products_of(c, c.elements(3, 1), 8);
  }

  void infer(InferContext& c) const override {
    for (size_t i : {1, 2, 6, 7}) expect_one(c, i);
    for (size_t i : {4, 5}) expect_channels(c, i);
    const Shape *bias = c.has_input(8) ? c.shape(8) : nullptr, *w = c.shape(3);
    if (bias && bias->size() != 1) c.reject("{}, expected one axis", c.describe_input(8));
    if (bias && w && !w->empty()) check_equal(c, "length of the bias", (*bias)[0], (*w)[0]);
    infer_as(c, c.dtype(7));
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0), w = d.input(3);
    ValueId y = sums(e, x, w, d.input(2), d.input(5), d.input(8));
    auto one = [&](size_t i) { return e.b.reshape(d.input(i), e.b.ints({})); };
    ValueId scale = for_channels(e, d.input(4), e.b.rank(w), false);
    ValueId factor = e.div(e.mul(one(1), scale), one(6));
    d.set(0, emit_requantize(e, y, factor, one(7), d.dtype(d.input(7))));
  }

 protected:
  std::pair<size_t, size_t> zero_inputs() const override { return {2, 5}; }
  void convolve(RunContext& c, const ByteConvolution& convolution,
                const ByteConvolution::Operands& o) const override {
    const Tensor &x_scale = c.input(1), &w_scale = c.input(4), &y_scale = c.input(6);
    std::vector<float> factors;
    for (int64_t i = 0; i < c.output(0).dims()[1]; ++i) {
      factors.push_back(x_scale.data<float>()[0] * w_scale.data<float>()[i % w_scale.size()] /
                        y_scale.data<float>()[0]);
    }
    const int32_t* bias = c.has_input(8) ? c.input(8).data<int32_t>() : nullptr;
    const ChannelResults results{bias, factors.data(), zero_points(&c.input(7), 0).at(0),
                                 c.output(0).dtype() == DType::Int8};
    convolution.quantized(o, results, reinterpret_cast<uint8_t*>(c.output(0).raw()));
  }
};

}  // namespace

void register_integer_convolutions(OpRegistry& r) {
  r.add<ConvInteger>({.name = "ConvInteger",
                      .doc = "a convolution of bytes, in int32",
                      .since = {10},
                      .inputs = {{"x", "T1"},
                                 {"w", "T2"},
                                 {"x_zero_point", "T1", Param::Kind::Optional},
                                 {"w_zero_point", "T2", Param::Kind::Optional}},
                      .outputs = {{"y", "T3"}},
                      .types = {{"T1", bytes}, {"T2", bytes}, {"T3", DType::Int32}},
                      .gradient = GradientState::NotDifferentiable,
                      .decomposes = true});
  r.add<QLinearConv>({.name = "QLinearConv",
                      .doc = "a convolution of quantized images, quantized",
                      .since = {10},
                      .inputs = {{"x", "T1"},
                                 {"x_scale", "tensor(float)"},
                                 {"x_zero_point", "T1"},
                                 {"w", "T2"},
                                 {"w_scale", "tensor(float)"},
                                 {"w_zero_point", "T2"},
                                 {"y_scale", "tensor(float)"},
                                 {"y_zero_point", "T3"},
                                 {"B", "T4", Param::Kind::Optional}},
                      .outputs = {{"y", "T3"}},
                      .types = {{"T1", bytes},
                                {"T2", bytes},
                                {"T3", bytes},
                                {"T4", DType::Int32},
                                {"tensor(float)", DType::Float32}},
                      .gradient = GradientState::NotDifferentiable,
                      .decomposes = true});
}

}  // namespace onnxrun
