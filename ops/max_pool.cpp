// MaxPool, GlobalMaxPool, and onnxrun.MaxPoolGrad.
#include "graph/channels_last.h"
#include "graph/gradient_context.h"
#include "graph/quantized_form.h"
#include "graph/relu_gradient.h"
#include "kernels/compute_buffers.h"
#include "kernels/max_gradient.h"
#include "kernels/max_planes.h"
#include "kernels/scratch.h"
#include "pool_family.h"

namespace onnxrun {

namespace {

class MaxPool final : public PoolFamily, public WorksOnLevels, public HasChannelsLastForm {
 public:
  std::optional<ChannelsLastForm> channels_last_form(const Graph& graph,
                                                     const Node& node) const override {
    if (!dtypes::f32_f64.contains(graph.value(node.inputs[0]).type.dtype)) return std::nullopt;
    return ChannelsLastForm{.op = "onnxrun.ChannelsLastMaxPool", .attributes = window_attributes()};
  }

  void own_attributes(AttributeVisitor& v) override {
    v.visit("storage_order", column_major_, "indices count columns first");
  }

  void infer(InferContext& c) const override {
    Shape y = pooled(c, c.shape(0));
    c.set_output(0, c.dtype(0), y);
    c.set_output(1, DType::Int64, std::move(y));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = plan(c.input(0).dims());
    state->padded = PaddedPlane::of(state->window());
    dispatch_pooled(c.input(0).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      state->name = c.has_output(1) ? chosen(place_kernels<C>, *state).name
                                    : chosen(max_kernels<C>, *state).name;
    });
    return state;
  }

  void run(RunContext& c) const override {
    const auto& s = c.state<PoolState>();
    dispatch_pooled(c.input(0).dtype(), [&]<typename T>() {
      ComputeInput<T> x(c.input(0));
      if (!c.has_output(1)) {
        ComputeOutput<T> y(c.output(0));
        largest_of_windows(s, x.data(), y.data());
        return y.store();
      }
      T* y = c.has_output(0) ? c.output(0).data<T>() : nullptr;
      with_indices(s, x.data(), c.input(0).data<T>(), y, c.output(1).data<int64_t>());
    });
  }

  void gradient(GradientContext& g) const override {
    g.set(0, g.add("onnxrun.MaxPoolGrad", {g.grad(0), g.input(0)}, window_attributes()));
  }

 private:
  template <typename F>
  static void dispatch_pooled(DType dtype, const F& f) {
    dispatch<float, double, float16, bfloat16, int8_t, uint8_t>(dtype, f);
  }

  template <typename C>
  static void largest_of_windows(const PoolState& s, const C* x, C* y) {
    const int64_t in = s.window().input_size(), out = s.window().output_size();
    const MaxKernel<C>& kernel = chosen(max_kernels<C>, s);
    for_each_range(s.planes, s.work(), [&](int64_t begin, int64_t end) {
      kernel.run(s, x + begin * in, y + begin * out, end - begin);
    });
  }

  template <typename T, typename C>
  void with_indices(const PoolState& s, const C* x, const T* values, T* y, int64_t* indices) const {
    int64_t in = s.window().input_size(), out = s.window().output_size();
    for_each_plane(s.planes, s.work(), [&](int64_t p) {
      Scratch scratch(static_cast<size_t>(out) * sizeof(Place<C>));
      auto* at = scratch.as<Place<C>>();
      argmax_plane(s, x + p * in, at);
      int64_t* index = indices + p * out;
      for (int64_t i = 0; i < out; ++i) {
        if (y) y[p * out + i] = at[i] < 0 ? lowest<T>() : values[p * in + at[i]];
        index[i] = at[i];
        if (at[i] < 0) continue;
        index[i] = p * in + (column_major_ ? by_columns(s.window().input, at[i]) : at[i]);
      }
    });
  }

  template <typename T>
  static T lowest() {
    using Limits = std::numeric_limits<ComputeType<T>>;
    return static_cast<T>(Limits::has_infinity ? -Limits::infinity() : Limits::lowest());
  }

