// AveragePool, LpPool, GlobalAveragePool, and onnxrun.AveragePoolGrad.
#include "graph/gradient_context.h"
#include "graph/upgrade_context.h"
#include "kernels/compute_buffers.h"
#include "kernels/normalize.h"
#include "pool_family.h"

namespace onnxrun {

namespace {

class AverageFamily : public PoolFamily {
 public:
  void own_attributes(AttributeVisitor& v) override {
    v.visit("count_include_pad", include_pad_, "padding counts as elements of a window");
  }

 protected:
  Attributes pool_attributes() const {
    Attributes a = window_attributes();
    a["count_include_pad"] = int64_t{include_pad_};
    return a;
  }

  std::unique_ptr<KernelState> plan_with_counts(const Dims& x) const {
    auto state = plan(x);
    state->counts = window_counts(state->window(), include_pad_);
    // A window of nothing but padding has the mean 0.
    for (double& n : state->counts) n = std::max(n, 1.0);
    return state;
  }

  bool include_pad_ = false;
};

class AveragePool final : public AverageFamily {
 public:
  Count operations(const CostContext& c) const override { return window_operations(c); }

  void infer(InferContext& c) const override { c.set_output(0, c.dtype(0), pooled(c, c.shape(0))); }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return plan_with_counts(c.input(0).dims());
  }

  void run(RunContext& c) const override {
    const auto& s = c.state<PoolState>();
    int64_t in = s.window().input_size(), out = s.window().output_size();
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      ComputeInput<T> x(c.input(0));
      ComputeOutput<T> y(c.output(0));
      for_each_plane(s.planes, s.work(), [&](int64_t p) {
        C* plane = y.data() + p * out;
        sum_plane(s.walk, x.data() + p * in, plane, [](C v) { return v; });
        for (int64_t i = 0; i < out; ++i)
          plane[i] /= static_cast<C>(s.counts[static_cast<size_t>(i)]);
      });
      y.store();
    });
  }

  void gradient(GradientContext& g) const override {
    ValueId shape = g.builder().shape_of(g.input(0));
    g.set(0, g.add("onnxrun.AveragePoolGrad", {g.grad(0), shape}, pool_attributes()));
  }
};

// Each element of a window gets its share of the window's cotangent.
class AveragePoolGrad final : public AverageFamily {
 public:
  void infer(InferContext& c) const override {
    std::optional<Shape> x = c.content(1);
    size_t rank = window_.kernel_shape->size() + 2;
    Shape expected = pooled(c, x ? &*x : nullptr);
    if (c.shape(0) && !compatible(Type::tensor(c.dtype(0), expected), c.type(0))) {
      c.reject("{}, expected {}", c.describe_input(0), to_string(expected));
    }
    c.set_output(0, c.dtype(0), x ? *x : Shape(rank));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return plan_with_counts(c.output(0).dims());
  }

