// Dropout, and onnxrun.DropoutStep, whose random numbers are a function of its inputs.
#include <algorithm>

#include "base/threads.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/mode_context.h"
#include "graph/node_attributes.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/draws.h"
#include "kernels/scalar.h"

namespace onnxrun {

namespace {

// Which of n elements stay: each with probability 1 - ratio.
void draw(const Philox& random, double ratio, bool* mask, int64_t n) {
  parallel_for(n, 8192, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      mask[i] = random.uniform(static_cast<uint64_t>(i)) >= ratio;
    }
  });
}
void draw(NumpyRandom random, double ratio, bool* mask, int64_t n) {
  for (int64_t i = 0; i < n; ++i) mask[i] = random.uniform() >= ratio;
}

// What both operators share: elements that go become 0, all others are scaled by 1 / (1 - ratio).
class DropOp : public Op {
 public:
  void infer(InferContext& c) const override {
    infer_same(c);
    c.set_output(1, DType::Bool, c.type(0).shape);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    c.request_scratch(c.has_output(1) ? 0 : c.input(0).size());
    return nullptr;
  }

 protected:
  static double ratio_of(const RunContext& c) {
    double ratio = c.has_input(1) ? scalar_of<double>(c.input(1), "ratio") : 0.5;
    if (!(ratio >= 0 && ratio <= 1)) {
      fail(ErrorKind::BadInput, "ratio is {}, expected 0 to 1", ratio);
    }
    return ratio;
  }

  template <typename Random>
  static void drop(RunContext& c, const Random& random, double ratio) {
    const Tensor& x = c.input(0);
    bool* mask = c.has_output(1) ? c.output(1).data<bool>() : reinterpret_cast<bool*>(c.scratch());
    draw(random, ratio, mask, x.size());
    dispatch<float, double, float16, bfloat16, float8e4m3fn, float8e4m3fnuz, float8e5m2,
             float8e5m2fnuz>(x.dtype(), [&]<typename T>() {
      apply(x.data<T>(), mask, 1 / (1 - ratio), c.output(0).data<T>(), x.size());
    });
  }

  // dx = dy mask / (1 - ratio); the mask is all true where nothing is dropped.
  static void masked_gradient(GradientContext& g, ValueId training) {
    if (!g.has_output(1)) {
      fail(ErrorKind::Unsupported, "the gradient in training mode needs output 'mask'");
    }
    ValueId one = g.scalar_like(1, g.grad(0));
    ValueId ratio = g.has_input(1) ? g.builder().cast(g.input(1), g.dtype(g.grad(0)))
                                   : g.scalar_like(0.5, g.grad(0));
    ValueId scale = g.div(one, g.minus(one, ratio));
    if (training != no_value) scale = g.add("Where", {training, scale, one});
    ValueId dropped = g.scalar_like(0, g.grad(0));
    g.set(0, g.add("Where", {g.output(1), g.mul(g.grad(0), scale), dropped}));
  }

 private:
  template <typename T>
  static void apply(const T* x, const bool* mask, double scale, T* y, int64_t n) {
    using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
    for (int64_t i = 0; i < n; ++i) {
      y[i] = mask[i] ? static_cast<T>(static_cast<C>(x[i]) * static_cast<C>(scale)) : T(0.0f);
    }
  }
};

class Dropout final : public DropOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("seed", seed_,
            "makes every run drop the same elements, those that NumPy's generator picks");
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    double ratio = ratio_of(c);
    if (!c.has_input(2) || !scalar_of<bool>(c.input(2), "training_mode") || ratio == 0) {
      if (!x.same_buffer(c.output(0))) copy_elements(x, c.output(0));
      if (c.has_output(1)) std::fill_n(c.output(1).data<bool>(), x.size(), true);
    } else if (seed_) {
      drop(c, NumpyRandom(static_cast<uint32_t>(*seed_)), ratio);
    } else {
      drop(c, next_draw(), ratio);
    }
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    const Tensor* known = g.has_input(2) ? g.builder().graph().constant(g.input(2)) : nullptr;
    bool off = !g.has_input(2) || (known && !scalar_of<bool>(*known, "training_mode"));
    if (off) return g.set(0, g.grad(0));
    masked_gradient(g, known ? no_value : g.input(2));
  }

  OpTraits traits() const override {
    return {.in_place = {{0, 0}}, .random = true, .deterministic = seed_.has_value()};
  }

  // Where it is known to be off it draws nothing.
  bool repeats(const Graph& graph, const Node& node) const override {
    if (seed_ || node.inputs.size() < 3 || node.inputs[2] == no_value) return true;
    const Tensor* training = graph.constant(node.inputs[2]);
    return training && training->size() == 1 && !*training->data<bool>();
  }

  // onnxrun.DropoutStep takes its place where the steps are counted. The gradient reads the mask.
  void set_mode(ModeContext& c) const override {
    Node& node = c.node();
    const TrainingModes& modes = c.modes();
    const bool drops = modes.dropout && !keeps_all(c.graph(), node);
    GraphBuilder builder(c.graph());
    node.inputs.resize(3, no_value);
    if (!drops || modes.step == no_value || seed_) {
      node.inputs[2] = builder.constant(Tensor::scalar<bool>(drops));
    } else {
      node.info = &c.graph().registry().get("onnxrun.DropoutStep");
      set_attributes(node, {{"seed", static_cast<int64_t>(modes.seed)}, {"node", c.number()}});
      node.inputs[2] = modes.step;
    }
    if (!drops) return;
    node.outputs.resize(2, no_value);
    if (node.outputs[1] != no_value) return;
    Graph& graph = c.graph();
    node.outputs[1] = graph.add_value(graph.unique_name(graph.name_of(node.outputs[0]) + "::mask"));
    infer_node(graph, node);
  }

 private:
  // Exporters write a ratio of 0 where a net was built without dropout.
  static bool keeps_all(const Graph& graph, const Node& node) {
    const Tensor* ratio = node.inputs.size() > 1 && node.inputs[1] != no_value
                              ? graph.constant(node.inputs[1])
                              : nullptr;
    return ratio && ratio->size() == 1 && scalar_of<double>(*ratio, "ratio") == 0;
  }

  std::optional<int64_t> seed_;
};

