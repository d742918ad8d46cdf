// Conv and ConvTranspose, and the private operators their gradients are made of.
//
// Y = Conv(X, W) is linear in X and in W, and so are its gradients in what they take:
//     dX = ConvInputGrad(dY, W)      (ConvTranspose, with X's shape given)
//     dW = ConvWeightGrad(X, dY)
// Each one's own gradients are the other two.
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/compute_buffers.h"
#include "kernels/convolution.h"
#include "kernels/im2col.h"

namespace onnxrun {

namespace {

struct ConvState final : KernelState {
  ConvShape shape;
};

Dims spatial(const Dims& dims) { return {dims.begin() + 2, dims.end()}; }
Shape spatial(const Shape& dims) { return {dims.begin() + 2, dims.end()}; }

class ConvFamily : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("auto_pad", window_.auto_pad, "NOTSET, SAME_UPPER, SAME_LOWER or VALID");
    v.visit("dilations", window_.dilations, "distance between the elements of a window");
    v.visit("group", group_, "groups of channels that are convolved apart");
    v.visit("kernel_shape", window_.kernel_shape, "spatial lengths of W");
    own_attributes(v);
    v.visit("pads", window_.pads, "padding at all beginnings, then at all ends");
    v.visit("strides", window_.strides, "distance between windows");
  }

 protected:
  virtual void own_attributes(AttributeVisitor&) {}

  // The attributes as a node of the family takes them, whatever its own are.
  Attributes window_attributes() const {
    Attributes a = {{"auto_pad", window_.auto_pad}, {"group", group_}};
    auto put = [&](const char* name, const auto& list) {
      if (list) a[name] = *list;
    };
    put("dilations", window_.dilations);
    put("pads", window_.pads);
    put("strides", window_.strides);
    return a;
  }

  // The rank of image and weight tensors as far as anything tells; checks what is known of it.
  std::optional<size_t> rank(const InferContext& c, std::initializer_list<size_t> inputs) const {
    std::optional<size_t> rank;
    if (auto axes = window_.rank()) rank = *axes + 2;
    for (size_t i : inputs) {
      const Shape* s = c.shape(i);
      if (!s) continue;
      if (s->size() < 3) c.reject("{}, expected at least one spatial axis", c.describe_input(i));
      if (rank && *rank != s->size()) {
        c.reject("{}, expected {} axes as the other inputs and attributes have",
                 c.describe_input(i), *rank);
      }
      rank = s->size();
    }
    if (rank) check_attributes(c, *rank - 2);
    return rank;
  }

  void check_attributes(const InferContext& c, size_t axes) const {
    if (axes > max_spatial_axes) {
      fail(ErrorKind::Unsupported, "{} spatial axes, at most {} are supported", axes,
           max_spatial_axes);
    }
    window_.check(axes);
    if (group_ < 1) c.reject("attribute 'group' is {}, expected at least 1", group_);
  }

  // Spatial lengths of W, of which `w` may know some.
  Shape kernel(const InferContext& c, size_t axes, const Shape* w) const {
    Shape k(axes);
    for (size_t i = 0; i < axes; ++i) {
      if (window_.kernel_shape) k[i] = (*window_.kernel_shape)[i];
      if (!w) continue;
      const Dim& given = (*w)[i + 2];
      if (window_.kernel_shape && given.is_known() && !(given == k[i])) {
        c.reject("attribute 'kernel_shape' says {} for axis {}, W has {}", k[i].to_string(), i + 2,
                 given.to_string());
      }
      if (given.is_known() && given.value() < 1) c.reject("a kernel of {}", to_string(*w));
      if (!window_.kernel_shape) k[i] = given;
    }
    return k;
  }

  static void check_equal(const InferContext& c, const char* what, const Dim& found,
                          const Dim& expected) {
    if (found.is_known() && expected.is_known() && !(found == expected)) {
      c.reject("{}: {}, expected {}", what, found.to_string(), expected.to_string());
    }
  }

  static void check_bias(const InferContext& c, const Shape& bias, const Dim& channels) {
    if (bias.size() != 1) c.reject("{}, expected one axis", c.describe_input(2));
    check_equal(c, "length of the bias", bias[0], channels);
  }

