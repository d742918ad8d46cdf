// onnxrun.BinaryCrossEntropy and onnxrun.BinaryCrossEntropyWithLogits: the losses of two classes,
// element by element, with gradients that stay finite where the probability is 0 or 1.
#include <cmath>

#include "elementwise_binary.h"

namespace onnxrun {

namespace {

template <typename Loss>
class BinaryCrossEntropy final : public BinaryOp {
 public:
  void run(RunContext& c) const override {
    const auto& rows = c.state<BinaryRows>().rows;
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      binary_loop(rows, c.input(0).data<T>(), c.input(1).data<T>(), c.output(0).data<T>(),
                  [](C y, C t) { return Loss::apply(y, t); });
    });
  }

  void gradient(GradientContext& g) const override { Loss::gradient(g); }
  void decompose(DecomposeContext& d) const override { Loss::decompose(d); }
};

// Logarithms stop at -100, as torch.nn.BCELoss has it.
ValueId clamped(GraphBuilder& b, ValueId log) {
  return b.add("Clip", {log, b.scalar_like(-100, log), no_value});
}

ValueId log_of(GraphBuilder& b, ValueId y) { return clamped(b, b.add("Log", {y})); }

ValueId log_of_rest(GraphBuilder& b, ValueId y) {
  return log_of(b, b.add("Sub", {b.scalar_like(1, y), y}));
}

// What the denominator of the gradient is at least: PyTorch's number, a float there, or the
// smallest normal one of a type that has none so small.
double least_variance(DType dtype) { return dtype == DType::Float16 ? 0x1p-14 : double{1e-12F}; }

// -(t log y + (1 - t) log(1 - y)), y a probability.
struct OfProbabilities {
  template <typename C>
  static C apply(C y, C t) {
    const C least = -100;
    C hit = std::log(y), miss = std::log1p(-y);
    // NaN, of a y that is no probability, passes through.
    hit = hit < least ? least : hit;
    miss = miss < least ? least : miss;
    return (t - 1) * miss - t * hit;
  }

  // dy (y - t) / (y (1 - y)); the denominator as at::binary_cross_entropy_backward has it.
  static void gradient(GradientContext& g) {
    GraphBuilder& b = g.builder();
    ValueId y = g.input(0), t = g.input(1);
    if (g.wants(0)) {
      ValueId variance = g.mul(g.minus(g.scalar_like(1, y), y), y);
      ValueId least = g.scalar_like(least_variance(g.dtype(y)), y);
      ValueId slope = g.div(g.minus(y, t), g.add("Max", {variance, least}));
      g.set(0, g.mul(g.grad(0), slope));
    }
    if (g.wants(1)) g.set(1, g.mul(g.grad(0), g.minus(log_of_rest(b, y), log_of(b, y))));
  }

  static void decompose(DecomposeContext& d) {
    GraphBuilder& b = d.builder();
    ValueId y = d.input(0), t = d.input(1);
    ValueId hit = b.add("Mul", {t, log_of(b, y)});
    ValueId rest = b.add("Sub", {b.scalar_like(1, t), t});
    d.set(0, b.add("Neg", {b.add("Add", {hit, b.add("Mul", {rest, log_of_rest(b, y)})})}));
  }
};

// max(y, 0) - y t + log(1 + exp(-|y|)): finite for any logit.
struct OfLogits {
  template <typename C>
  static C apply(C y, C t) {
    return (y > 0 ? y : C{0}) - y * t + std::log1p(std::exp(-std::abs(y)));
  }

  // dy (sigmoid(y) - t), at 0 too, where the terms of the formula have kinks.
  static void gradient(GradientContext& g) {
    ValueId y = g.input(0), t = g.input(1);
    if (g.wants(0)) g.set(0, g.mul(g.grad(0), g.minus(g.add("Sigmoid", {y}), t)));
    if (g.wants(1)) g.set(1, g.neg(g.mul(g.grad(0), y)));
  }

  static void decompose(DecomposeContext& d) {
    GraphBuilder& b = d.builder();
    ValueId y = d.input(0), t = d.input(1);
    ValueId tail = b.add("Softplus", {b.add("Neg", {b.add("Abs", {y})})});
    ValueId linear = b.add("Sub", {b.add("Relu", {y}), b.add("Mul", {y, t})});
    d.set(0, b.add("Add", {linear, tail}));
  }
};

template <typename Loss>
void add_loss(OpRegistry& r, std::string_view name, std::string_view doc) {
  r.add<BinaryCrossEntropy<Loss>>({.name = name,
                                   .domain = private_domain,
                                   .doc = doc,
                                   .since = {1},
                                   .inputs = {{"y", "T"}, {"t", "T"}},
                                   .outputs = {{"loss", "T"}},
                                   .types = {{"T", dtypes::floats}},
                                   .gradient = GradientState::Rule,
                                   .decomposes = true});
}

}  // namespace

void register_binary_cross_entropy(OpRegistry& r) {
  add_loss<OfProbabilities>(r, "BinaryCrossEntropy",
                            "-(t log y + (1 - t) log(1 - y)), logarithms from -100 on");
  add_loss<OfLogits>(r, "BinaryCrossEntropyWithLogits",
                     "BinaryCrossEntropy of sigmoid(y), for any y");
}

}  // namespace onnxrun
