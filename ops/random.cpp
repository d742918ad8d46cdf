// RandomNormal, RandomUniform, their Like forms, Bernoulli, Multinomial; and of each a private form
// for training steps, whose numbers are a function of its inputs.
#include <algorithm>
#include <bit>
#include <cmath>

#include "base/threads.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/mode_context.h"
#include "graph/node_attributes.h"
#include "graph/run_context.h"
#include "kernels/draws.h"
#include "kernels/scalar.h"

namespace onnxrun {

namespace {

constexpr int64_t draw_grain = 4096;

// y[i] = f(i), converted. Number i depends on i alone.
template <typename F>
void draw_all(Tensor& y, const F& f) {
  dispatch<float, double, float16, bfloat16, int64_t, int32_t, uint8_t, int8_t, uint16_t, int16_t,
           uint32_t, uint64_t, bool>(y.dtype(), [&]<typename T>() {
    T* out = y.data<T>();
    parallel_for(y.size(), draw_grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        out[i] = static_cast<T>(static_cast<ComputeType<T>>(f(i)));
      }
    });
  });
}

struct Normal {
  static constexpr DTypeSet types = dtypes::floats;
  float mean = 0, scale = 1;
  void attributes(AttributeVisitor& v) {
    v.visit("mean", mean, "of the numbers");
    v.visit("scale", scale, "their standard deviation");
  }
  double number(const Philox& random, int64_t i) const {
    return static_cast<double>(mean) +
           static_cast<double>(scale) * random.normal(static_cast<uint64_t>(i));
  }
};

struct Uniform {
  static constexpr DTypeSet types = dtypes::floats;
  float high = 1, low = 0;
  void attributes(AttributeVisitor& v) {
    v.visit("high", high, "numbers are smaller");
    v.visit("low", low, "the smallest number");
  }
  double number(const Philox& random, int64_t i) const {
    double from = static_cast<double>(low), to = static_cast<double>(high);
    return from + (to - from) * random.uniform(static_cast<uint64_t>(i));
  }
};

// The output's shape is an attribute, its type float unless told otherwise.
template <typename Distribution>
struct Shaped {
  static constexpr size_t inputs = 0;
  Distribution distribution;
  std::vector<int64_t> shape;
  void attributes(AttributeVisitor& v) {
    distribution.attributes(v);
    v.required("shape", shape, "of the output");
  }
  void infer(InferContext& c, DType type) const {
    for (int64_t d : shape) {
      if (d < 0) c.reject("shape {} has a negative length", to_string(shape));
    }
    element_count(shape);
    c.set_output(0, type == DType::Undefined ? DType::Float32 : type, to_shape(shape));
  }
  void run(RunContext& c, const Philox& random) const {
    draw_all(c.output(0), [&](int64_t i) { return distribution.number(random, i); });
  }
};

// The output's shape is the input's, and so is its type unless told otherwise.
template <typename Distribution>
struct Like {
  static constexpr size_t inputs = 1;
  Distribution distribution;
  void attributes(AttributeVisitor& v) { distribution.attributes(v); }
  void infer(InferContext& c, DType type) const {
    DType result = type == DType::Undefined ? c.dtype(0) : type;
    if (!Distribution::types.contains(result)) {
      c.reject("the output would be {}, expected {}", to_string(result),
               to_string(Distribution::types));
    }
    c.set_output(0, result, c.type(0).shape);
  }
  void run(RunContext& c, const Philox& random) const {
    draw_all(c.output(0), [&](int64_t i) { return distribution.number(random, i); });
  }
};

struct BernoulliRule {
  static constexpr size_t inputs = 1;
  void attributes(AttributeVisitor&) {}
  void infer(InferContext& c, DType type) const {
    c.set_output(0, type == DType::Undefined ? c.dtype(0) : type, c.type(0).shape);
  }
  void run(RunContext& c, const Philox& random) const {
    std::vector<double> p = to_doubles(c.input(0));
    for (double chance : p) {
      if (chance >= 0 && chance <= 1) continue;
      fail(ErrorKind::BadInput, "a probability is {}, expected 0 to 1", chance);
    }
    draw_all(c.output(0), [&](int64_t i) {
      return random.uniform(static_cast<uint64_t>(i)) < p[static_cast<size_t>(i)];
    });
  }
};

