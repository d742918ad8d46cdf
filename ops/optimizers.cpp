// Adagrad, Adam, Momentum (ai.onnx.preview.training): one step of an optimizer for any number of
// tensors. Inputs are the learning rate, the number of steps so far, then all tensors, all
// gradients and all slots of each kind; outputs are the new tensors and slots. Arithmetic is in the
// tensors' type.
#include <cmath>

#include "base/threads.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/scalar.h"

namespace onnxrun {

namespace {

// One tensor's step: its elements, gradient and slots, and where the new ones go.
template <typename T>
struct StepData {
  const T *x, *g, *slot0, *slot1;
  T *x_new, *slot0_new, *slot1_new;
};

struct AdagradRule {
  static constexpr size_t slots = 1;
  float decay_factor = 0, epsilon = 1e-6f, norm_coefficient = 0;

  void attributes(AttributeVisitor& v) {
    v.visit("decay_factor", decay_factor, "the rate is divided by 1 + T decay_factor");
    v.visit("epsilon", epsilon, "added to the root of the sum of squares");
    v.visit("norm_coefficient", norm_coefficient, "of L2 regularization");
  }

  template <typename T>
  auto stepper(T rate, int64_t count) const {
    T r = rate / (1 + static_cast<T>(count) * static_cast<T>(decay_factor));
    return [r, eps = static_cast<T>(epsilon), norm = static_cast<T>(norm_coefficient)](
               const StepData<T>& d, int64_t i) {
      T g = norm * d.x[i] + d.g[i];
      T h = d.slot0[i] + g * g;
      d.x_new[i] = d.x[i] - r * g / (std::sqrt(h) + eps);
      d.slot0_new[i] = h;
    };
  }
};

struct AdamRule {
  static constexpr size_t slots = 2;
  float alpha = 0.9f, beta = 0.999f, epsilon = 1e-6f, norm_coefficient = 0,
        norm_coefficient_post = 0;

  void attributes(AttributeVisitor& v) {
    v.visit("alpha", alpha, "decay of the mean of gradients");
    v.visit("beta", beta, "decay of the mean of squared gradients");
    v.visit("epsilon", epsilon, "added to the root of the mean square");
    v.visit("norm_coefficient", norm_coefficient, "of L2 regularization");
    v.visit("norm_coefficient_post", norm_coefficient_post, "of the shrinking after the step");
  }

  template <typename T>
  auto stepper(T rate, int64_t count) const {
    T a = static_cast<T>(alpha), b = static_cast<T>(beta), t = static_cast<T>(count);
    T r = count > 0 ? rate * std::sqrt(1 - std::pow(b, t)) / (1 - std::pow(a, t)) : rate;
    return [=, eps = static_cast<T>(epsilon), norm = static_cast<T>(norm_coefficient),
            keep = 1 - static_cast<T>(norm_coefficient_post)](const StepData<T>& d, int64_t i) {
      T g = norm * d.x[i] + d.g[i];
      T v = a * d.slot0[i] + (1 - a) * g;
      T h = b * d.slot1[i] + (1 - b) * (g * g);
      d.x_new[i] = keep * (d.x[i] - r * (v / (std::sqrt(h) + eps)));
      d.slot0_new[i] = v;
      d.slot1_new[i] = h;
    };
  }
};

struct MomentumRule {
  static constexpr size_t slots = 1;
  float alpha = 0, beta = 0, norm_coefficient = 0;
  std::string mode;

  void attributes(AttributeVisitor& v) {
    v.required("alpha", alpha, "decay of the momentum");
    v.required("beta", beta, "weight of the gradient, after the first step");
    v.required("mode", mode, "'standard' or 'nesterov'");
    v.required("norm_coefficient", norm_coefficient, "of L2 regularization");
  }

