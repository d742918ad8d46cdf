// LayerNormalization and RMSNormalization, and onnxrun.LayerNormalizationGrad.
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "normalization_family.h"

namespace onnxrun {

namespace {

// The family whose rows are all axes from `axis` on.
class AxisNormalization : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "first of the axes that are normalised");
    v.visit("epsilon", epsilon_, "added to the variance");
    v.visit("stash_type", stash_type_,
            "type of the statistics; they are computed at least as exactly");
  }

  void infer(InferContext& c) const override {
    // RMSNormalization's scale may be of another type, and gives the result its own.
    c.set_output(0, c.dtype(1), c.type(0).shape);
    if (!is_differentiable(stash_type_))
      c.reject("attribute 'stash_type' is {}", to_string(stash_type_));
    const Shape* x = c.shape(0);
    std::optional<Shape> statistics;
    if (x) {
      statistics = *x;
      for (size_t i = axis_of(c, *x); i < x->size(); ++i) (*statistics)[i] = 1;
      for (size_t i = 1; i < c.num_inputs(); ++i) check_factor(c, *x, i);
    }
    c.set_output(1, stash_type_, statistics);
    c.set_output(2, stash_type_, statistics);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    const Dims& x = c.input(0).dims();
    auto state = std::make_unique<RowState>();
    auto axis = static_cast<size_t>(normalize_axis(axis_, static_cast<int64_t>(x.size())));
    Dims inner(x.begin() + static_cast<std::ptrdiff_t>(axis), x.end());
    state->length = element_count(inner);
    state->rows = element_count(Dims(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(axis)));
    auto layout = [&](size_t i, FactorLayout& f) {
      if (!c.has_input(i)) return;
      const Tensor& t = c.input(i);
      if (t.dims() == inner) return;
      if (t.size() == 1) {
        f.span = std::max<int64_t>(2, state->length);
      } else {
        f = {state->rows, state->length, 1, BroadcastRows<1>(x, {t.dims()})};
      }
    };
    layout(1, state->scale);
    layout(2, state->bias);
    return state;
  }

  bool types_an_output(std::string_view, const Node& node) const override {
    return node.outputs.size() > 1;
  }

 protected:
  size_t axis_of(const InferContext& c, const Shape& x) const {
    auto rank = static_cast<int64_t>(x.size());
    if (axis_ < -rank || axis_ >= std::max<int64_t>(rank, 1)) {
      c.reject("attribute 'axis' is {}, X has {} axes", axis_, rank);
    }
    return static_cast<size_t>(axis_ < 0 ? axis_ + rank : axis_);
  }

  // Factors broadcast to X, never the other way.
  static void check_factor(const InferContext& c, const Shape& x, size_t i) {
    const Shape* s = c.has_input(i) ? c.shape(i) : nullptr;
    if (!s) return;
    bool fits = s->size() <= x.size();
    for (size_t back = 1; fits && back <= s->size(); ++back) {
      const Dim &from = (*s)[s->size() - back], &to = x[x.size() - back];
      fits = !from.is_known() || !to.is_known() || from == to || from.value() == 1;
    }
    if (!fits) c.reject("{} does not broadcast to {}", c.describe_input(i), c.describe_input(0));
  }

  int64_t axis_ = -1;
  float epsilon_ = 1e-5f;
  DType stash_type_ = DType::Float32;
};

// Rows as matrices for rules and decompositions: v as [rows, length].
ValueId as_rows(GraphBuilder& b, ValueId v, int64_t axis) {
  return b.add("Flatten", {v}, {{"axis", axis}});
}

// True if `factor` has exactly the shape of x's axes from `axis` on.
bool covers_rows(const Type& factor, const Type& x, int64_t axis) {
  if (!factor.shape || !x.shape) return false;
  auto first = static_cast<size_t>(normalize_axis(axis, x.rank()));
  return Shape(x.shape->begin() + static_cast<std::ptrdiff_t>(first), x.shape->end()) ==
         *factor.shape;
}