struct MultinomialRule {
  static constexpr size_t inputs = 1;
  int64_t samples = 1;
  void attributes(AttributeVisitor& v) { v.visit("sample_size", samples, "draws of each row"); }
  void infer(InferContext& c, DType type) const {
    if (c.shape(0) && c.rank(0) != 2) {
      c.reject("{}, expected rows of log-probabilities", c.describe_input(0));
    }
    if (samples < 0) c.reject("attribute 'sample_size' is {}", samples);
    if (!dtypes::index.contains(type)) c.reject("attribute 'dtype' is {}", to_string(type));
    c.set_output(0, type, Shape{c.shape(0) ? (*c.shape(0))[0] : Dim(), Dim(samples)});
  }
  void run(RunContext& c, const Philox& random) const {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    if (y.size() == 0) return;
    const int64_t classes = x.dim(1);
    if (classes == 0) fail(ErrorKind::BadInput, "{} has no classes", x.type_text());
    std::vector<double> logits = to_doubles(x), sums(logits.size());
    for (int64_t r = 0; r < x.dim(0); ++r)
      accumulate(&logits[at(r, classes)], &sums[at(r, classes)], classes);
    draw_all(y, [&](int64_t i) {
      const double* row = &sums[at(i / samples, classes)];
      double u = random.uniform(static_cast<uint64_t>(i)) * row[classes - 1];
      return std::min(std::upper_bound(row, row + classes, u) - row, classes - 1);
    });
  }

 private:
  static size_t at(int64_t row, int64_t classes) { return static_cast<size_t>(row * classes); }
  // sums of exp(x - max x)
  static void accumulate(const double* x, double* sums, int64_t n) {
    double largest = *std::max_element(x, x + n), total = 0;
    for (int64_t i = 0; i < n; ++i) sums[i] = total += std::exp(x[i] - largest);
    if (!std::isfinite(total)) {
      fail(ErrorKind::BadInput, "a row of log-probabilities is not finite");
    }
  }
};

// Draws with a seed of its own, or with one of next_draw()'s streams; stepped, as an input says.
template <typename Rule, bool stepped>
class RandomOp final : public Op {
 public:
  RandomOp() {
    if constexpr (std::is_same_v<Rule, MultinomialRule>) dtype_ = DType::Int32;
    if constexpr (Rule::inputs == 0) dtype_ = DType::Float32;
  }

  void attributes(AttributeVisitor& v) override {
    v.visit("dtype", dtype_, "element type of the output");
    rule_.attributes(v);
    if constexpr (stepped) {
      v.visit("seed", step_seed_, "of the random numbers");
      v.visit("node", node_, "tells the nodes of a graph apart, which draw independent numbers");
    } else {
      v.visit("seed", seed_, "makes every run draw the same numbers");
    }
  }

  void infer(InferContext& c) const override { rule_.infer(c, dtype_); }

  void run(RunContext& c) const override {
    if constexpr (stepped) {
      auto step = scalar_of<int64_t>(c.input(Rule::inputs), "step");
      rule_.run(c, step_draw(step_seed_, step, node_));
    } else {
      rule_.run(c, seed_ ? Philox(std::bit_cast<uint32_t>(*seed_)) : next_draw());
    }
  }

