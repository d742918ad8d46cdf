// ConvInteger, QLinearConv.
#include "conv_family.h"
#include "emit/quantize.h"

namespace onnxrun {

namespace {

constexpr DTypeSet bytes = {DType::Int8, DType::UInt8};

// Convolutions of whole numbers, computed where the sums are exact.
class WholeConv : public ConvFamily {
 public:
  explicit WholeConv(size_t weight) : weight_(weight) {}

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return inner_.prepare(*this, c);
  }
  void run(RunContext& c) const override { inner_.run(c); }

 protected:
  Shape output_shape(const InferContext& c, const std::optional<size_t>& axes) const {
    const Shape *x = c.shape(0), *w = c.shape(weight_);
    Shape k = kernel(c, *axes - 2, w), y(*axes);
    if (x && w) check_equal(c, "channels of X and of W times group", (*x)[1], (*w)[1] * group_);
    if (x) y[0] = (*x)[0];
    if (w) {
      y[1] = (*w)[0];
      check_equal(c, "W's output channels modulo group", y[1] - floor_div(y[1], group_) * group_,
                  0);
    }
    if (x) {
      Shape out = window_.output_shape(spatial(*x), k);
      std::copy(out.begin(), out.end(), y.begin() + 2);
    }
    return y;
  }

  void infer_as(InferContext& c, DType type) const {
    auto axes = rank(c, {0, weight_});
    if (!axes) return c.set_output(0, type);
    c.set_output(0, type, output_shape(c, axes));
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
  ComposedKernel inner_;
};

class ConvInteger final : public WholeConv {
 public:
  ConvInteger() : WholeConv(1) {}

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
};

class QLinearConv final : public WholeConv {
 public:
  QLinearConv() : WholeConv(3) {}

  void infer(InferContext& c) const override {
    for (size_t i : {1, 2, 6, 7}) expect_one(c, i);
    for (size_t i : {4, 5, 8}) expect_channels(c, i);
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
