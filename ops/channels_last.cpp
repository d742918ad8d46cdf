// onnxrun.ChannelsLastConv and onnxrun.ChannelsLastMaxPool: what passes/layout makes of Conv and
// MaxPool.
#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "conv_family.h"
#include "graph/gradient_context.h"
#include "kernels/channels_last_convolution.h"
#include "kernels/channels_last_pooling.h"
#include "kernels/compute_buffers.h"
#include "limited_form.h"
#include "pool_family.h"

namespace onnxrun {

namespace {

constexpr size_t first_limit = 3;

struct ChannelsLastState final : KernelState {
  ChannelsLastState(ConvShape shape, bool of_planes, DType dtype)
      : plan(std::move(shape), of_planes, dtype) {}
  std::string_view kernel() const override { return plan.name(); }

  ChannelsLastConv plan;
};

template <typename Lengths>
Lengths channels_second(Lengths image) {
  std::rotate(image.begin() + 1, image.end() - 1, image.end());
  return image;
}
template <typename Lengths>
Lengths channels_last(Lengths image) {
  std::rotate(image.begin() + 1, image.begin() + 2, image.end());
  return image;
}

// The axes of an image in these orders.
std::vector<int64_t> axes(int64_t rank) {
  if (rank < 0) fail(ErrorKind::Unsupported, "it has no other form while its rank is not known");
  std::vector<int64_t> list(static_cast<size_t>(rank));
  std::iota(list.begin(), list.end(), 0);
  return list;
}
ValueId with_channels_second(GraphBuilder& b, ValueId image, int64_t rank) {
  return b.transpose(image, channels_second(axes(rank)));
}
ValueId with_channels_last(GraphBuilder& b, ValueId image, int64_t rank) {
  return b.transpose(image, channels_last(axes(rank)));
}

class ChannelsLastConvOp final : public ConvFamily {
 public:
  void own_attributes(AttributeVisitor& v) override {
    v.visit("planes", of_planes_, "the channels of X, not those of Y, are its second axis");
  }

  void infer(InferContext& c) const override {
    const auto r = rank(c, {0, 1});
    if (!r) return c.set_output(0, c.dtype(0));
    std::optional<Shape> x = c.type(0).shape;
    if (x && !of_planes_) x = channels_second(*x);
    Shape y = convolved_shape(c, *r, x ? &*x : nullptr, c.shape(1));
    if (c.has_input(2) && c.shape(2)) check_bias(c, *c.shape(2), y[1]);
    check_limits(c, first_limit);
    c.set_output(0, c.dtype(0), channels_last(std::move(y)));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    Dims x = c.input(0).dims();
    if (!of_planes_) x = channels_second(x);
    auto state = std::make_unique<ChannelsLastState>(shape_of(x, c.input(1).dims()), of_planes_,
                                                     c.input(0).dtype());
    if (const Tensor* w = c.constant(1)) state->plan.keep_weights(*w);
    return state;
  }

  void run(RunContext& c) const override {
    const ChannelsLastConv& plan = c.state<ChannelsLastState>().plan;
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> x(c.input(0)), w(c.input(1)), bias(c.has_input(2) ? &c.input(2) : nullptr);
      ComputeOutput<T> y(c.output(0));
      const auto limits = limits_of<true, T>(c, first_limit);
      const bool binds = c.has_input(first_limit) || c.has_input(first_limit + 1);
      convolve(plan, x.data(), w.data(), bias.data(), y.data(), binds ? &*limits : nullptr);
      y.store();
    });
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    const int64_t rank = std::max(b.rank(d.input(0)), b.rank(d.input(1)));
    std::vector<ValueId> inputs = d.node().inputs;
    if (!of_planes_) inputs[0] = with_channels_second(b, inputs[0], rank);
    NodeOptions options{.attributes = window_attributes(), .name = d.node().name};
    const ValueId y =
        b.add_n("onnxrun.LimitedConv", std::move(inputs), 1, std::move(options)).front();
    d.set(0, with_channels_last(b, y, rank));
  }

 private:
  bool of_planes_ = false;
};

class ChannelsLastMaxPool final : public PoolFamily {
 public:
  void infer(InferContext& c) const override {
    std::optional<Shape> x = c.type(0).shape;
    if (x && x->size() < 3) c.reject("{}, expected a spatial axis", c.describe_input(0));
    if (x) x = channels_second(*x);
    c.set_output(0, c.dtype(0), channels_last(pooled(c, x ? &*x : nullptr)));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return plan(channels_second(c.input(0).dims()));
  }

  void run(RunContext& c) const override {
    const auto& s = c.state<PoolState>();
    const Tensor& x = c.input(0);
    dispatch<float, double>(x.dtype(), [&]<typename T>() {
      max_channels_last(s.window(), x.dim(0), x.dims().back(), x.data<T>(), c.output(0).data<T>());
    });
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    const auto rank = static_cast<int64_t>(window_.kernel_shape->size() + 2);
    const ValueId x = with_channels_second(b, d.input(0), rank);
    d.set(0, with_channels_last(b, b.add("MaxPool", {x}, window_attributes()), rank));
  }
};

}  // namespace

void register_channels_last(OpRegistry& r) {
  using enum Param::Kind;
  r.add<ChannelsLastConvOp>(
      {.name = "ChannelsLastConv",
       .domain = private_domain,
       .doc = "convolution limited to [min, max], of images whose channels are the last axis",
       .since = {1},
       .inputs = {{"X", "T"},
                  {"W", "T", InputRole::Weight},
                  {"B", "T", Optional, InputRole::Bias},
                  {"min", "T", Optional, InputRole::Setting},
                  {"max", "T", Optional, InputRole::Setting}},
       .outputs = {{"Y", "T"}},
       .types = {{"T", dtypes::floats}},
       .kind = OpKind::Product,
       .gradient = GradientState::Decompose,
       .decomposes = true});
  r.add<ChannelsLastMaxPool>(
      {.name = "ChannelsLastMaxPool",
       .domain = private_domain,
       .doc = "the largest element of each window of images whose channels are the last axis",
       .since = {1},
       .inputs = {{"X", "T"}},
       .outputs = {{"Y", "T"}},
       .types = {{"T", dtypes::f32_f64}},
       .kind = OpKind::Activation,
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace onnxrun