class LayerNormalization final : public AxisNormalization {
 public:
  void run(RunContext& c) const override {
    normalize_rows(c, epsilon_, true, c.input(1), c.output(0));
  }

  void gradient(GradientContext& g) const override {
    if (!g.has_grad(0)) return statistics_gradient(g, no_value);
    ValueId x = g.input(0), scale = g.input(1), dy = g.grad(0);
    Attributes a = {{"axis", axis_}, {"epsilon", epsilon_}};
    bool fused = covers_rows(g.type(scale), g.type(x), axis_);
    size_t outputs = !fused ? 1 : g.wants(2) ? 3 : g.wants(1) ? 2 : 1;
    ValueId into = fused ? dy : g.mul(dy, scale);
    std::vector<ValueId> inputs = {into, x};
    if (fused) inputs.push_back(scale);
    auto grads =
        g.builder().add_n("onnxrun.LayerNormalizationGrad", inputs, outputs, {.attributes = a});
    if (fused) {
      if (outputs > 1) g.set(1, grads[1]);
      if (outputs > 2) g.set(2, grads[2]);
    } else {
      if (g.wants(1)) g.set(1, g.mul(dy, normalized(g)));
      g.set(2, dy);
    }
    statistics_gradient(g, grads[0]);
  }

 private:
  ValueId normalized(GradientContext& g) const {
    ValueId one =
        g.builder().constant(convert(Tensor::of<float>({1}, {1.0f}), g.dtype(g.input(0))));
    return g.add("LayerNormalization", {g.input(0), one},
                 {{"axis", axis_},
                  {"epsilon", epsilon_},
                  {"stash_type", static_cast<int64_t>(stash_type_)}});
  }

  // Adds what flows back through the mean (1/n each) and through 1 / deviation (-(x - mean) / (n
  // deviation^3)), and sets the cotangent of X.
  void statistics_gradient(GradientContext& g, ValueId dx) const {
    if (!g.wants(0)) return;
    GraphBuilder& b = g.builder();
    ValueId x = g.input(0);
    DType type = g.dtype(x);
    auto plus = [&](ValueId v) { dx = dx == no_value ? v : g.plus(dx, v); };
    auto count = [&](ValueId statistic) {
      return b.cast(g.div(b.add("Size", {x}), b.add("Size", {statistic})), type);
    };
    if (g.has_grad(1)) {
      ValueId share = g.div(b.cast(g.grad(1), type), count(g.grad(1)));
      plus(g.add("Expand", {share, b.shape_of(x)}));
    }
    if (g.has_grad(2)) {
      ValueId inverse = b.cast(g.output(2), type);
      ValueId factor =
          g.div(g.mul(b.cast(g.grad(2), type), g.mul(inverse, inverse)), count(g.grad(2)));
      plus(g.neg(g.mul(factor, normalized(g))));
    }
    g.set(0, dx);
  }
};

