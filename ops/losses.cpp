// NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss, and their private gradients.
//
// With l the input (for the second: its log-softmax over axis 1), t the class and w its weight (0
// where t is to be ignored), the loss of one sample is -w l[t]; they are summed, or averaged by
// weight.
#include <algorithm>
#include <array>

#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/compute_buffers.h"
#include "kernels/normalize.h"
#include "kernels/scratch.h"
#include "kernels/vector_math.h"

namespace onnxrun {

namespace {

// The input as [images, classes, inside].
struct ClassShape {
  int64_t images, classes, inside;

  explicit ClassShape(const Dims& x)
      : images(x[0]), classes(x[1]), inside(element_count(Dims(x.begin() + 2, x.end()))) {}
  int64_t samples() const { return images * inside; }
  // Class 0 of a sample; classes lie `inside` apart.
  int64_t at(int64_t sample) const { return sample / inside * classes * inside + sample % inside; }
};

// Classes and weights of the samples, checked.
template <typename C>
class Targets {
 public:
  Targets(const Tensor& classes, const Tensor* weights, std::optional<int64_t> ignored,
          const ClassShape& s)
      : memory_(static_cast<size_t>(s.samples()) * (sizeof(int64_t) + sizeof(C))),
        classes_(memory_.as<int64_t>()),
        weights_(reinterpret_cast<C*>(classes_ + s.samples())) {
    dispatch<int32_t, int64_t>(classes.dtype(), [&]<typename I>() {
      std::copy_n(classes.data<I>(), s.samples(), classes_);
    });
    for (int64_t i = 0; i < s.samples(); ++i) {
      bool skip = ignored && classes_[i] == *ignored;
      if (!skip && (classes_[i] < 0 || classes_[i] >= s.classes)) {
        fail(ErrorKind::BadInput, "class {} at {}, expected 0 to {}", classes_[i], i,
             s.classes - 1);
      }
      if (skip) classes_[i] = -1;
    }
    fill_weights(weights, s.samples());
  }

  // -1 if ignored.
  int64_t of(int64_t sample) const { return classes_[sample]; }
  C weight(int64_t sample) const { return weights_[sample]; }
  double total_weight(int64_t samples) const {
    return lane_sum<C>(samples, [&](int64_t i) { return weights_[i]; });
  }

 private:
  void fill_weights(const Tensor* given, int64_t samples) {
    for (int64_t i = 0; i < samples; ++i) weights_[i] = classes_[i] < 0 ? C{0} : C{1};
    if (!given) return;
    dispatch_float(given->dtype(), [&]<typename T>() {
      const T* w = given->data<T>();
      for (int64_t i = 0; i < samples; ++i) {
        if (classes_[i] >= 0)
          weights_[i] = static_cast<C>(static_cast<ComputeType<T>>(w[classes_[i]]));
      }
    });
  }