  // No elements if there is no bias.
  static Tensor bias_of(const RunContext& c) {
    return c.has_input(2) ? c.input(2) : Tensor(c.output(0).dtype(), {0});
  }

  // How X, W and Y (or their gradients) of these dims lie to each other.
  std::unique_ptr<ConvState> plan(const Dims& x, const Dims& w) const {
    auto state = std::make_unique<ConvState>();
    state->shape = {window_.resolve(spatial(x), spatial(w)), x[0], group_, w[1], w[0] / group_};
    return state;
  }

  WindowAttributes window_;
  int64_t group_ = 1;
};

// A bias of one element a channel: the cotangent summed over all other axes.
ValueId bias_gradient(GradientContext& g, int64_t rank) {
  GraphBuilder& b = g.builder();
  if (rank < 0)
    return b.reduce_sum(b.add("Reshape", {g.grad(0), b.ints({0, 0, -1})}), {0, 2}, false);
  std::vector<int64_t> axes = {0};
  for (int64_t i = 2; i < rank; ++i) axes.push_back(i);
  return b.reduce_sum(g.grad(0), axes, false);
}

int64_t known_rank(GradientContext& g) { return std::max(g.rank(g.input(0)), g.rank(g.input(1))); }

class Conv final : public ConvFamily {
 public:
  void infer(InferContext& c) const override {
    auto r = rank(c, {0, 1});
    if (!r) return c.set_output(0, c.dtype(0));
    const Shape *x = c.shape(0), *w = c.shape(1);
    Shape k = kernel(c, *r - 2, w), y(*r);
    if (x && w) check_equal(c, "channels of X and of W times group", (*x)[1], (*w)[1] * group_);
    if (x) y[0] = (*x)[0];
    if (w) {
      y[1] = (*w)[0];
      check_equal(c, "W's output channels modulo group", y[1] - floor_div(y[1], group_) * group_,
                  0);
    }
    if (c.has_input(2) && c.shape(2)) check_bias(c, *c.shape(2), y[1]);
    if (x) {
      Shape out = window_.output_shape(spatial(*x), k);
      std::copy(out.begin(), out.end(), y.begin() + 2);
    }
    c.set_output(0, c.dtype(0), std::move(y));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return plan(c.input(0).dims(), c.input(1).dims());
  }

  void run(RunContext& c) const override {
    const ConvShape& shape = c.state<ConvState>().shape;
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> x(c.input(0)), w(c.input(1)), bias(bias_of(c));
      ComputeOutput<T> y(c.output(0));
      convolve(shape, x.data(), w.data(), c.has_input(2) ? bias.data() : nullptr, y.data());
      y.store();
    });
  }

  void gradient(GradientContext& g) const override {
    ValueId dy = g.grad(0), x = g.input(0), w = g.input(1);
    Attributes a = window_attributes();
    if (g.wants(0)) g.set(0, g.add("onnxrun.ConvInputGrad", {dy, w, g.builder().shape_of(x)}, a));
    if (g.wants(1)) g.set(1, g.add("onnxrun.ConvWeightGrad", {x, dy, g.builder().shape_of(w)}, a));
    if (g.wants(2)) g.set(2, bias_gradient(g, known_rank(g)));
  }
};

// Y is the gradient of the input of a convolution from Y to X.
class ConvTranspose final : public ConvFamily {
 public:
  void own_attributes(AttributeVisitor& v) override {
    v.visit("output_padding", output_padding_, "elements added at the end of each spatial axis");
    v.visit("output_shape", output_shape_, "spatial lengths of Y, which determine the padding");
  }

