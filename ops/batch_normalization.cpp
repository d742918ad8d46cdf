// BatchNormalization and onnxrun.BatchNormalizationGrad.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>

#include "emit/plain_batch_normalization.h"
#include "emit/running_statistics.h"
#include "graph/channel_map.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/channel_statistics.h"
#include "kernels/compute_buffers.h"
#include "kernels/normalize.h"
#include "kernels/scratch.h"

namespace onnxrun {

namespace {

// One number a channel, whatever its type.
double channel_value(const Tensor& t, int64_t channel) {
  double value = 0;
  dispatch_float(t.dtype(), [&]<typename T>() {
    value = static_cast<double>(static_cast<ComputeType<T>>(t.data<T>()[channel]));
  });
  return value;
}

void set_channel_value(Tensor& t, int64_t channel, double value) {
  dispatch_float(t.dtype(), [&]<typename T>() {
    t.data<T>()[channel] = static_cast<T>(static_cast<ComputeType<T>>(value));
  });
}

void check_channels(const InferContext& c, const Dim& channels, size_t first) {
  for (size_t i = first; i < c.num_inputs(); ++i) {
    const Shape* s = c.has_input(i) ? c.shape(i) : nullptr;
    if (!s) continue;
    bool wrong =
        s->size() == 1 && (*s)[0].is_known() && channels.is_known() && !((*s)[0] == channels);
    if (s->size() != 1 || wrong) {
      c.reject("{}, expected one element for each of {} channels", c.describe_input(i),
               channels.to_string());
    }
  }
}

// The length of axis 1; inputs of one axis are one channel.
Dim channels_of(const InferContext& c, size_t i) {
  const Shape* x = c.shape(i);
  if (!x) return Dim();
  if (x->empty()) c.reject("{}, expected images and channels", c.describe_input(i));
  return x->size() > 1 ? (*x)[1] : Dim(1);
}

class BatchNormalization final : public Op, public MapsChannels {
 public:
  std::optional<ChannelMap> channel_map(const Graph& graph, const Node& node) const override {
    std::array<const Tensor*, 4> operands;  // NOLINT: all are set
    for (size_t i = 0; i < operands.size(); ++i) {
      operands[i] = graph.constant(node.inputs[i + 1]);
      if (!operands[i]) return std::nullopt;
    }
    const auto& [scale, bias, mean, variance] = operands;
    if (training_ || scale->size() != variance->size() || scale->size() != mean->size() ||
        scale->size() != bias->size()) {
      return std::nullopt;
    }
    ChannelMap map;
    for (int64_t k = 0; k < scale->size(); ++k) {
      const double factor =
          channel_value(*scale, k) / std::sqrt(channel_value(*variance, k) + epsilon_);
      map.scale.push_back(factor);
      map.shift.push_back(channel_value(*bias, k) - channel_value(*mean, k) * factor);
    }
    return map;
  }

  void attributes(AttributeVisitor& v) override {
    v.visit("epsilon", epsilon_, "added to the variance");
    v.visit("momentum", momentum_, "share of the old running statistics in the new");
    v.visit("training_mode", training_,
            "normalise by the batch's own statistics and move the running ones");
  }

  void infer(InferContext& c) const override {
    c.set_output(0, c.type(0));
    Dim channels = channels_of(c, 0);
    check_channels(c, channels, 1);
    if (!training_ && (c.has_output(1) || c.has_output(2))) {
      c.reject("running statistics are outputs in training mode only");
    }
    for (size_t i = 1; i <= 2; ++i) c.set_output(i, c.dtype(3), Shape{channels});
  }

  void set_mode(ModeContext& c) const override { set_batch_mode(c, momentum_); }

  bool emit_plain(Graph& graph, Node& node) const override {
    if (node.outputs.size() < 2 || !graph.value(node.inputs[0]).type.shape) return false;
    emit_plain_batch_normalization(graph, std::move(node));
    return true;
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return std::make_unique<ChannelState>(c.input(0).dims());
  }