  // The number of a position when the first axis changes fastest.
  static int64_t by_columns(const Dims& dims, int64_t at) {
    int64_t stride = 1, result = 0;
    for (int64_t d : dims) stride *= d;
    for (size_t i = dims.size(); i-- > 0;) {
      stride /= dims[i];
      result += at % dims[i] * stride;
      at /= dims[i];
    }
    return result;
  }

  bool column_major_ = false;
};

// Each window's cotangent goes to its largest element, the first of equals. Without a kernel_shape
// the window is the whole plane. Rectified: Where(X <= 0, 0, that).
class MaxPoolGrad final : public PoolFamily, public TakesReluGradient {
 public:
  size_t relu_output() const override { return 1; }

  void attributes(AttributeVisitor& v) override {
    v.visit("auto_pad", window_.auto_pad, "as MaxPool's");
    v.visit("ceil_mode", window_.ceil_mode, "as MaxPool's");
    v.visit("dilations", window_.dilations, "as MaxPool's");
    v.visit("kernel_shape", window_.kernel_shape, "as MaxPool's; absent: all of a plane");
    v.visit("pads", window_.pads, "as MaxPool's");
    v.visit("strides", window_.strides, "as MaxPool's");
    v.visit("rectified", rectified_, "nothing goes to elements of X that are not above 0");
  }

  void infer(InferContext& c) const override {
    c.set_output(0, c.type(1));
    const Shape *dy = c.shape(0), *x = c.shape(1);
    if (!dy || !x) return;
    if (x->size() < 2) c.reject("{}, expected images and channels", c.describe_input(1));
    Shape expected(x->size(), Dim(1));
    if (window_.kernel_shape) expected = pooled(c, x);
    expected[0] = (*x)[0];
    expected[1] = (*x)[1];
    if (!compatible(Type::tensor(c.dtype(0), expected), c.type(0))) {
      c.reject("{}, expected {}", c.describe_input(0), to_string(expected));
    }
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    const Dims& x = c.input(1).dims();
    if (window_.kernel_shape) {
      auto state = plan(x);
      state->padded = PaddedPlane::of(state->window());
      dispatch_float(c.input(1).dtype(), [&]<typename T>() {
        state->name = chosen(max_gradient_kernels<ComputeType<T>>, *state).name;
      });
      return state;
    }
    auto state = std::make_unique<PoolState>();
    Dims in(x.begin() + 2, x.end());
    int64_t all = element_count(in);
    state->walk = PlaneWalk({{all}, {1}, {all}, {1}, {1}, {0}, {0}});
    state->planes = element_count(Dims{x[0], x[1]});
    return state;
  }