  void infer(InferContext& c) const override {
    auto r = rank(c, {0, 1});
    if (!r) return c.set_output(0, c.dtype(0));
    check_lists(c, *r - 2);
    const Shape *x = c.shape(0), *w = c.shape(1);
    Shape k = kernel(c, *r - 2, w), y(*r);
    if (x && w) check_equal(c, "channels of X and of W", (*x)[1], (*w)[0]);
    if (x) y[0] = (*x)[0];
    if (w) {
      y[1] = (*w)[1] * group_;
      check_equal(c, "W's input channels modulo group",
                  (*w)[0] - floor_div((*w)[0], group_) * group_, 0);
    }
    if (c.has_input(2) && c.shape(2)) check_bias(c, *c.shape(2), y[1]);
    for (size_t i = 0; i + 2 < *r; ++i) {
      y[i + 2] = length(i, x ? (*x)[i + 2] : Dim(), k[i]);
      if (y[i + 2].is_known() && y[i + 2].value() < 0) c.reject("an output of {}", to_string(y));
    }
    c.set_output(0, c.dtype(0), std::move(y));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    const Dims &x = c.input(0).dims(), &w = c.input(1).dims();
    auto state = std::make_unique<ConvState>();
    ConvShape& s = state->shape;
    s = {{}, x[0], group_, w[1], w[0] / group_};
    s.window.input = spatial(c.output(0).dims());
    s.window.output = spatial(x);
    s.window.kernel = spatial(w);
    for (size_t i = 0; i + 2 < x.size(); ++i) {
      s.window.strides.push_back(window_.stride(i));
      s.window.dilations.push_back(window_.dilation(i));
      s.window.pads.push_back(first_pad(i, s.window.output[i], s.window.kernel[i]));
    }
    return state;
  }

  void run(RunContext& c) const override {
    const ConvShape& shape = c.state<ConvState>().shape;
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> x(c.input(0)), w(c.input(1)), bias(bias_of(c));
      ComputeOutput<T> y(c.output(0));
      convolve_input_grad(shape, x.data(), w.data(), c.has_input(2) ? bias.data() : nullptr,
                          y.data());
      y.store();
    });
  }

  // X and Y change places: dX = Conv(dY, W). Elements of Y behind the last window got nothing of X.
  void gradient(GradientContext& g) const override {
    GraphBuilder& b = g.builder();
    ValueId x = g.input(0), w = g.input(1), dy = g.grad(0);
    int64_t rank = known_rank(g);
    if (g.wants(2)) g.set(2, bias_gradient(g, rank));
    if (!g.wants(0) && !g.wants(1)) return;
    Attributes a = window_attributes();
    Dims begin, end;
    for (int64_t axis = 2; axis < rank; ++axis) {
      auto i = static_cast<size_t>(axis - 2);
      int64_t k = kernel_length(g, i), in = output_shape_ ? input_length(g, i) : 1;
      int64_t pad = first_pad(i, in, k);
      int64_t behind = length(i, in, k).value() - (covered(i, in, k) - pad);
      begin.push_back(pad);
      end.push_back(std::max<int64_t>(0, -behind));
      if (behind >= window_.stride(i)) dy = b.slice(dy, axis, 0, -behind);
    }
    begin.insert(begin.end(), end.begin(), end.end());
    a["auto_pad"] = std::string("NOTSET");
    a["pads"] = begin;
    if (g.wants(0)) g.set(0, g.add("Conv", {dy, w}, a));
    if (g.wants(1)) g.set(1, g.add("onnxrun.ConvWeightGrad", {dy, x, b.shape_of(w)}, a));
  }

 private:
  void check_lists(const InferContext& c, size_t axes) const {
    for (const auto* list : {&output_padding_, &output_shape_}) {
      if (!*list) continue;
      const char* name = list == &output_shape_ ? "output_shape" : "output_padding";
      if ((*list)->size() != axes) {
        c.reject("attribute '{}' has {} elements, expected {}", name, (*list)->size(), axes);
      }
      for (int64_t v : **list) {
        if (v < 0 || v > INT32_MAX) c.reject("attribute '{}' holds {}", name, v);
      }
    }
  }

  int64_t added(size_t i) const { return output_padding_ ? (*output_padding_)[i] : 0; }

  // What the windows cover, padding included.
  template <typename D>
  D covered(size_t i, D in, D k) const {
    return (in - 1) * window_.stride(i) + (k - 1) * window_.dilation(i) + 1;
  }

  Dim length(size_t i, const Dim& in, const Dim& k) const {
    if (output_shape_) return (*output_shape_)[i];
    if (window_.same()) return in * window_.stride(i);
    Dim full = covered(i, in, k) + added(i);
    return window_.auto_pad == "VALID" ? full : full - window_.pad_begin(i) - window_.pad_end(i);
  }

  int64_t first_pad(size_t i, int64_t in, int64_t k) const {
    if (!output_shape_ && !window_.same())
      return window_.auto_pad == "VALID" ? 0 : window_.pad_begin(i);
    int64_t length_of_y = length(i, in, k).value();
    int64_t total = std::max<int64_t>(0, covered(i, in, k) + added(i) - length_of_y);
    return window_.auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
  }

  int64_t kernel_length(GradientContext& g, size_t i) const {
    const Type& w = g.type(g.input(1));
    if (w.shape && (*w.shape)[i + 2].is_known()) return (*w.shape)[i + 2].value();
    if (window_.kernel_shape) return (*window_.kernel_shape)[i];
    fail(ErrorKind::Unsupported, "the gradient needs the kernel's shape, W is {}", w.to_string());
  }
  static int64_t input_length(GradientContext& g, size_t i) {
    const Type& x = g.type(g.input(0));
    if (x.shape && (*x.shape)[i + 2].is_known()) return (*x.shape)[i + 2].value();
    fail(ErrorKind::Unsupported,
         "with attribute 'output_shape' the gradient needs X's shape, it is {}", x.to_string());
  }

  std::optional<std::vector<int64_t>> output_padding_, output_shape_;
};

