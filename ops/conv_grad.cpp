// onnxrun.ConvInputGrad and onnxrun.ConvWeightGrad: the gradients of a convolution.
//
// Y = Conv(X, W) is linear in X and in W, and so are its gradients in what they take:
//     dX = ConvInputGrad(dY, W)      (ConvTranspose, with X's shape given)
//     dW = ConvWeightGrad(X, dY)
// Each one's own gradients are the other two.
#include <numeric>

#include "conv_family.h"
#include "graph/cost.h"
#include "graph/gradient_context.h"
#include "kernels/compute_buffers.h"

namespace onnxrun {

namespace {

// What both gradients are asked to make: a tensor whose shape is the third input.
class ConvGrad : public ConvFamily {
 public:
  void infer(InferContext& c) const override {
    auto r = rank(c, {0, 1});
    std::optional<Shape> wanted = c.content(2);
    if (wanted && r && wanted->size() != *r)
      c.reject("a gradient of {} axes, expected {}", wanted->size(), *r);
    if (wanted && c.shape(0) && c.shape(1)) check(c, *wanted);
    if (!wanted && r) wanted = Shape(*r);
    c.set_output(0, c.dtype(0), std::move(wanted));
  }

 protected:
  // Rejects inputs whose gradient cannot have the wanted shape; all shapes are known.
  virtual void check(const InferContext& c, const Shape& wanted) const = 0;

  // The output of the convolution that this is a gradient of must be what was given.
  void check_windows(const InferContext& c, const Shape& x, const Shape& w, const Shape& y) const {
    Shape out = window_.output_shape(spatial(x), kernel(c, x.size() - 2, &w));
    for (size_t i = 0; i < out.size(); ++i) check_equal(c, "windows of an axis", y[i + 2], out[i]);
    check_equal(c, "images", y[0], x[0]);
    check_equal(c, "output channels", y[1], w[0]);
    check_equal(c, "channels", x[1], w[1] * group_);
  }

  // Values for the beginning of each spatial axis' padding when it depends on lengths known only at
  // run time: those of the input and of the output.
  ValueId runtime_pads(GraphBuilder& b, ValueId in, ValueId out, const Dims& k) const {
    size_t axes = k.size();
    Dims begin(axes), stride(axes), extent(axes);
    for (size_t i = 0; i < axes; ++i) {
      begin[i] = window_.auto_pad == "VALID" ? 0 : window_.pad_begin(i);
      stride[i] = window_.stride(i);
      extent[i] = (k[i] - 1) * window_.dilation(i) + 1;
    }
    if (!window_.same()) return b.ints(begin);
    ValueId one = b.ints({1}), two = b.ints({2});
    ValueId reach =
        b.add("Add", {b.add("Mul", {b.add("Sub", {out, one}), b.ints(stride)}), b.ints(extent)});
    ValueId total = b.add("Max", {b.add("Sub", {reach, in}), b.ints({0})});
    ValueId half = b.add("Div", {total, two});
    return window_.auto_pad == "SAME_LOWER" ? b.add("Sub", {total, half}) : half;
  }

  static ValueId concat(GraphBuilder& b, std::vector<ValueId> parts) {
    return b.add("Concat", std::move(parts), {{"axis", int64_t{0}}});
  }
  static ValueId spatial_shape(GraphBuilder& b, ValueId shape) {
    return b.slice(shape, 0, 2, INT64_MAX);
  }

  Dims ones(size_t n) const { return Dims(n, 1); }
  Dims strides(size_t n) const { return window_.strides.value_or(ones(n)); }
  Dims dilations(size_t n) const { return window_.dilations.value_or(ones(n)); }
};

class ConvInputGrad final : public ConvGrad {
 public:
  Count operations(const CostContext& c) const override {
    return 2 * c.elements(0) * c.elements(1, 1);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return plan(c.output(0).dims(), c.input(1).dims(), &ConvPlan::input_grad_kernel);
  }

  void run(RunContext& c) const override {
    const ConvPlan& plan = c.state<ConvState>().plan;
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> dy(c.input(0)), w(c.input(1));
      ComputeOutput<T> dx(c.output(0));
      convolve_input_grad(plan, dy.data(), w.data(), nullptr, dx.data());
      dx.store();
    });
  }

  void gradient(GradientContext& g) const override {
    ValueId z = g.grad(0), dy = g.input(0), w = g.input(1);
    Attributes a = window_attributes();
    if (g.wants(0)) g.set(0, g.add("Conv", {z, w}, a));
    if (g.wants(1)) g.set(1, g.add("onnxrun.ConvWeightGrad", {z, dy, g.builder().shape_of(w)}, a));
  }

  // The transposed convolution without any padding covers from -pads on; padding and cropping take
  // it to the input's shape.
  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    ValueId dy = d.input(0), w = d.input(1), shape = d.input(2);
    const Type& kernel_type = b.type(w);
    if (!kernel_type.is_concrete()) {
      fail(ErrorKind::Unsupported, "the weight's shape must be known, it is {}",
           kernel_type.to_string());
    }
    Dims k = spatial(to_dims(*kernel_type.shape));
    size_t n = k.size();
    ValueId full = b.add("ConvTranspose", {dy, w},
                         {{"group", group_}, {"strides", strides(n)}, {"dilations", dilations(n)}});
    ValueId in = spatial_shape(b, shape), zeros = b.ints({0, 0});
    ValueId begin = runtime_pads(b, in, spatial_shape(b, b.shape_of(dy)), k);
    // Windows need not reach the end of the input.
    ValueId covered = b.add("Sub", {spatial_shape(b, b.shape_of(full)), begin});
    ValueId end = b.add("Max", {b.add("Sub", {in, covered}), b.ints({0})});
    Dims axes(n);
    std::iota(axes.begin(), axes.end(), 2);
    ValueId cropped = b.add("Slice", {full, begin, b.add("Add", {begin, in}), b.ints(axes)});
    d.set(0, b.add("Pad", {cropped, concat(b, {zeros, b.ints(Dims(n, 0)), zeros, end})}));
  }

 private:
  void check(const InferContext& c, const Shape& dx) const override {
    check_windows(c, dx, *c.shape(1), *c.shape(0));
  }
};