  void run(RunContext& c) const override {
    const auto& s = c.state<PoolState>();
    int64_t in = s.window().input_size(), out = s.window().output_size();
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> dy(c.input(0)), x(c.input(1));
      ComputeOutput<T> dx(c.output(0));
      using C = ComputeType<T>;
      const MaxGradientKernel<C>& kernel = chosen(max_gradient_kernels<C>, s);
      for_each_range(s.planes, s.work(), [&](int64_t begin, int64_t end) {
        kernel.run(s, {.dy = dy.data() + begin * out,
                       .x = x.data() + begin * in,
                       .dx = dx.data() + begin * in,
                       .planes = end - begin,
                       .rectified = rectified_});
      });
      dx.store();
    });
  }

  // Linear in dY; X only says where.
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    GraphBuilder& b = g.builder();
    ValueId indices = emit_indices(b, g.input(1));
    ValueId through = b.reshape(rectify(b, g.input(1), g.grad(0)), b.ints({-1}));
    g.set(0, b.add("Gather", {through, indices}, {{"axis", int64_t{0}}}));
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    ValueId dy = d.input(0), x = d.input(1), all = b.ints({-1});
    ValueId indices = b.reshape(emit_indices(b, x), all);
    ValueId zeros = b.reshape(b.zeros_like(x), all);
    ValueId dx = b.add("ScatterElements", {zeros, indices, b.reshape(dy, all)},
                       {{"axis", int64_t{0}}, {"reduction", std::string("add")}});
    d.set(0, rectify(b, x, b.reshape_like(dx, x)));
  }

 private:
  ValueId rectify(GraphBuilder& b, ValueId x, ValueId flow) const {
    if (!rectified_) return flow;
    ValueId zero = b.scalar_like(0, x);
    return b.add("Where", {b.add("LessOrEqual", {x, zero}), zero, flow});
  }

  // Where in X (as one axis) each window's largest element lies.
  ValueId emit_indices(GraphBuilder& b, ValueId x) const {
    if (window_.kernel_shape)
      return b.add_n("MaxPool", {x}, 2, {.attributes = window_attributes()})[1];
    ValueId shape = b.shape_of(x);
    ValueId planes = b.slice(shape, 0, 0, 2);
    ValueId length =
        b.add("ReduceProd", {b.slice(shape, 0, 2, INT64_MAX)}, {{"keepdims", int64_t{1}}});
    ValueId count = b.add("ReduceProd", {planes}, {{"keepdims", int64_t{1}}});
    auto concat = [&](std::vector<ValueId> parts) {
      return b.add("Concat", std::move(parts), {{"axis", int64_t{0}}});
    };
    ValueId rows = b.reshape(x, concat({count, length}));
    ValueId inside = b.add("ArgMax", {rows}, {{"axis", int64_t{1}}});
    ValueId zero = b.int_scalar(0), step = b.int_scalar(1);
    ValueId row = b.add("Range", {zero, b.squeeze(count, {0}), step});
    ValueId starts = b.unsqueeze(b.add("Mul", {row, length}), {1});
    ValueId flat = b.add("Add", {inside, starts});
    ValueId ones = b.add("ConstantOfShape", {b.add("Sub", {b.shape_of(shape), b.ints({2})})},
                         {{"value", Tensor::of<int64_t>({1}, {1})}});
    return b.reshape(flat, concat({planes, ones}));
  }

  bool rectified_ = false;
};

class GlobalMaxPool final : public Op {
 public:
  void infer(InferContext& c) const override { infer_global_pool(c); }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    int64_t planes = c.output(0).size(), length = planes > 0 ? x.size() / planes : 0;
    dispatch_float(x.dtype(), [&]<typename T>() {
      const T* in = x.data<T>();
      T* out = c.output(0).data<T>();
      for_each_plane(planes, length, [&](int64_t p) {
        auto best = -std::numeric_limits<ComputeType<T>>::infinity();
        for (int64_t i = 0; i < length; ++i) {
          auto v = static_cast<ComputeType<T>>(in[p * length + i]);
          best = exceeds(v, best) ? v : best;
        }
        out[p] = static_cast<T>(best);
      });
    });
  }

  void gradient(GradientContext& g) const override {
    g.set(0, g.add("onnxrun.MaxPoolGrad", {g.grad(0), g.input(0)}));
  }
};

}  // namespace

void register_max_pool(OpRegistry& r) {
  r.add<MaxPool>(
      {.name = "MaxPool",
       .doc = "the largest element of each window",
       .since = {1, 8, 10, 11, 12, 22},
       .inputs = {{"X", "T"}},
       .outputs = {{"Y", "T"}, {"Indices", "I", Param::Kind::Optional}},
       .types = {{"T", dtypes::floats | DTypeSet{DType::Int8, DType::UInt8}}, {"I", DType::Int64}},
       .kind = OpKind::Activation,
       .gradient = GradientState::Rule});
  r.add<GlobalMaxPool>({.name = "GlobalMaxPool",
                        .doc = "the largest element of each channel",
                        .since = {1, 22},
                        .inputs = {{"X", "T"}},
                        .outputs = {{"Y", "T"}},
                        .types = {{"T", dtypes::floats}},
                        .gradient = GradientState::Rule});
  r.add<MaxPoolGrad>({.name = "MaxPoolGrad",
                      .domain = private_domain,
                      .doc = "the gradient of a maximum pool's input",
                      .since = {1},
                      .inputs = {{"dY", "T"}, {"X", "T"}},
                      .outputs = {{"dX", "T"}},
                      .types = {{"T", dtypes::floats}},
                      .gradient = GradientState::Rule,
                      .decomposes = true});
}

}  // namespace onnxrun