  Scratch memory_;
  int64_t* classes_;
  C* weights_;
};

// The largest of n elements (n > 0), in lanes that vectorise.
template <typename C>
C largest_of(const C* x, int64_t n) {
  constexpr int64_t lanes = 16;
  std::array<C, lanes> best;
  best.fill(x[0]);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (size_t l = 0; l < lanes; ++l) best[l] = std::max(best[l], x[i + static_cast<int64_t>(l)]);
  }
  for (; i < n; ++i) best[0] = std::max(best[0], x[i]);
  return *std::max_element(best.begin(), best.end());
}

// For every sample of an image its largest score, e = exp(score - largest) in the image's layout,
// and the sum of e over the classes.
template <typename C>
void exponentials(const C* x, const ClassShape& s, C* largest, C* e, C* sum) {
  int64_t classes = s.classes, inside = s.inside;
  if (inside == 1) {
    largest[0] = largest_of(x, classes);
    for (int64_t c = 0; c < classes; ++c) e[c] = x[c] - largest[0];
    vexp(e, e, classes);
    sum[0] = static_cast<C>(lane_sum<C>(classes, [&](int64_t c) { return e[c]; }));
    return;
  }
  std::copy_n(x, inside, largest);
  for (int64_t c = 1; c < classes; ++c) {
    for (int64_t i = 0; i < inside; ++i) largest[i] = std::max(largest[i], x[c * inside + i]);
  }
  for (int64_t c = 0; c < classes; ++c) {
    for (int64_t i = 0; i < inside; ++i) e[c * inside + i] = x[c * inside + i] - largest[i];
  }
  vexp(e, e, classes * inside);
  std::fill_n(sum, inside, C{0});
  for (int64_t c = 0; c < classes; ++c) {
    for (int64_t i = 0; i < inside; ++i) sum[i] += e[c * inside + i];
  }
}

class LossFamily : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("ignore_index", ignored_, "class that does not count");
    v.visit("reduction", reduction_, "none, sum or mean");
  }

 protected:
  bool keeps_samples() const { return reduction_ == "none"; }

  Attributes loss_attributes() const {
    Attributes a = {{"reduction", reduction_}};
    if (ignored_) a["ignore_index"] = *ignored_;
    return a;
  }

  // Checks scores (input `first`), classes and weights; returns the loss' shape.
  std::optional<Shape> check(const InferContext& c, size_t first) const {
    if (reduction_ != "none" && reduction_ != "sum" && reduction_ != "mean") {
      c.reject("attribute 'reduction' is '{}', expected none, sum or mean", reduction_);
    }
    const Shape *x = c.shape(first), *t = c.shape(first + 1);
    if (x && x->size() < 2) c.reject("{}, expected samples and classes", c.describe_input(first));
    if (x && t) {
      Shape expected = *x;
      expected.erase(expected.begin() + 1);
      if (!compatible(Type::tensor(c.dtype(first + 1), expected), c.type(first + 1))) {
        c.reject("{}, expected {}", c.describe_input(first + 1), to_string(expected));
      }
    }
    if (const Shape* w = c.has_input(first + 2) ? c.shape(first + 2) : nullptr) {
      bool wrong =
          x && (*x)[1].is_known() && w->size() == 1 && (*w)[0].is_known() && !((*w)[0] == (*x)[1]);
      if (w->size() != 1 || wrong)
        c.reject("{}, expected one element a class", c.describe_input(first + 2));
    }
    if (!keeps_samples()) return Shape{};
    if (t) return *t;
    if (!x) return std::nullopt;
    Shape y = *x;
    y.erase(y.begin() + 1);
    return y;
  }

  // Classes and the weight of each sample as nodes.
  struct Samples {
    ValueId classes, weights, one_hot;
  };

  // One 1 for every class that counts, along axis 1; weights in the type of `x`.
  Samples emit_samples(GraphBuilder& b, ValueId x, ValueId target, ValueId weight) const {
    DType type = b.dtype(x);
    ValueId classes = b.cast(target, DType::Int64), zero = b.int_scalar(0);
    ValueId count = b.slice(b.shape_of(x), 0, 1, 2);
    ValueId counts_now = no_value;
    ValueId safe = classes;
    if (ignored_) {
      ValueId skip = b.add("Equal", {classes, b.int_scalar(*ignored_)});
      counts_now = b.cast(b.add("Not", {skip}), type);
      safe = b.add("Where", {skip, zero, classes});
    }
    ValueId weights =
        weight == no_value ? no_value : b.add("Gather", {weight, safe}, {{"axis", int64_t{0}}});
    if (weights == no_value) {
      weights = counts_now != no_value ? counts_now
                                       : b.add("Expand", {b.scalar(1, type), b.shape_of(classes)});
    } else if (counts_now != no_value) {
      weights = b.add("Mul", {weights, counts_now});
    }
    // [C, 1, ...] with as many axes as the classes have.
    ValueId numbers = b.add("Range", {zero, b.squeeze(count, {0}), b.int_scalar(1)});
    ValueId behind = b.add("Sub", {b.shape_of(b.shape_of(classes)), b.ints({1})});
    ValueId ones = b.add("ConstantOfShape", {behind}, {{"value", Tensor::of<int64_t>({1}, {1})}});
    numbers = b.reshape(numbers, b.add("Concat", {count, ones}, {{"axis", int64_t{0}}}));
    ValueId one_hot = b.cast(b.add("Equal", {b.unsqueeze(classes, {1}), numbers}), type);
    return {classes, weights, one_hot};
  }

  std::optional<int64_t> ignored_;
  std::string reduction_ = "mean";
};