class ConvWeightGrad final : public ConvGrad {
 public:
  Count operations(const CostContext& c) const override {
    return 2 * c.elements(1) * elements_of(c.output(), 1);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return plan(c.input(0).dims(), c.output(0).dims(), &ConvPlan::weight_grad_kernel);
  }

  void run(RunContext& c) const override {
    const ConvPlan& plan = c.state<ConvState>().plan;
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> x(c.input(0)), dy(c.input(1));
      ComputeOutput<T> dw(c.output(0));
      convolve_weight_grad(plan, x.data(), dy.data(), dw.data());
      dw.store();
    });
  }

  void gradient(GradientContext& g) const override {
    ValueId v = g.grad(0), x = g.input(0), dy = g.input(1);
    Attributes a = window_attributes();
    if (g.wants(0)) g.set(0, g.add("onnxrun.ConvInputGrad", {dy, v, g.builder().shape_of(x)}, a));
    if (g.wants(1)) g.set(1, g.add("Conv", {x, v}, a));
  }

  // A convolution whose images are X's channels (groups of them side by side), whose channels are
  // X's images, and whose weight is dY; strides and dilations change places.
  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    auto lengths = b.graph().value(d.input(2)).content;
    if (!lengths || !all_known(*lengths)) {
      fail(ErrorKind::Unsupported, "the weight's shape must be known");
    }
    Dims w = to_dims(*lengths), k = spatial(w);
    size_t n = k.size();
    ValueId x = padded(b, d.input(0), d.input(1), k);
    ValueId in = spatial_shape(b, b.shape_of(x)), minus = b.ints({-1});
    Dims swap = {1, 0}, split = {2, 1, 0};
    for (size_t i = 0; i < n; ++i) {
      swap.push_back(static_cast<int64_t>(i) + 2);
      split.push_back(static_cast<int64_t>(i) + 3);
    }
    // [N, g C, in] -> [N, g, C, in] -> [C, g, N, in] -> [C, g N, in]
    ValueId apart = b.add("Reshape", {x, concat(b, {b.ints({0, group_, w[1]}), in})});
    ValueId images =
        b.add("Reshape", {b.transpose(apart, split), concat(b, {b.ints({0}), minus, in})});
    ValueId dw = b.add("Conv", {images, b.transpose(d.input(1), swap)},
                       {{"group", group_}, {"strides", dilations(n)}, {"dilations", strides(n)}});
    dw = b.transpose(dw, swap);
    Dims axes(swap.begin() + 2, swap.end());
    d.set(0, b.add("Slice", {dw, b.ints(Dims(n, 0)), b.ints(k), b.ints(axes)}));
  }

 private:
  void check(const InferContext& c, const Shape& dw) const override {
    check_windows(c, *c.shape(0), dw, *c.shape(1));
  }

  // X with its padding, and with at least as much behind it as the last window needs.
  ValueId padded(GraphBuilder& b, ValueId x, ValueId dy, const Dims& k) const {
    size_t n = k.size();
    Dims reach(n), stride = strides(n);
    for (size_t i = 0; i < n; ++i) reach[i] = (k[i] - 1) * window_.dilation(i) + 1;
    ValueId in = spatial_shape(b, b.shape_of(x)), out = spatial_shape(b, b.shape_of(dy));
    ValueId begin = runtime_pads(b, in, out, k), one = b.ints({1}), zeros = b.ints({0, 0});
    ValueId read =
        b.add("Add", {b.add("Mul", {b.add("Sub", {out, one}), b.ints(stride)}), b.ints(reach)});
    ValueId end = b.add("Max", {b.add("Sub", {read, b.add("Add", {in, begin})}), b.ints({0})});
    return b.add("Pad", {x, concat(b, {zeros, begin, zeros, end})});
  }
};

void add_private(OpRegistry& r, OpSpec spec, std::function<std::shared_ptr<Op>()> make) {
  spec.domain = private_domain;
  spec.since = {1};
  spec.types = {{"T", dtypes::floats}, {"I", DType::Int64}};
  spec.decomposes = true;
  r.add(std::move(spec), std::move(make));
}

}  // namespace

void register_conv_grad(OpRegistry& r) {
  add_private(r,
              {.name = "ConvInputGrad",
               .doc = "the gradient of a convolution's input",
               .inputs = {{"dY", "T"}, {"W", "T"}, {"shape", "I"}},
               .outputs = {{"dX", "T"}}},
              [] { return std::make_shared<ConvInputGrad>(); });
  add_private(r,
              {.name = "ConvWeightGrad",
               .doc = "the gradient of a convolution's weight",
               .inputs = {{"X", "T"}, {"dY", "T"}, {"shape", "I"}},
               .outputs = {{"dW", "T"}}},
              [] { return std::make_shared<ConvWeightGrad>(); });
}

}  // namespace onnxrun
