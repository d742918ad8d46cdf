// PRelu.
#include "elementwise_binary.h"

namespace onnxrun {

namespace {

inline constexpr DTypeSet prelu_types =
    dtypes::floats | DTypeSet{DType::Int32, DType::Int64, DType::UInt32, DType::UInt64};

class PRelu final : public BinaryOp {
 public:
  // The slope broadcasts to X, never X to the slope.
  void infer(InferContext& c) const override {
    c.set_output(0, c.type(0));
    if (!c.shape(0) || !c.shape(1)) return;
    const Shape &x = *c.shape(0), &slope = *c.shape(1);
    bool fits = slope.size() <= x.size();
    for (size_t back = 1; fits && back <= slope.size(); ++back) {
      const Dim &s = slope[slope.size() - back], &n = x[x.size() - back];
      fits = !s.is_known() || s.value() == 1 || !n.is_known() || s.value() == n.value();
    }
    if (!fits)
      c.reject("the slope does not broadcast to X: {}, {}", c.describe_input(0),
               c.describe_input(1));
  }

  void run(RunContext& c) const override {
    const auto& rows = c.state<BinaryRows>().rows;
    dispatch<float, double, float16, bfloat16, int32_t, int64_t, uint32_t, uint64_t>(
        c.output(0).dtype(), [&]<typename T>() {
          using C = ComputeType<T>;
          binary_loop(rows, c.input(0).data<T>(), c.input(1).data<T>(), c.output(0).data<T>(),
                      [](C x, C slope) { return x < C{0} ? product(x, slope) : x; });
        });
  }

  void gradient(GradientContext& g) const override {
    ValueId x = g.input(0), dy = g.grad(0), zero = g.scalar_like(0, x);
    ValueId positive = g.add("Greater", {x, zero});
    if (g.wants(0)) g.set(0, g.add("Where", {positive, dy, g.mul(dy, g.input(1))}));
    if (g.wants(1)) g.set(1, g.add("Where", {positive, zero, g.mul(dy, x)}));
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}}, .elementwise = true}; }

 private:
  template <typename C>
  static C product(C a, C b) {
    if constexpr (std::is_integral_v<C>) {
      using U = std::make_unsigned_t<C>;
      return static_cast<C>(static_cast<U>(a) * static_cast<U>(b));
    } else {
      return a * b;
    }
  }
};

// Before opset 7 a slope of as many elements as X has channels (axis 1) goes with these.
void upgrade_prelu(UpgradeContext& u) {
  u.take<std::vector<int64_t>>("consumed_inputs");
  if (u.opset() >= 7) return;
  const Type &x = u.type(u.input(0)), &slope = u.type(u.input(1));
  if (!slope.shape)
    fail(ErrorKind::Unsupported, "a slope needs a known rank to say which axes it means");
  if (slope.rank() != 1 || ((*slope.shape)[0].is_known() && (*slope.shape)[0].value() == 1)) return;
  if (!x.shape) fail(ErrorKind::Unsupported, "a slope per channel needs an X of known rank");
  std::vector<int64_t> axes;
  for (int64_t i = 1; i + 1 < x.rank(); ++i) axes.push_back(i);
  if (!axes.empty()) u.set_input(1, u.builder().unsqueeze(u.input(1), axes));
}

}  // namespace

void register_prelu(OpRegistry& r) {
  r.add<PRelu>({.name = "PRelu",
                .doc = "x, below zero times a slope that broadcasts to x",
                .since = {1, 6, 7, 9, 16},
                .inputs = {{"X", "T"}, {"slope", "T", InputRole::Weight}},
                .outputs = {{"Y", "T"}},
                .types = {{"T", prelu_types}},
                .kind = OpKind::Activation,
                .upgrade = upgrade_prelu});
}

}  // namespace onnxrun