  void run(RunContext& c) const override {
    const auto& s = c.state<PoolState>();
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      ComputeInput<T> dy(c.input(0));
      ComputeOutput<T> dx(c.output(0));
      for_each_plane(s.planes, s.work(), [&](int64_t p) {
        spread(s, dy.data() + p * s.window().output_size(),
               dx.data() + p * s.window().input_size());
      });
      dx.store();
    });
  }

  void gradient(GradientContext& g) const override {
    g.set(0, g.add("AveragePool", {g.grad(0)}, pool_attributes()));
  }

  // The gradient of a convolution with ones of each channel by itself.
  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    ValueId dy = d.input(0), shape = d.input(1);
    ValueId out = b.slice(b.shape_of(dy), 0, 2, INT64_MAX), in = b.slice(shape, 0, 2, INT64_MAX);
    ValueId planes = b.add("ReduceProd", {b.slice(shape, 0, 0, 2)}, {{"keepdims", int64_t{1}}});
    auto stack = [&](ValueId lengths) {
      return b.add("Concat", {planes, b.ints({1}), lengths}, {{"axis", int64_t{0}}});
    };
    Attributes a = window_attributes();
    for (const char* name : {"kernel_shape", "ceil_mode"}) a.erase(name);
    ValueId share = b.reshape(b.add("Div", {dy, counts(b, shape, in, dy, a)}), stack(out));
    Dims ones = *window_.kernel_shape;
    ones.insert(ones.begin(), {1, 1});
    ValueId w = b.constant(filled(ones, b.dtype(dy)));
    ValueId dx = b.add("onnxrun.ConvInputGrad", {share, w, stack(in)}, a);
    d.set(0, b.reshape(dx, shape));
  }

 private:
  template <typename C>
  static void spread(const PoolState& s, const C* dy, C* dx) {
    std::fill_n(dx, s.window().input_size(), C{0});
    int64_t step = s.window().strides.back();
    s.walk.for_each([&](const Stretch& t) {
      const C* from = dy + t.column + t.before;
      const double* count = s.counts.data() + t.column + t.before;
      for (int64_t i = 0; i < t.inside; ++i)
        dx[t.input + i * step] += from[i] / static_cast<C>(count[i]);
    });
  }

  static Tensor filled(const Dims& dims, DType dtype) {
    Tensor t(DType::Float64, dims);
    std::fill_n(t.data<double>(), t.size(), 1.0);
    return convert(t, dtype);
  }

  // The number of elements of each window; makes the padding of `a` explicit where lengths are
  // known.
  ValueId counts(GraphBuilder& b, ValueId shape, ValueId in, ValueId dy, Attributes& a) const {
    auto lengths = b.graph().value(shape).content;
    if (lengths && all_known(Shape(lengths->begin() + 2, lengths->end()))) {
      Window w =
          window_.resolve(to_dims({lengths->begin() + 2, lengths->end()}), *window_.kernel_shape);
      Dims dims = w.output, pads = w.pads;
      for (size_t i = 0; i < w.rank(); ++i) {
        int64_t read = (w.output[i] - 1) * w.strides[i] + w.extent(i);
        pads.push_back(std::max<int64_t>(0, read - w.input[i] - w.pads[i]));
      }
      a["auto_pad"] = std::string("NOTSET");
      a["pads"] = pads;
      std::vector<double> n = window_counts(w, include_pad_);
      for (double& v : n) v = std::max(v, 1.0);
      return b.constant(convert(Tensor::of<double>(dims, n), b.dtype(dy)));
    }
    if (window_.ceil_mode) {
      fail(ErrorKind::Unsupported, "with attribute 'ceil_mode' the input's shape must be known");
    }
    double full = 1;
    for (int64_t k : *window_.kernel_shape) full *= static_cast<double>(k);
    ValueId all = b.scalar_like(full, dy);
    if (include_pad_) return all;
    ValueId lengths_of_one = b.add("Concat", {b.ints({1, 1}), in}, {{"axis", int64_t{0}}});
    ValueId ones = b.add("Expand", {b.scalar_like(1, dy), lengths_of_one});
    Attributes pool = window_attributes();
    pool["count_include_pad"] = int64_t{1};
    return b.add("Mul", {all, b.add("AveragePool", {ones}, pool)});
  }
};

// (sum |x|^p)^(1/p)
class LpPool final : public PoolFamily {
 public:
  Count operations(const CostContext& c) const override { return window_operations(c); }

  void own_attributes(AttributeVisitor& v) override { v.visit("p", p_, "which norm"); }

  void infer(InferContext& c) const override {
    if (p_ < 1) c.reject("attribute 'p' is {}, expected at least 1", p_);
    c.set_output(0, c.dtype(0), pooled(c, c.shape(0)));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return plan(c.input(0).dims());
  }

  void run(RunContext& c) const override {
    const auto& s = c.state<PoolState>();
    int64_t in = s.window().input_size(), out = s.window().output_size();
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      ComputeInput<T> x(c.input(0));
      ComputeOutput<T> y(c.output(0));
      C p = static_cast<C>(p_);
      for_each_plane(s.planes, s.work(), [&](int64_t plane) {
        C* result = y.data() + plane * out;
        sum_plane(s.walk, x.data() + plane * in, result,
                  [&](C v) { return power(std::abs(v), p); });
        for (int64_t i = 0; i < out; ++i) {
          result[i] = p_ == 2 ? std::sqrt(result[i]) : std::pow(result[i], C{1} / p);
        }
      });
      y.store();
    });
  }

  // With all padding counted the mean is the sum over a constant.
  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    ValueId x = d.input(0);
    ValueId powers = b.add("Pow", {b.add("Abs", {x}), b.scalar_like(static_cast<double>(p_), x)});
    Attributes a = window_attributes();
    a["count_include_pad"] = int64_t{1};
    ValueId mean = b.add("AveragePool", {powers}, a);
    ValueId sum = b.add("Mul", {mean, counts(b, x)});
    d.set(0, b.add("Pow", {sum, b.scalar_like(1.0 / static_cast<double>(p_), x)}));
  }

 private:
  template <typename C>
  C power(C v, C p) const {
    if (p_ == 1) return v;
    return p_ == 2 ? v * v : std::pow(v, p);
  }

  ValueId counts(GraphBuilder& b, ValueId x) const {
    double full = 1;
    for (int64_t k : *window_.kernel_shape) full *= static_cast<double>(k);
    if (!window_.ceil_mode) return b.scalar_like(full, x);
    const Type& type = b.type(x);
    if (!type.shape || !all_known({type.shape->begin() + 2, type.shape->end()})) {
      fail(ErrorKind::Unsupported, "with attribute 'ceil_mode' the input's shape must be known");
    }
    Window w = window_.resolve(to_dims({type.shape->begin() + 2, type.shape->end()}),
                               *window_.kernel_shape);
    return b.constant(convert(Tensor::of<double>(w.output, window_counts(w, true)), type.dtype));
  }

  int64_t p_ = 2;
};