// dX, dScale and dB of LayerNormalization; without Scale as if it were 1. The last two have the
// shape of the axes that are normalised.
//     g = dY scale,  h = (x - mean) / deviation
//     dX = (g - mean(g) - h mean(g h)) / deviation,  dScale = sum(dY h),  dB = sum(dY)
class LayerNormalizationGrad final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "as LayerNormalization's");
    v.visit("epsilon", epsilon_, "as LayerNormalization's");
  }

  void infer(InferContext& c) const override {
    c.set_output(0, c.type(1));
    const Shape* x = c.shape(1);
    std::optional<Shape> inner;
    if (x) {
      auto first =
          static_cast<std::ptrdiff_t>(normalize_axis(axis_, static_cast<int64_t>(x->size())));
      inner = Shape(x->begin() + first, x->end());
      if (c.has_input(2) && !compatible(Type::tensor(c.dtype(2), inner), c.type(2))) {
        c.reject("{}, expected {}", c.describe_input(2), to_string(*inner));
      }
      if (!compatible(c.type(0), c.type(1))) {
        c.reject("{}, but {}", c.describe_input(0), c.describe_input(1));
      }
    }
    c.set_output(1, c.dtype(0), inner);
    c.set_output(2, c.dtype(0), inner);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    const Dims& x = c.input(1).dims();
    auto axis = static_cast<std::ptrdiff_t>(normalize_axis(axis_, static_cast<int64_t>(x.size())));
    auto state = std::make_unique<RowState>();
    state->rows = element_count(Dims(x.begin(), x.begin() + axis));
    state->length = element_count(Dims(x.begin() + axis, x.end()));
    return state;
  }

  void run(RunContext& c) const override {
    const auto& s = c.state<RowState>();
    dispatch_float(c.output(0).dtype(), [&]<typename T>() { run_rows<T>(c, s); });
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    ValueId dy = as_rows(b, d.input(0), axis_), x = as_rows(b, d.input(1), axis_);
    auto mean = [&](ValueId v) {
      return b.add("ReduceMean", {v, b.ints({1})}, {{"keepdims", int64_t{1}}});
    };
    auto mul = [&](ValueId u, ValueId v) { return b.add("Mul", {u, v}); };
    auto sub = [&](ValueId u, ValueId v) { return b.add("Sub", {u, v}); };
    ValueId centred = sub(x, mean(x));
    ValueId variance = b.add("Add", {mean(mul(centred, centred)), b.scalar_like(epsilon_, x)});
    ValueId deviation = b.add("Sqrt", {variance});
    ValueId h = b.add("Div", {centred, deviation});
    ValueId flat = b.ints({1, -1}), g = dy;
    if (d.has_input(2)) g = mul(dy, b.reshape(d.input(2), flat));
    ValueId dx = b.add("Div", {sub(sub(g, mean(g)), mul(h, mean(mul(g, h)))), deviation});
    d.set(0, b.reshape_like(dx, d.input(1)));
    ValueId inner = inner_shape(b, d.input(1));
    if (d.has_output(1)) d.set(1, b.reshape(b.reduce_sum(mul(dy, h), {0}, false), inner));
    if (d.has_output(2)) d.set(2, b.reshape(b.reduce_sum(dy, {0}, false), inner));
  }

 private:
  ValueId inner_shape(GraphBuilder& b, ValueId x) const {
    return b.slice(b.shape_of(x), 0, axis_, INT64_MAX);
  }

  // Rows whose sums for dScale and dB make one piece: a few dozen pieces at most, by size only.
  static int64_t rows_of_piece(const RowState& s) {
    int64_t worth = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, s.length));
    return std::max(worth, (s.rows + 31) / 32);
  }

  template <typename T>
  void run_rows(const RunContext& c, const RowState& s) const {
    using C = ComputeType<T>;
    ComputeInput<T> dy(c.input(0)), x(c.input(1)), scale(c.has_input(2) ? &c.input(2) : nullptr);
    ComputeOutput<T> dx(c.output(0));
    int64_t piece = rows_of_piece(s), pieces = (s.rows + piece - 1) / piece;
    bool sums = c.has_output(1) || c.has_output(2);
    Scratch scratch(static_cast<size_t>(sums ? 2 * std::max<int64_t>(1, pieces) * s.length : 0) *
                    sizeof(C));
    C* totals = scratch.as<C>();
    if (sums) std::fill_n(totals, 2 * std::max<int64_t>(1, pieces) * s.length, C{0});
    parallel_for(s.rows, piece, [&](int64_t begin, int64_t end) {
      C* part = totals + begin / piece * 2 * s.length;
      for (int64_t r = begin; r < end; ++r) {
        int64_t at = r * s.length;
        run_row(x.data() + at, dy.data() + at, scale.data(), s.length, dx.data() + at,
                sums ? part : nullptr);
      }
    });
    dx.store();
    for (int64_t p = 1; sums && p < pieces; ++p) {
      for (int64_t j = 0; j < 2 * s.length; ++j) totals[j] += totals[p * 2 * s.length + j];
    }
    for (size_t k = 1; k <= 2; ++k) {
      if (!c.has_output(k)) continue;
      const C* from = totals + static_cast<int64_t>(k - 1) * s.length;
      std::transform(from, from + s.length, c.output(k).data<T>(),
                     [](C v) { return static_cast<T>(v); });
    }
  }

  template <typename C>
  void run_row(const C* x, const C* dy, const C* scale, int64_t n, C* dx, C* sums) const {
    Moments m = moments_of(x, n);
    const ScaledRowGradient<C> row = {
        static_cast<C>(m.mean), static_cast<C>(1 / std::sqrt(m.variance + epsilon_)), scale, sums};
    normalize_row_gradient(row, dy, x, n, dx);
  }

  int64_t axis_ = -1;
  float epsilon_ = 1e-5f;
};

