// onnxrun.ChannelsLastConv: what passes/layout makes of Conv.
#include <optional>

#include "conv_family.h"
#include "graph/gradient_context.h"
#include "kernels/channels_last_convolution.h"
#include "kernels/compute_buffers.h"
#include "limited_form.h"

namespace onnxrun {

namespace {

constexpr size_t first_limit = 3;

struct ChannelsLastState final : KernelState {
  ChannelsLastState(ConvShape shape, bool of_planes) : plan(std::move(shape), of_planes) {}
  std::string_view kernel() const override { return plan.name(); }

  ChannelsLastConv plan;
};

template <typename Lengths>
Lengths channels_second(const Lengths& image) {
  Lengths result = image;
  std::rotate(result.begin() + 1, result.end() - 1, result.end());
  return result;
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
    std::rotate(y.begin() + 1, y.begin() + 2, y.end());
    c.set_output(0, c.dtype(0), std::move(y));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    Dims x = c.input(0).dims();
    if (!of_planes_) x = channels_second(x);
    auto state = std::make_unique<ChannelsLastState>(shape_of(x, c.input(1).dims()), of_planes_);
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
    if (rank < 0) fail(ErrorKind::Unsupported, "it cannot be decomposed without a known rank");
    std::vector<int64_t> last = {0}, second = {0, rank - 1};
    for (int64_t axis = 2; axis < rank; ++axis) last.push_back(axis);
    for (int64_t axis = 1; axis + 1 < rank; ++axis) second.push_back(axis);
    last.push_back(1);
    std::vector<ValueId> inputs = d.node().inputs;
    if (!of_planes_) inputs[0] = b.transpose(inputs[0], second);
    NodeOptions options{.attributes = window_attributes(), .name = d.node().name};
    const ValueId y =
        b.add_n("onnxrun.LimitedConv", std::move(inputs), 1, std::move(options)).front();
    d.set(0, b.transpose(y, last));
  }

 private:
  bool of_planes_ = false;
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
}

}  // namespace onnxrun