  void run(RunContext& c) const override {
    const auto& s = c.state<ChannelState>();
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      ComputeInput<T> x(c.input(0));
      ComputeOutput<T> y(c.output(0));
      for_each_row(s.channels, s.size(), [&](int64_t k) {
        Moments m = training_ ? s.moments<C>(x.data(), k)
                              : Moments{channel_value(c.input(3), k), channel_value(c.input(4), k)};
        if (training_) move_statistics(c, k, m);
        double factor = channel_value(c.input(1), k) / std::sqrt(m.variance + epsilon_);
        const NormalizedRow<C> row{static_cast<C>(m.mean), static_cast<C>(factor),
                                   static_cast<C>(channel_value(c.input(2), k))};
        s.for_each(
            k, [&](int64_t at, int64_t n) { normalize_row(row, x.data() + at, n, y.data() + at); });
      });
      y.store();
    });
  }

  // d((x - m) s / sqrt(v + e) + b): the fused operator gives dX, dScale, dB. Given statistics are
  // data, as in PyTorch: nothing flows into them.
  void gradient(GradientContext& g) const override {
    GraphBuilder& b = g.builder();
    ValueId scale = g.input(1), dx = no_value;
    if (g.has_grad(0)) {
      std::vector<ValueId> inputs = {g.grad(0), g.input(0), scale};
      if (!training_) inputs.insert(inputs.end(), {g.input(3), g.input(4)});
      auto moves = [&](size_t i) {
        return !training_ && g.wants(i) && !is_merged(b.graph(), g.input(i));
      };
      bool mean = moves(3), variance = moves(4);
      size_t outputs = variance ? 5 : mean ? 4 : g.wants(2) ? 3 : g.wants(1) ? 2 : 1;
      auto d = b.add_n("onnxrun.BatchNormalizationGrad", inputs, outputs,
                       {.attributes = {{"epsilon", epsilon_}}});
      dx = d[0];
      if (outputs > 1) g.set(1, d[1]);
      if (outputs > 2) g.set(2, d[2]);
      if (mean) g.set(3, d[3]);
      if (variance) g.set(4, d[4]);
    }
    if (training_) running_statistics(g, dx);
    if (dx != no_value) g.set(0, dx);
  }

 private:
  void move_statistics(const RunContext& c, int64_t k, const Moments& m) const {
    double keep = momentum_;
    if (c.has_output(1)) {
      set_channel_value(c.output(1), k, channel_value(c.input(3), k) * keep + m.mean * (1 - keep));
    }
    if (c.has_output(2)) {
      set_channel_value(c.output(2), k,
                        channel_value(c.input(4), k) * keep + m.variance * (1 - keep));
    }
  }