  // Other runtimes draw numbers of their own.
  void decompose(DecomposeContext& d) const override {
    Attributes attributes = write_attributes(*this, RandomOp());
    attributes.erase("seed");
    attributes.erase("node");
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < Rule::inputs; ++i) inputs.push_back(d.input(i));
    d.set(0, d.add(name_of(), std::move(inputs), attributes));
  }

  OpTraits traits() const override {
    return {.random = true, .deterministic = stepped || seed_.has_value()};
  }

  // Where the steps are counted, NAMEStep takes the place of a node without a seed.
  void set_mode(ModeContext& c) const override {
    if (stepped || seed_ || c.modes().step == no_value) return;
    Node& node = c.node();
    Attributes attributes = attributes_of(node);
    attributes["seed"] = static_cast<int64_t>(c.modes().seed);
    attributes["node"] = c.number();
    node.info = &c.graph().registry().get("onnxrun." + std::string(name_of()) + "Step");
    set_attributes(node, attributes);
    node.inputs.push_back(c.modes().step);
  }

 private:
  static std::string_view name_of() {
    if constexpr (std::is_same_v<Rule, Shaped<Normal>>) return "RandomNormal";
    if constexpr (std::is_same_v<Rule, Shaped<Uniform>>) return "RandomUniform";
    if constexpr (std::is_same_v<Rule, Like<Normal>>) return "RandomNormalLike";
    if constexpr (std::is_same_v<Rule, Like<Uniform>>) return "RandomUniformLike";
    return std::is_same_v<Rule, BernoulliRule> ? "Bernoulli" : "Multinomial";
  }

  Rule rule_;
  DType dtype_ = DType::Undefined;
  std::optional<float> seed_;
  int64_t step_seed_ = 0, node_ = 0;
};

// Adds the operator and NAMEStep.
template <typename Rule>
void add_random(OpRegistry& r, OpSpec spec, std::string_view step_name) {
  spec.gradient = GradientState::NotDifferentiable;
  r.add<RandomOp<Rule, false>>(spec);
  spec.domain = private_domain;
  spec.name = step_name;
  spec.since = {1};
  spec.inputs.push_back({"step", "S", InputRole::Setting});
  spec.types.push_back({"S", DType::Int64});
  spec.decomposes = true;
  r.add<RandomOp<Rule, true>>(std::move(spec));
}

template <typename Distribution>
void add_distribution(OpRegistry& r, std::string_view name, std::string_view step_name,
                      std::string_view like, std::string_view like_step, std::string_view doc) {
  add_random<Shaped<Distribution>>(r,
                                   {.name = name,
                                    .doc = doc,
                                    .since = {1, 22},
                                    .outputs = {{"output", "T"}},
                                    .types = {{"T", dtypes::floats}}},
                                   step_name);
  add_random<Like<Distribution>>(r,
                                 {.name = like,
                                  .doc = doc,
                                  .since = {1, 22},
                                  .inputs = {{"input", "T1"}},
                                  .outputs = {{"output", "T2"}},
                                  .types = {{"T1", dtypes::basic}, {"T2", dtypes::floats}}},
                                 like_step);
}

}  // namespace

void register_random(OpRegistry& r) {
  add_distribution<Normal>(r, "RandomNormal", "RandomNormalStep", "RandomNormalLike",
                           "RandomNormalLikeStep", "normally distributed random numbers");
  add_distribution<Uniform>(r, "RandomUniform", "RandomUniformStep", "RandomUniformLike",
                            "RandomUniformLikeStep", "evenly distributed random numbers");
  add_random<BernoulliRule>(
      r,
      {.name = "Bernoulli",
       .doc = "1 with the probability given, else 0",
       .since = {15, 22},
       .inputs = {{"input", "T1"}},
       .outputs = {{"output", "T2"}},
       .types = {{"T1", dtypes::floats}, {"T2", dtypes::numeric | dtypes::boolean}}},
      "BernoulliStep");
  add_random<MultinomialRule>(r,
                              {.name = "Multinomial",
                               .doc = "classes drawn with unnormalised log-probabilities",
                               .since = {7, 22},
                               .inputs = {{"input", "T1"}},
                               .outputs = {{"output", "T2"}},
                               .types = {{"T1", dtypes::floats}, {"T2", dtypes::index}}},
                              "MultinomialStep");
}

}  // namespace onnxrun