  template <typename T>
  auto stepper(T rate, int64_t count) const {
    T b = count > 0 ? static_cast<T>(beta) : T(1);
    bool nesterov = mode == "nesterov";
    return [=, a = static_cast<T>(alpha), norm = static_cast<T>(norm_coefficient)](
               const StepData<T>& d, int64_t i) {
      T g = norm * d.x[i] + d.g[i];
      T v = a * d.slot0[i] + b * g;
      d.x_new[i] = d.x[i] - rate * (nesterov ? g + a * v : v);
      d.slot0_new[i] = v;
    };
  }
};

template <typename Rule>
class Optimizer final : public Op {
 public:
  void attributes(AttributeVisitor& v) override { rule_.attributes(v); }

  void infer(InferContext& c) const override {
    if constexpr (std::is_same_v<Rule, MomentumRule>) {
      if (rule_.mode != "standard" && rule_.mode != "nesterov") {
        c.reject("mode is '{}', expected 'standard' or 'nesterov'", rule_.mode);
      }
    }
    size_t n = tensors(c.num_inputs());
    bool fits = c.num_inputs() == 2 + n * (2 + Rule::slots) && n > 0 &&
                c.num_outputs() == n * (1 + Rule::slots);
    if (!fits) {
      c.reject(
          "{} inputs and {} outputs are no whole number of tensors with a gradient and {} slots "
          "each",
          c.num_inputs(), c.num_outputs(), Rule::slots);
    }
    for (size_t i = 2 + n; i < c.num_inputs(); ++i) {
      size_t like = 2 + (i - 2) % n;
      if (!compatible(c.type(like), c.type(i))) {
        c.reject("{} belongs to {}", c.describe_input(i), c.describe_input(like));
      }
    }
    for (size_t i = 0; i < c.num_outputs(); ++i) c.set_output(i, c.type(2 + i % n));
  }

  void run(RunContext& c) const override {
    size_t n = tensors(c.num_inputs());
    auto count = scalar_of<int64_t>(c.input(1), "T");
    for (size_t i = 0; i < n; ++i) {
      dispatch<float, double>(c.input(2 + i).dtype(),
                              [&]<typename T>() { step<T>(c, i, n, count); });
    }
  }

  // Where slots are depends on how many tensors there are; the first tensor is always here.
  OpTraits traits() const override { return {.in_place = {{2, 0}}}; }

 private:
  static size_t tensors(size_t inputs) { return inputs < 2 ? 0 : (inputs - 2) / (2 + Rule::slots); }

  template <typename T>
  void step(RunContext& c, size_t i, size_t n, int64_t count) const {
    auto in = [&](size_t kind) { return c.input(2 + kind * n + i).template data<T>(); };
    auto out = [&](size_t kind) { return c.output(kind * n + i).template data<T>(); };
    constexpr bool two = Rule::slots == 2;
    StepData<T> d{
        in(0), in(1), in(2), two ? in(3) : nullptr, out(0), out(1), two ? out(2) : nullptr};
    auto f = rule_.template stepper<T>(scalar_of<T>(c.input(0), "R"), count);
    parallel_for(c.input(2 + i).size(), 16384, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) f(d, k);
    });
  }

  Rule rule_;
};

template <typename Rule>
void add_optimizer(OpRegistry& r, std::string_view name, std::string_view doc) {
  r.add<Optimizer<Rule>>(
      {.name = name,
       .domain = "ai.onnx.preview.training",
       .doc = doc,
       .since = {1},
       .inputs = {{"R", "T1"}, {"T", "T2"}, {"inputs", "T3", Param::Kind::Variadic, false}},
       .outputs = {{"outputs", "T3", Param::Kind::Variadic, false}},
       .types = {{"T1", dtypes::f32_f64}, {"T2", DType::Int64}, {"T3", dtypes::f32_f64}},
       .gradient = GradientState::NotDifferentiable});
}

}  // namespace

void register_optimizers(OpRegistry& r) {
  add_optimizer<AdagradRule>(r, "Adagrad", "a step of Adagrad");
  add_optimizer<AdamRule>(r, "Adam", "a step of Adam");
  add_optimizer<MomentumRule>(r, "Momentum",
                              "a step of gradient descent with momentum, standard or Nesterov's");
}

}  // namespace onnxrun