  // Exporters merge equal tensors: new running statistics with other zeros and ones. A stored
  // tensor with uses of another kind is a constant where it is a statistic, as its framework has
  // it.
  static bool is_merged(const Graph& graph, ValueId v) {
    auto is_identity = [](const Node& node) { return node.info->spec.name == "Identity"; };
    for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
      if (is_identity(*node) && node->outputs[0] == v) v = node->inputs[0];
    }
    bool state = std::any_of(graph.state.begin(), graph.state.end(),
                             [&](const StateBinding& s) { return s.in == v; });
    if (!state && graph.initializers.count(v) == 0) return false;
    std::set<ValueId> names = {v};
    for (const Node& node : graph.nodes) {
      bool norm = node.info->spec.name.starts_with("BatchNormalization");
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (names.count(node.inputs[i]) == 0) continue;
        if (is_identity(node)) {
          names.insert(node.outputs[0]);
        } else if (!norm || i < 3) {
          return true;
        }
      }
    }
    return false;
  }

  // What flows back through the running statistics: r' = r m + batch (1 - m).
  void running_statistics(GradientContext& g, ValueId& dx) const {
    GraphBuilder& b = g.builder();
    ValueId x = g.input(0);
    for (size_t i = 1; i <= 2; ++i) {
      if (!g.has_grad(i)) continue;
      if (g.wants(i + 2)) g.set(i + 2, g.mul(g.grad(i), g.scalar_like(momentum_, g.grad(i))));
      if (!g.wants(0)) continue;
      int64_t rank = g.rank(x);
      if (rank < 2)
        fail(ErrorKind::Unsupported, "gradients through running statistics need X's rank");
      std::vector<int64_t> axes = {0}, behind;
      for (int64_t a = 2; a < rank; ++a) {
        axes.push_back(a);
        behind.push_back(a - 1);
      }
      DType type = g.dtype(x);
      ValueId share = b.cast(g.mul(g.grad(i), g.scalar_like(1 - momentum_, g.grad(i))), type);
      ValueId count = g.div(b.add("Size", {x}), b.add("Size", {share}));
      share = b.unsqueeze(g.div(share, b.cast(count, type)), behind);
      if (i == 2) {
        ValueId mean = b.add("ReduceMean", {x, b.ints(axes)}, {{"keepdims", int64_t{1}}});
        share = g.mul(g.mul(share, g.scalar_like(2, share)), g.minus(x, mean));
      } else {
        share = g.add("Expand", {share, b.shape_of(x)});
      }
      dx = dx == no_value ? share : g.plus(dx, share);
    }
  }

  float epsilon_ = 1e-5f;
  float momentum_ = 0.9f;
  bool training_ = false;
};