// What a training step has in place of Dropout: the numbers drawn depend on the inputs and
// attributes alone, so a step can be repeated.
class DropoutStep final : public DropOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("seed", seed_, "of the random numbers");
    v.visit("node", node_, "tells the nodes of a graph apart, which draw independent numbers");
  }

  void run(RunContext& c) const override {
    drop(c, step_draw(seed_, scalar_of<int64_t>(c.input(2), "step"), node_), ratio_of(c));
  }

  void gradient(GradientContext& g) const override {
    if (g.wants(0)) masked_gradient(g, no_value);
  }

  // Other runtimes draw numbers of their own.
  void decompose(DecomposeContext& d) const override {
    ValueId on = d.builder().constant(Tensor::scalar(true));
    std::vector<ValueId> outputs = d.builder().add_n("Dropout", {d.input(0), d.input(1), on}, 2);
    for (size_t i = 0; i < 2; ++i) {
      if (d.has_output(i)) d.set(i, outputs[i]);
    }
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}}, .random = true}; }

 private:
  int64_t seed_ = 0, node_ = 0;
};

// Before opset 12 the ratio is an attribute. Opsets 1 and 6 drop unless told not to by `is_test`; 7
// and 10 do not say when, and are used without dropping. The mask had the data's type before 10.
void upgrade_dropout(UpgradeContext& u) {
  if (u.opset() >= 12) return;
  GraphBuilder& b = u.builder();
  u.take<std::vector<int64_t>>("consumed_inputs");
  bool drops = u.take<int64_t>("is_test").value_or(0) == 0 && u.opset() < 7;
  float ratio = u.take<float>("ratio").value_or(0.5f);
  u.set_input(1, b.constant(Tensor::scalar(ratio)));
  if (drops) u.set_input(2, b.constant(Tensor::scalar(true)));
  if (u.opset() >= 10 || u.num_outputs() < 2) return;
  std::vector<ValueId> outputs = b.add_n("Dropout", u.inputs(), 2, {.attributes = u.attributes()});
  u.replace({outputs[0], b.cast(outputs[1], u.type(u.input(0)).dtype)});
}

constexpr DTypeSet droppable = dtypes::floats | dtypes::float8s;

}  // namespace

void register_dropout(OpRegistry& r) {
  r.add<Dropout>({.name = "Dropout",
                  .doc = "in training elements are set to zero at random, and all others scaled up",
                  .since = {1, 6, 7, 10, 12, 13, 22},
                  .inputs = {{"data", "T"},
                             {"ratio", "T1", Param::Kind::Optional, InputRole::Setting},
                             {"training_mode", "T2", Param::Kind::Optional, InputRole::Setting}},
                  .outputs = {{"output", "T"}, {"mask", "T2", Param::Kind::Optional}},
                  .types = {{"T", droppable}, {"T1", droppable}, {"T2", DType::Bool}},
                  .upgrade = upgrade_dropout});
  r.add<DropoutStep>(
      {.name = "DropoutStep",
       .domain = private_domain,
       .doc = "Dropout at work, with random numbers that a counter of steps decides",
       .since = {1},
       .inputs = {{"data", "T"},
                  {"ratio", "T1", Param::Kind::Optional, InputRole::Setting},
                  {"step", "T2", InputRole::Setting}},
       .outputs = {{"output", "T"}, {"mask", "T3", Param::Kind::Optional}},
       .types = {{"T", droppable}, {"T1", droppable}, {"T2", DType::Int64}, {"T3", DType::Bool}},
       .decomposes = true});
}

}  // namespace onnxrun