template <bool softmax>
class Loss final : public LossFamily {
 public:
  void infer(InferContext& c) const override {
    c.set_output(0, c.dtype(0), check(c, 0));
    c.set_output(1, c.type(0));
  }

  void run(RunContext& c) const override {
    dispatch_float(c.input(0).dtype(), [&]<typename T>() { run_type<T>(c); });
  }

  // The private operator gives the scores' gradient. The weights':
  //     none, sum: dw[k] = -sum of dL l[t] over samples of class k;  mean: of dL (l[t] + loss) /
  //     total weight
  void gradient(GradientContext& g) const override {
    ValueId dx = no_value;
    if (g.has_grad(0)) {
      std::vector<ValueId> inputs = {g.grad(0), g.input(0), g.input(1)};
      if (g.has_input(2)) inputs.push_back(g.input(2));
      dx = g.add(
          softmax ? "onnxrun.SoftmaxCrossEntropyLossGrad" : "onnxrun.NegativeLogLikelihoodLossGrad",
          inputs, loss_attributes());
      if (g.wants(2)) weight_gradient(g);
    }
    if (g.has_grad(1)) {
      // d log_softmax(x) = dx - sum(softmax(x) dx)
      ValueId dlog = g.grad(1);
      ValueId sum = g.builder().reduce_sum(dlog, {1}, true);
      ValueId more = g.minus(dlog, g.mul(g.add("Exp", {g.output(1)}), sum));
      dx = dx == no_value ? more : g.plus(dx, more);
    }
    g.set(0, dx);
  }

 private:
  template <typename T>
  void run_type(const RunContext& c) const {
    using C = ComputeType<T>;
    ClassShape s(c.input(0).dims());
    ComputeInput<T> x(c.input(0));
    Targets<C> targets(c.input(1), c.has_input(2) ? &c.input(2) : nullptr, ignored_, s);
    Scratch losses_memory(static_cast<size_t>(s.samples()) * sizeof(C));
    C* losses = losses_memory.as<C>();
    if constexpr (softmax) {
      if (c.has_output(1)) {
        ComputeOutput<T> log_prob(c.output(1));
        softmax_losses(s, targets, x.data(), losses, log_prob.data());
        log_prob.store();
      } else {
        softmax_losses<C>(s, targets, x.data(), losses, nullptr);
      }
    } else {
      for (int64_t i = 0; i < s.samples(); ++i) {
        int64_t k = targets.of(i);
        losses[i] = k < 0 ? C{0} : -targets.weight(i) * x.data()[s.at(i) + k * s.inside];
      }
    }
    if (!c.has_output(0)) return;
    T* out = c.output(0).data<T>();
    if (keeps_samples()) {
      std::transform(losses, losses + s.samples(), out, [](C v) { return static_cast<T>(v); });
      return;
    }
    double sum = lane_sum<C>(s.samples(), [&](int64_t i) { return losses[i]; });
    if (reduction_ == "mean") sum /= targets.total_weight(s.samples());
    *out = static_cast<T>(static_cast<C>(sum));
  }