// dX, dScale and dB; without mean and variance those of the batch, which depend on X. With them
// dMean and dVar too.
//     h = (x - mean) / deviation,  dScale = sum(dY h),  dB = sum(dY)
//     dX = (dY - dB / n - h dScale / n) scale / deviation    (dY scale / deviation if given)
//     dMean = -dB scale / deviation,  dVar = -dScale scale / (2 deviation^2)
class BatchNormalizationGrad final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("epsilon", epsilon_, "as BatchNormalization's");
  }

  void infer(InferContext& c) const override {
    c.set_output(0, c.type(1));
    Dim channels = channels_of(c, 1);
    check_channels(c, channels, 2);
    if (!compatible(c.type(0), c.type(1)))
      c.reject("{}, but {}", c.describe_input(0), c.describe_input(1));
    if (c.has_input(3) != c.has_input(4)) c.reject("mean and variance belong together");
    for (size_t i = 1; i <= 2; ++i) c.set_output(i, c.dtype(2), Shape{channels});
    for (size_t i = 3; i < c.num_outputs(); ++i) {
      if (!c.has_input(4)) c.reject("dMean and dVar need the mean and variance");
      c.set_output(i, c.dtype(4), Shape{channels});
    }
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return std::make_unique<ChannelState>(c.input(1).dims());
  }

  void run(RunContext& c) const override {
    const auto& s = c.state<ChannelState>();
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      ComputeInput<T> dy_input(c.input(0)), x_input(c.input(1));
      ComputeOutput<T> dx(c.output(0));
      const C *dy = dy_input.data(), *x = x_input.data();
      bool given = c.has_input(3);
      for_each_row(s.channels, s.size(), [&](int64_t k) {
        std::optional<Moments> m;
        if (given) m = {channel_value(c.input(3), k), channel_value(c.input(4), k)};
        const auto flow = s.flow(dy, x, k, m);
        double inverse = 1 / std::sqrt(flow.moments.variance + epsilon_);
        C mean = static_cast<C>(flow.moments.mean);
        double dbias = flow.dy, dscale = flow.dy_x * inverse;
        if (c.has_output(1)) set_channel_value(c.output(1), k, dscale);
        if (c.has_output(2)) set_channel_value(c.output(2), k, dbias);
        double scale = channel_value(c.input(2), k) * inverse;
        if (c.has_output(3)) set_channel_value(c.output(3), k, -dbias * scale);
        if (c.has_output(4)) set_channel_value(c.output(4), k, -dscale * scale * inverse / 2);
        const NormalizedRowGradient<C> row{
            .mean = mean,
            .factor = static_cast<C>(scale),
            .mean_dy = static_cast<C>(given ? 0 : dbias / s.count()),
            .slope = static_cast<C>(given ? 0 : dscale / s.count() * inverse)};
        s.for_each(k, [&](int64_t at, int64_t n) {
          normalize_row_gradient(row, dy + at, x + at, n, dx.data() + at);
        });
      });
      dx.store();
    });
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    DType type = b.dtype(d.input(1)), scale_type = b.dtype(d.input(2));
    ValueId dy = stacked(b, d.input(0)), x = stacked(b, d.input(1));
    auto channel = [&](size_t i) { return b.unsqueeze(b.cast(d.input(i), type), {0, 2}); };
    auto mean_of = [&](ValueId v) {
      return b.add("ReduceMean", {v, b.ints({0, 2})}, {{"keepdims", int64_t{1}}});
    };
    auto mul = [&](ValueId u, ValueId v) { return b.add("Mul", {u, v}); };
    auto sub = [&](ValueId u, ValueId v) { return b.add("Sub", {u, v}); };
    bool given = d.has_input(3);
    ValueId centred = sub(x, given ? channel(3) : mean_of(x));
    ValueId variance = given ? channel(4) : mean_of(mul(centred, centred));
    ValueId deviation = b.add("Sqrt", {b.add("Add", {variance, b.scalar_like(epsilon_, x)})});
    ValueId h = b.add("Div", {centred, deviation}), rest = dy;
    if (!given) rest = sub(sub(dy, mean_of(dy)), mul(h, mean_of(mul(dy, h))));
    ValueId dx = mul(rest, b.add("Div", {channel(2), deviation}));
    d.set(0, b.reshape_like(dx, d.input(1)));
    auto total = [&](ValueId v) { return b.cast(b.reduce_sum(v, {0, 2}, false), scale_type); };
    if (d.has_output(1)) d.set(1, total(mul(dy, h)));
    if (d.has_output(2)) d.set(2, total(dy));
    auto statistic = [&](ValueId v) {
      ValueId sum = b.cast(b.reduce_sum(v, {0, 2}, false), b.dtype(d.input(4)));
      return b.add("Neg", {sum});
    };
    if (d.has_output(3)) d.set(3, statistic(dx));
    if (!d.has_output(4)) return;
    ValueId half = b.scalar_like(0.5, x);
    d.set(4, statistic(mul(b.add("Div", {mul(dx, h), deviation}), half)));
  }

 private:
  // [N, C, everything else]
  static ValueId stacked(GraphBuilder& b, ValueId v) {
    ValueId shape = b.shape_of(v);
    ValueId inside =
        b.add("ReduceProd", {b.slice(shape, 0, 2, INT64_MAX)}, {{"keepdims", int64_t{1}}});
    ValueId to = b.add("Concat", {b.slice(shape, 0, 0, 2), inside}, {{"axis", int64_t{0}}});
    return b.reshape(v, to);
  }

  float epsilon_ = 1e-5f;
};

// spatial == 0: every activation is a channel of its own.
void upgrade_activations(UpgradeContext& u) {
  GraphBuilder& b = u.builder();
  ValueId x = u.input(0), minus = b.ints({-1});
  std::vector<ValueId> inputs = {b.add("Flatten", {x}, {{"axis", int64_t{1}}})};
  ValueId shape = b.shape_of(u.input(1));
  for (size_t i = 1; i <= 4; ++i) inputs.push_back(b.reshape(u.input(i), minus));
  auto results = b.add_n("BatchNormalization", inputs, std::min<size_t>(u.num_outputs(), 3),
                         {.attributes = u.attributes()});
  results[0] = b.reshape_like(results[0], x);
  for (size_t i = 1; i < results.size(); ++i) results[i] = b.reshape(results[i], shape);
  if (u.num_outputs() > 3)
    fail(ErrorKind::Unsupported, "saved statistics with attribute 'spatial' 0");
  u.replace(results);
}

