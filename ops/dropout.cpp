// Dropout.
#include <algorithm>
#include <atomic>

#include "base/random.h"
#include "base/threads.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/scalar.h"

namespace onnxrun {

namespace {

// Draws without a seed are numbered over the whole program, and each has a stream of random numbers
// of its own: no two are alike, and a program that repeats its runs repeats their numbers.
uint64_t next_draw() {
  static std::atomic<uint64_t> draws = 0;
  return draws.fetch_add(1, std::memory_order_relaxed);
}

// Writes which of n elements stay: each with probability 1 - ratio.
void draw_mask(std::optional<int64_t> seed, double ratio, bool* mask, int64_t n) {
  if (seed) {
    NumpyRandom random(static_cast<uint32_t>(*seed));
    for (int64_t i = 0; i < n; ++i) mask[i] = random.uniform() >= ratio;
    return;
  }
  Philox random(0, next_draw());
  parallel_for(n, 8192, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      mask[i] = random.uniform(static_cast<uint64_t>(i)) >= ratio;
  });
}

class Dropout final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("seed", seed_,
            "makes every run drop the same elements, those that NumPy's generator picks");
  }

  void infer(InferContext& c) const override {
    for (size_t i : {1, 2}) {
      if (c.has_input(i) && c.rank(i) > 0 && c.shape(i)->size() > 1) {
        c.reject("{}, expected a scalar", c.describe_input(i));
      }
    }
    infer_same(c);
    c.set_output(1, DType::Bool, c.type(0).shape);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    c.request_scratch(c.has_output(1) ? 0 : c.input(0).size());
    return nullptr;
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    double ratio = ratio_of(c);
    if (!training(c) || ratio == 0) {
      if (!x.same_buffer(y)) copy_elements(x, y);
      if (c.has_output(1)) std::fill_n(c.output(1).data<bool>(), x.size(), true);
      return;
    }
    bool* mask = c.has_output(1) ? c.output(1).data<bool>() : reinterpret_cast<bool*>(c.scratch());
    draw_mask(seed_, ratio, mask, x.size());
    dispatch<float, double, float16, bfloat16, float8e4m3fn, float8e4m3fnuz, float8e5m2,
             float8e5m2fnuz>(x.dtype(), [&]<typename T>() {
      drop(x.data<T>(), mask, 1 / (1 - ratio), y.data<T>(), x.size());
    });
  }

  // dx = dy mask / (1 - ratio); the mask is all true where nothing is dropped.
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    const Tensor* training = g.has_input(2) ? g.builder().graph().constant(g.input(2)) : nullptr;
    bool off = !g.has_input(2) || (training && !scalar_of<bool>(*training, "training_mode"));
    if (off) return g.set(0, g.grad(0));
    if (!g.has_output(1)) {
      fail(ErrorKind::Unsupported, "the gradient in training mode needs output 'mask'");
    }
    ValueId one = g.scalar_like(1, g.grad(0)), half = g.scalar_like(0.5, g.grad(0));
    ValueId ratio = g.has_input(1) ? g.builder().cast(g.input(1), g.dtype(g.grad(0))) : half;
    ValueId scale = g.div(one, g.minus(one, ratio));
    if (!training) scale = g.add("Where", {g.input(2), scale, one});
    g.set(0, g.add("Where", {g.output(1), g.mul(g.grad(0), scale), g.scalar_like(0, g.grad(0))}));
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}}, .deterministic = false}; }

 private:
  static bool training(const RunContext& c) {
    return c.has_input(2) && scalar_of<bool>(c.input(2), "training_mode");
  }

  static double ratio_of(const RunContext& c) {
    double ratio = c.has_input(1) ? scalar_of<double>(c.input(1), "ratio") : 0.5;
    if (!(ratio >= 0 && ratio <= 1))
      fail(ErrorKind::BadInput, "ratio is {}, expected 0 to 1", ratio);
    return ratio;
  }

  template <typename T>
  static void drop(const T* x, const bool* mask, double scale, T* y, int64_t n) {
    using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
    for (int64_t i = 0; i < n; ++i) {
      y[i] = mask[i] ? static_cast<T>(static_cast<C>(x[i]) * static_cast<C>(scale)) : T(0.0f);
    }
  }

  std::optional<int64_t> seed_;
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
                             {"ratio", "T1", Param::Kind::Optional},
                             {"training_mode", "T2", Param::Kind::Optional}},
                  .outputs = {{"output", "T"}, {"mask", "T2", Param::Kind::Optional}},
                  .types = {{"T", droppable}, {"T1", droppable}, {"T2", DType::Bool}},
                  .upgrade = upgrade_dropout});
}

}  // namespace onnxrun