class RmsNormalization final : public AxisNormalization {
 public:
  void run(RunContext& c) const override {
    const Tensor &x = c.input(0), &scale = c.input(1);
    if (x.dtype() == scale.dtype()) return normalize_rows(c, epsilon_, false, scale, c.output(0));
    Tensor y(x.dtype(), x.dims());
    normalize_rows(c, epsilon_, false, convert(scale, x.dtype()), y);
    convert_into(y, c.output(0));
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    ValueId x = as_rows(b, d.input(0), axis_);
    ValueId square =
        b.add("ReduceMean", {b.add("Mul", {x, x}), b.ints({1})}, {{"keepdims", int64_t{1}}});
    ValueId root = b.add("Sqrt", {b.add("Add", {square, b.scalar_like(epsilon_, x)})});
    ValueId normal = b.reshape_like(b.add("Div", {x, root}), d.input(0));
    d.set(0, b.add("Mul", {b.cast(normal, b.dtype(d.input(1))), d.input(1)}));
  }
};

}  // namespace

void register_layer_normalization(OpRegistry& r) {
  r.add<LayerNormalization>(
      {.name = "LayerNormalization",
       .doc = "mean 0 and variance 1 over the last axes, then scale and bias",
       .since = {17},
       .inputs = {{"X", "T"},
                  {"Scale", "T", InputRole::Scale},
                  {"B", "T", Param::Kind::Optional, InputRole::Bias}},
       .outputs = {{"Y", "T"},
                   {"Mean", "U", Param::Kind::Optional},
                   {"InvStdDev", "U", Param::Kind::Optional}},
       .types = {{"T", dtypes::floats}, {"U", {DType::Float32, DType::BFloat16}}},
       .kind = OpKind::Normalization,
       .gradient = GradientState::Rule});
  r.add<LayerNormalizationGrad>(
      {.name = "LayerNormalizationGrad",
       .domain = private_domain,
       .doc = "the gradients of a layer normalisation's inputs",
       .since = {1},
       .inputs = {{"dY", "T"}, {"X", "T"}, {"Scale", "T", Param::Kind::Optional}},
       .outputs = {{"dX", "T"},
                   {"dScale", "T", Param::Kind::Optional},
                   {"dB", "T", Param::Kind::Optional}},
       .types = {{"T", dtypes::floats}},
       .gradient = GradientState::Decompose,
       .decomposes = true});
  r.add<RmsNormalization>({.name = "RMSNormalization",
                           .doc = "root of the mean square 1 over the last axes, then scale",
                           .since = {23},
                           .inputs = {{"X", "T"}, {"scale", "V", InputRole::Scale}},
                           .outputs = {{"Y", "V"}},
                           .types = {{"T", dtypes::floats}, {"V", dtypes::floats}},
                           .kind = OpKind::Normalization,
                           .gradient = GradientState::Decompose,
                           .decomposes = true});
}

}  // namespace onnxrun