// The outputs saved_mean and saved_var of opsets 1 to 13.
void upgrade_saved(UpgradeContext& u) {
  GraphBuilder& b = u.builder();
  ValueId x = u.input(0);
  int64_t rank = u.type(x).rank();
  if (rank < 2) fail(ErrorKind::Unsupported, "saved statistics need an input of known rank");
  auto results = b.add_n("BatchNormalization", u.inputs(), 3, {.attributes = u.attributes()});
  std::vector<int64_t> axes = {0};
  for (int64_t a = 2; a < rank; ++a) axes.push_back(a);
  auto mean = [&](ValueId v, bool keep) {
    return b.add("ReduceMean", {v, b.ints(axes)}, {{"keepdims", int64_t{keep}}});
  };
  results.push_back(mean(x, false));
  ValueId centred = b.add("Sub", {x, mean(x, true)});
  results.push_back(mean(b.add("Mul", {centred, centred}), false));
  results.resize(u.num_outputs());
  u.replace(results);
}

// Before opset 14 a node trains if it has more than one output (before 7 also only if is_test is
// 0).
void upgrade_batch(UpgradeContext& u) {
  if (u.opset() >= 14) return;
  u.take<std::vector<int64_t>>("consumed_inputs");
  bool test = u.take<int64_t>("is_test").value_or(0) != 0;
  bool spatial = u.take<int64_t>("spatial").value_or(1) != 0;
  bool training = !test && u.num_outputs() > 1;
  if (training) {
    u.attributes()["training_mode"] = int64_t{1};
  } else {
    u.set_num_outputs(1);
  }
  if (!spatial) return upgrade_activations(u);
  if (u.num_outputs() > 3) upgrade_saved(u);
}

}  // namespace

void register_batch_normalization(OpRegistry& r) {
  r.add<BatchNormalization>(
      {.name = "BatchNormalization",
       .doc = "mean 0 and variance 1 in each channel, then scale and bias",
       .since = {1, 6, 7, 9, 14, 15},
       .inputs = {{"X", "T"},
                  {"scale", "T1", InputRole::Scale},
                  {"B", "T1", InputRole::Bias},
                  {"input_mean", "T2", InputRole::Statistic},
                  {"input_var", "T2", InputRole::Statistic}},
       .outputs = {{"Y", "T"},
                   {"running_mean", "T2", Param::Kind::Optional},
                   {"running_var", "T2", Param::Kind::Optional}},
       .types = {{"T", dtypes::floats}, {"T1", dtypes::floats}, {"T2", dtypes::floats}},
       .kind = OpKind::Normalization,
       .gradient = GradientState::Rule,
       .upgrade = upgrade_batch});
  r.add<BatchNormalizationGrad>(
      {.name = "BatchNormalizationGrad",
       .domain = private_domain,
       .doc = "the gradients of a batch normalisation's inputs",
       .since = {1},
       .inputs = {{"dY", "T"},
                  {"X", "T"},
                  {"scale", "T1"},
                  {"mean", "T2", Param::Kind::Optional},
                  {"var", "T2", Param::Kind::Optional}},
       .outputs = {{"dX", "T"},
                   {"dScale", "T1", Param::Kind::Optional},
                   {"dB", "T1", Param::Kind::Optional},
                   {"dMean", "T2", Param::Kind::Optional},
                   {"dVar", "T2", Param::Kind::Optional}},
       .types = {{"T", dtypes::floats}, {"T1", dtypes::floats}, {"T2", dtypes::floats}},
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace onnxrun