// Opset 1 has p as a float.
void upgrade_lp_pool(UpgradeContext& u) {
  if (u.opset() > 1) return;
  auto p = u.take<float>("p");
  if (!p) return;
  if (*p < 1 || *p > 1e6f || *p != std::floor(*p)) {
    fail(ErrorKind::Unsupported, "attribute 'p' is {}, expected a whole number of at least 1", *p);
  }
  u.attributes()["p"] = static_cast<int64_t>(*p);
}

class GlobalAveragePool final : public Op {
 public:
  void infer(InferContext& c) const override { infer_global_pool(c); }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    int64_t planes = c.output(0).size(), length = planes > 0 ? x.size() / planes : 0;
    dispatch_float(x.dtype(), [&]<typename T>() {
      const T* in = x.data<T>();
      T* out = c.output(0).data<T>();
      for_each_plane(planes, length, [&](int64_t p) {
        double sum = lane_sum<ComputeType<T>>(
            length, [&](int64_t i) { return static_cast<ComputeType<T>>(in[p * length + i]); });
        out[p] = static_cast<T>(static_cast<ComputeType<T>>(sum / static_cast<double>(length)));
      });
    });
  }

  // The mean's cotangent is shared equally.
  void gradient(GradientContext& g) const override {
    GraphBuilder& b = g.builder();
    ValueId shape = b.shape_of(g.input(0));
    ValueId count =
        b.add("ReduceProd", {b.slice(shape, 0, 2, INT64_MAX)}, {{"keepdims", int64_t{0}}});
    ValueId share = g.div(g.grad(0), b.cast(count, g.dtype(g.input(0))));
    g.set(0, g.add("Expand", {share, shape}));
  }
};

}  // namespace

void infer_global_pool(InferContext& c) {
  const Shape* x = c.shape(0);
  if (!x) return c.set_output(0, c.dtype(0));
  if (x->size() < 2) c.reject("{}, expected images and channels", c.describe_input(0));
  Shape y(x->size(), Dim(1));
  y[0] = (*x)[0];
  y[1] = (*x)[1];
  c.set_output(0, c.dtype(0), std::move(y));
}

void register_average_pool(OpRegistry& r) {
  r.add<AveragePool>({.name = "AveragePool",
                      .doc = "the mean of each window",
                      .since = {1, 7, 10, 11, 19, 22},
                      .inputs = {{"X", "T"}},
                      .outputs = {{"Y", "T"}},
                      .types = {{"T", dtypes::floats}},
                      .kind = OpKind::Activation,
                      .gradient = GradientState::Rule});
  r.add<LpPool>({.name = "LpPool",
                 .doc = "the p-norm of each window",
                 .since = {1, 2, 11, 18, 22},
                 .inputs = {{"X", "T"}},
                 .outputs = {{"Y", "T"}},
                 .types = {{"T", dtypes::floats}},
                 .kind = OpKind::Activation,
                 .gradient = GradientState::Decompose,
                 .decomposes = true,
                 .upgrade = upgrade_lp_pool});
  r.add<GlobalAveragePool>({.name = "GlobalAveragePool",
                            .doc = "the mean of each channel",
                            .since = {1, 22},
                            .inputs = {{"X", "T"}},
                            .outputs = {{"Y", "T"}},
                            .types = {{"T", dtypes::floats}},
                            .kind = OpKind::Reduction,
                            .gradient = GradientState::Rule});
  r.add<AveragePoolGrad>({.name = "AveragePoolGrad",
                          .domain = private_domain,
                          .doc = "the gradient of an average pool's input",
                          .since = {1},
                          .inputs = {{"dY", "T"}, {"shape", "I"}},
                          .outputs = {{"dX", "T"}},
                          .types = {{"T", dtypes::floats}, {"I", DType::Int64}},
                          .gradient = GradientState::Rule,
                          .decomposes = true});
}

}  // namespace onnxrun
