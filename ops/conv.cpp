// Conv and ConvTranspose. Their gradients are made of the operators of conv_grad.cpp.
#include "conv_family.h"
#include "emit/plain_transposed_convolution.h"
#include "graph/channel_map.h"
#include "graph/channels_last.h"
#include "graph/gradient_context.h"
#include "graph/quantized_form.h"
#include "kernels/compute_buffers.h"
#include "limited_form.h"

namespace onnxrun {

namespace {

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

// Whether a vector of channels stands well for a pixel, where it is the longest there is. Sums of
// one position have no better way than products, whose rows are pixels then.
bool fill_vectors(const Tensor& w, bool is_depthwise) {
  constexpr int64_t longest_vector = 16, fewest = 12, half = 8;
  const int64_t channels = w.dim(0), lanes = ceil_of(channels, longest_vector) * longest_vector;
  if (is_depthwise || element_count(spatial(w.dims())) == 1) return channels >= half;
  return channels >= fewest && 10 * channels >= 7 * lanes;
}

class Conv : public ConvFamily,
             public WeighsChannels,
             public TakesLimits,
             public HasQuantizedForm,
             public HasChannelsLastForm {
 public:
  static constexpr std::string_view plain_name = "Conv";
  static constexpr size_t first_limit = 3;

  std::string_view limited_form() const override { return "onnxrun.LimitedConv"; }
  size_t operands() const override { return first_limit; }

  std::optional<ChannelWeights> channel_weights(const Dims& w) const override {
    return ChannelWeights{.channels = w[0], .inner = element_count(Dims(w.begin() + 1, w.end()))};
  }

  // Of weights that are packed once, and floats: other types have no kernel of their own.
  std::optional<ChannelsLastForm> channels_last_form(const Graph& graph,
                                                     const Node& node) const override {
    const Tensor* w = graph.constant(node.inputs[1]);
    if (!w || w->dtype() != DType::Float32 || w->rank() < 3 || w->size() == 0) return std::nullopt;
    const bool is_depthwise = group_ > 1 && group_ == w->dim(0) && w->dim(1) == 1;
    if (group_ > 1 && (!is_depthwise || w->rank() > 4)) return std::nullopt;
    if (!fill_vectors(*w, is_depthwise)) return std::nullopt;
    return ChannelsLastForm{.op = "onnxrun.ChannelsLastConv",
                            .attributes = write_attributes(*this, Conv()),
                            .saves = true,
                            .reads_planes = group_ == 1};
  }

  int64_t scale_axis() const override { return 0; }
  std::optional<QuantizedForm> quantized_form(const Graph& graph,
                                              const QuantizedOperands& o) const override {
    const Tensor* w = graph.constant(o.w.levels);
    const int64_t rank = graph.value(o.x.levels).type.rank();
    const bool fits = w && rank >= 3 && rank == w->rank();
    if (!fits || o.y.scale == no_value) return std::nullopt;
    return QuantizedForm{"QLinearConv",
                         {o.x.levels, o.x.scale, o.x.zero_point, o.w.levels, o.w.scale,
                          o.w.zero_point, o.y.scale, o.y.zero_point, o.bias},
                         write_attributes(*this, Conv())};
  }

  void infer(InferContext& c) const override {
    auto r = rank(c, {0, 1});
    if (!r) return c.set_output(0, c.dtype(0));
    Shape y = convolved_shape(c, *r, 1);
    if (c.has_input(2) && c.shape(2)) check_bias(c, *c.shape(2), y[1]);
    c.set_output(0, c.dtype(0), std::move(y));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = plan(c.input(0).dims(), c.input(1).dims(), &ConvPlan::forward_kernel);
    if (const Tensor* w = c.constant(1)) state->plan.keep_weights(*w);
    return state;
  }

  void run(RunContext& c) const override { compute<false>(c); }

  template <bool is_limited>
  void compute(const RunContext& c) const {
    const ConvPlan& plan = c.state<ConvState>().plan;
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> x(c.input(0)), w(c.input(1)), bias(c.has_input(2) ? &c.input(2) : nullptr);
      ComputeOutput<T> y(c.output(0));
      const auto limits = limits_of<is_limited, T>(c, first_limit);
      convolve(plan, x.data(), w.data(), bias.data(), y.data(), limits ? &*limits : nullptr);
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
class ConvTranspose final : public ConvFamily, public WeighsChannels {
 public:
  std::optional<ChannelWeights> channel_weights(const Dims& w) const override {
    return ChannelWeights{.groups = group_,
                          .outer = w[0] / group_,
                          .channels = w[1],
                          .inner = element_count(spatial(w))};
  }

  void own_attributes(AttributeVisitor& v) override {
    v.visit("output_padding", output_padding_, "elements added at the end of each spatial axis");
    v.visit("output_shape", output_shape_, "spatial lengths of Y, which determine the padding");
  }

  bool emit_plain(Graph& graph, Node& node) const override {
    return emit_plain_transposed_convolution(graph, node, group_);
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
    ConvShape s{{}, x[0], group_, w[1], w[0] / group_};
    s.window.input = spatial(c.output(0).dims());
    s.window.output = spatial(x);
    s.window.kernel = spatial(w);
    for (size_t i = 0; i + 2 < x.size(); ++i) {
      s.window.strides.push_back(window_.stride(i));
      s.window.dilations.push_back(window_.dilation(i));
      s.window.pads.push_back(first_pad(i, s.window.output[i], s.window.kernel[i]));
    }
    return std::make_unique<ConvState>(std::move(s), &ConvPlan::input_grad_kernel);
  }

  void run(RunContext& c) const override {
    const ConvPlan& plan = c.state<ConvState>().plan;
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> x(c.input(0)), w(c.input(1)), bias(c.has_input(2) ? &c.input(2) : nullptr);
      ComputeOutput<T> y(c.output(0));
      convolve_input_grad(plan, x.data(), w.data(), bias.data(), y.data());
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

}  // namespace

void register_conv(OpRegistry& r) {
  const OpSpec conv = {.name = "Conv",
                       .doc = "convolution over any number of spatial axes",
                       .since = {1, 11, 22},
                       .inputs = {{"X", "T"},
                                  {"W", "T", InputRole::Weight},
                                  {"B", "T", Param::Kind::Optional, InputRole::Bias}},
                       .outputs = {{"Y", "T"}},
                       .types = {{"T", dtypes::floats}},
                       .kind = OpKind::Product,
                       .gradient = GradientState::Rule};
  r.add<Conv>(conv);
  add_limited_form<Conv>(r, conv, "LimitedConv", "convolution limited to [min, max]");
  OpSpec transposed = conv;
  transposed.name = "ConvTranspose";
  transposed.doc = "transposed convolution over any number of spatial axes";
  r.add<ConvTranspose>(std::move(transposed));
}

}  // namespace onnxrun