  // Writes the log-softmax unless `log_prob` is null.
  template <typename C>
  static void softmax_losses(const ClassShape& s, const Targets<C>& targets, const C* x, C* losses,
                             C* log_prob) {
    int64_t image = s.classes * s.inside;
    for_each_row(s.images, image, [&](int64_t n) {
      if (image == 0) return;
      Scratch scratch(static_cast<size_t>(2 * s.inside + image) * sizeof(C));
      C *largest = scratch.as<C>(), *log_sum = largest + s.inside, *e = log_sum + s.inside;
      const C* scores = x + n * image;
      exponentials(scores, s, largest, e, log_sum);
      vlog(log_sum, log_sum, s.inside);
      for (int64_t i = 0; i < s.inside; ++i) {
        int64_t sample = n * s.inside + i, k = targets.of(sample);
        C log_of_k = k < 0 ? C{0} : scores[k * s.inside + i] - largest[i] - log_sum[i];
        losses[sample] = k < 0 ? C{0} : -targets.weight(sample) * log_of_k;
      }
      for (int64_t c = 0; log_prob && c < s.classes; ++c) {
        int64_t at = c * s.inside;
        for (int64_t i = 0; i < s.inside; ++i) {
          log_prob[n * image + at + i] = scores[at + i] - largest[i] - log_sum[i];
        }
      }
    });
  }

  void weight_gradient(GradientContext& g) const {
    GraphBuilder& b = g.builder();
    Samples samples = emit_samples(b, g.input(0), g.input(1), g.input(2));
    Attributes a = loss_attributes();
    a["reduction"] = std::string("none");
    ValueId each = g.add(softmax ? "SoftmaxCrossEntropyLoss" : "NegativeLogLikelihoodLoss",
                         {g.input(0), g.input(1)}, a);
    ValueId d = g.grad(0);
    if (reduction_ == "mean") {
      ValueId total = b.add("ReduceSum", {samples.weights}, {{"keepdims", int64_t{0}}});
      each = g.div(g.minus(each, g.output(0)), total);
    }
    ValueId share = g.mul(d, each);
    if (ignored_) share = g.mul(share, counted(b, samples.classes, g.dtype(share)));
    // [N, 1, ...] times [N, C, ...], summed over all axes but the classes'.
    ValueId spread = g.mul(b.unsqueeze(share, {1}), samples.one_hot);
    ValueId shape = b.add("Concat", {b.slice(b.shape_of(spread), 0, 0, 2), b.ints({-1})},
                          {{"axis", int64_t{0}}});
    g.set(2, b.reduce_sum(b.reshape(spread, shape), {0, 2}, false));
  }

  ValueId counted(GraphBuilder& b, ValueId classes, DType type) const {
    return b.cast(b.add("Not", {b.add("Equal", {classes, b.int_scalar(*ignored_)})}), type);
  }
};

// dL/dinput: -w dL at the sample's class, plus softmax w dL everywhere if the loss takes a softmax
// first.
template <bool softmax>
class LossGrad final : public LossFamily {
 public:
  void infer(InferContext& c) const override {
    auto loss = check(c, 1);
    if (loss && !compatible(Type::tensor(c.dtype(0), loss), c.type(0))) {
      c.reject("{}, expected {}", c.describe_input(0), to_string(*loss));
    }
    c.set_output(0, c.type(1));
  }