// What both gradients are asked to make: a tensor whose shape is the third input.
class ConvGrad : public ConvFamily {
 protected:
  std::optional<Shape> wanted_shape(const InferContext& c) const {
    if (auto content = c.content(2)) return content;
    return std::nullopt;
  }

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
  void infer(InferContext& c) const override {
    auto r = rank(c, {0, 1});
    auto shape = wanted_shape(c);
    if (shape && r && shape->size() != *r)
      c.reject("a gradient of {} axes, expected {}", shape->size(), *r);
    if (shape && c.shape(0) && c.shape(1)) check_windows(c, *shape, *c.shape(1), *c.shape(0));
    if (!shape && r) shape = Shape(*r);
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return plan(c.output(0).dims(), c.input(1).dims());
  }

  void run(RunContext& c) const override {
    const ConvShape& shape = c.state<ConvState>().shape;
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> dy(c.input(0)), w(c.input(1));
      ComputeOutput<T> dx(c.output(0));
      convolve_input_grad(shape, dy.data(), w.data(), nullptr, dx.data());
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
    ValueId covered = b.add("Sub", {spatial_shape(b, b.shape_of(full)), begin});
    ValueId end = b.add("Sub", {in, covered});
    d.set(0, b.add("Pad", {full, concat(b, {zeros, b.add("Neg", {begin}), zeros, end})}));
  }
};

class ConvWeightGrad final : public ConvGrad {
 public:
  void infer(InferContext& c) const override {
    auto r = rank(c, {0, 1});
    auto shape = wanted_shape(c);
    if (shape && r && shape->size() != *r)
      c.reject("a gradient of {} axes, expected {}", shape->size(), *r);
    if (shape && c.shape(0) && c.shape(1)) check_windows(c, *c.shape(0), *shape, *c.shape(1));
    if (!shape && r) shape = Shape(*r);
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return plan(c.input(0).dims(), c.output(0).dims());
  }

  void run(RunContext& c) const override {
    const ConvShape& shape = c.state<ConvState>().shape;
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> x(c.input(0)), dy(c.input(1));
      ComputeOutput<T> dw(c.output(0));
      convolve_weight_grad(shape, x.data(), dy.data(), dw.data());
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

void register_conv(OpRegistry& r) {
  r.add<Conv>({.name = "Conv",
               .doc = "convolution over any number of spatial axes",
               .since = {1, 11, 22},
               .inputs = {{"X", "T"}, {"W", "T"}, {"B", "T", Param::Kind::Optional}},
               .outputs = {{"Y", "T"}},
               .types = {{"T", dtypes::floats}},
               .gradient = GradientState::Rule});
  r.add<ConvTranspose>({.name = "ConvTranspose",
                        .doc = "transposed convolution over any number of spatial axes",
                        .since = {1, 11, 22},
                        .inputs = {{"X", "T"}, {"W", "T"}, {"B", "T", Param::Kind::Optional}},
                        .outputs = {{"Y", "T"}},
                        .types = {{"T", dtypes::floats}},
                        .gradient = GradientState::Rule});
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