  void run(RunContext& c) const override {
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      ClassShape s(c.input(1).dims());
      ComputeInput<T> dloss(c.input(0)), x(c.input(1));
      Targets<C> targets(c.input(2), c.has_input(3) ? &c.input(3) : nullptr, ignored_, s);
      ComputeOutput<T> dx(c.output(0));
      double total = reduction_ == "mean" ? targets.total_weight(s.samples()) : 1;
      int64_t image = s.classes * s.inside, step = keeps_samples() ? 1 : 0;
      for_each_row(s.images, image, [&](int64_t n) {
        Scratch scratch(static_cast<size_t>(s.inside) * sizeof(C));
        C* factors = scratch.as<C>();
        for (int64_t i = 0; i < s.inside; ++i) {
          // An ignored sample has no part, also where the average is over nothing.
          int64_t sample = n * s.inside + i;
          bool counts = targets.of(sample) >= 0;
          C share = targets.weight(sample) / static_cast<C>(total);
          factors[i] = counts ? share * dloss.data()[sample * step] : C{0};
        }
        image_gradient(s, targets, n, x.data() + n * image, factors, dx.data() + n * image);
      });
      dx.store();
    });
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    ValueId x = d.input(1);
    Samples samples = emit_samples(b, x, d.input(2), d.input(3));
    ValueId factor = b.add("Mul", {d.input(0), samples.weights});
    if (reduction_ == "mean") {
      ValueId total = b.add("ReduceSum", {samples.weights}, {{"keepdims", int64_t{0}}});
      factor = b.add("Div", {factor, total});
    }
    ValueId slope =
        softmax ? b.add("Sub", {b.add("Softmax", {x}, {{"axis", int64_t{1}}}), samples.one_hot})
                : b.add("Neg", {samples.one_hot});
    d.set(0, b.add("Mul", {b.unsqueeze(factor, {1}), slope}));
  }

 private:
  // dx = factor (softmax - one_hot) of one image's samples.
  template <typename C>
  static void image_gradient(const ClassShape& s, const Targets<C>& targets, int64_t n, const C* x,
                             const C* factors, C* dx) {
    if (s.classes * s.inside == 0) return;
    if constexpr (softmax) {
      Scratch scratch(static_cast<size_t>(2 * s.inside) * sizeof(C));
      C *largest = scratch.as<C>(), *scale = largest + s.inside;
      exponentials(x, s, largest, dx, scale);
      for (int64_t i = 0; i < s.inside; ++i) scale[i] = factors[i] / scale[i];
      for (int64_t c = 0; c < s.classes; ++c) {
        for (int64_t i = 0; i < s.inside; ++i) dx[c * s.inside + i] *= scale[i];
      }
    } else {
      std::fill_n(dx, s.classes * s.inside, C{0});
    }
    for (int64_t i = 0; i < s.inside; ++i) {
      int64_t k = targets.of(n * s.inside + i);
      if (k >= 0) dx[k * s.inside + i] -= factors[i];
    }
  }
};

template <bool softmax>
void add_loss(OpRegistry& r, std::string_view name, std::string_view doc, std::vector<int> since,
              std::vector<Param> inputs, std::vector<Param> outputs) {
  r.add<Loss<softmax>>({.name = name,
                        .doc = doc,
                        .since = std::move(since),
                        .inputs = std::move(inputs),
                        .outputs = std::move(outputs),
                        .types = {{"T", dtypes::floats}, {"Tind", dtypes::index}},
                        .gradient = GradientState::Rule});
}

template <bool softmax>
void add_gradient(OpRegistry& r, std::string_view name, std::string_view doc) {
  r.add<LossGrad<softmax>>({.name = name,
                            .domain = private_domain,
                            .doc = doc,
                            .since = {1},
                            .inputs = {{"dloss", "T"},
                                       {"input", "T"},
                                       {"target", "Tind"},
                                       {"weight", "T", Param::Kind::Optional}},
                            .outputs = {{"dinput", "T"}},
                            .types = {{"T", dtypes::floats}, {"Tind", dtypes::index}},
                            .gradient = GradientState::Decompose,
                            .decomposes = true});
}

}  // namespace

void register_losses(OpRegistry& r) {
  constexpr auto optional = Param::Kind::Optional;
  add_loss<false>(
      r, "NegativeLogLikelihoodLoss", "minus the input at each sample's class, weighted",
      {12, 13, 22},
      {{"input", "T"}, {"target", "Tind"}, {"weight", "T", optional, InputRole::Setting}},
      {{"loss", "T"}});
  add_loss<true>(
      r, "SoftmaxCrossEntropyLoss", "minus the log-softmax at each sample's class, weighted",
      {12, 13},
      {{"scores", "T"}, {"labels", "Tind"}, {"weights", "T", optional, InputRole::Setting}},
      {{"output", "T"}, {"log_prob", "T", optional}});
  add_gradient<false>(r, "NegativeLogLikelihoodLossGrad",
                      "the gradient of NegativeLogLikelihoodLoss' input");
  add_gradient<true>(r, "SoftmaxCrossEntropyLossGrad",
                     "the gradient of SoftmaxCrossEntropyLoss' scores");
}

}  // namespace onnxrun
