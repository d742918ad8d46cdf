// Gemm: Y = alpha A' B' + beta C.
#include <cmath>
#include <limits>
#include <optional>

#include "emit/matrix_products.h"
#include "graph/channel_map.h"
#include "graph/gradient_context.h"
#include "graph/matrix_product.h"
#include "graph/quantized_form.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/broadcast.h"
#include "kernels/compute_buffers.h"
#include "kernels/openblas.h"
#include "limited_form.h"

namespace onnxrun {

namespace {

struct GemmState final : KernelState {
  int64_t m = 0, n = 0, k = 0;
  BroadcastRows<1> bias;  // C as rows of Y
  bool by_openblas = false;

  std::string_view kernel() const override { return by_openblas ? "openblas" : ""; }
};

class Gemm : public Op,
             public WeighsChannels,
             public TakesLimits,
             public HasQuantizedForm,
             public MatrixProduct {
 public:
  static constexpr std::string_view plain_name = "Gemm";
  static constexpr size_t first_limit = 3;

  std::string_view limited_form() const override { return "onnxrun.LimitedGemm"; }
  size_t operands() const override { return first_limit; }

  std::optional<ChannelWeights> channel_weights(const Dims& b) const override {
    if (beta_ != 1) return std::nullopt;
    return trans_b_ ? ChannelWeights{.channels = b[0], .inner = b[1]}
                    : ChannelWeights{.outer = b[0], .channels = b[1]};
  }

  Transposed transposed() const override { return {trans_a_, trans_b_}; }
  ProductForm form(Transposed t) const override {
    return {{},
            {{"alpha", alpha_},
             {"beta", beta_},
             {"transA", int64_t{t.left}},
             {"transB", int64_t{t.right}}}};
  }

  int64_t scale_axis() const override { return trans_b_ ? 0 : 1; }
  std::optional<QuantizedForm> quantized_form(const Graph& graph,
                                              const QuantizedOperands& o) const override {
    const bool fits = graph.constant(o.w.levels) && graph.value(o.x.levels).type.rank() == 2;
    if (!fits || trans_a_ || alpha_ != 1 || beta_ != 1) return std::nullopt;
    return QuantizedForm{"com.microsoft.QGemm",
                         {o.x.levels, o.x.scale, o.x.zero_point, o.w.levels, o.w.scale,
                          o.w.zero_point, o.bias, o.y.scale, o.y.zero_point},
                         {{"transB", int64_t{trans_b_}}}};
  }

  void attributes(AttributeVisitor& v) override {
    v.visit("alpha", alpha_, "factor of the product");
    v.visit("beta", beta_, "factor of C");
    v.visit("transA", trans_a_, "A is stored transposed");
    v.visit("transB", trans_b_, "B is stored transposed");
  }

  void infer(InferContext& c) const override {
    Dim m, n, ka, kb;
    read_matrix(c, 0, trans_a_, m, ka);
    read_matrix(c, 1, trans_b_, kb, n);
    check_inner(c, ka, kb);
    Shape y = {m, n};
    if (c.has_input(2) && c.shape(2)) check_bias(c, y);
    c.set_output(0, c.dtype(0), std::move(y));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<GemmState>();
    const Dims &a = c.input(0).dims(), &y = c.output(0).dims();
    state->m = y[0];
    state->n = y[1];
    state->k = a[trans_a_ ? 0 : 1];
    state->by_openblas = dtypes::floats.contains(c.output(0).dtype()) &&
                         openblas_takes(c.products(), state->m, state->n, state->k);
    if (c.has_input(2)) state->bias = BroadcastRows<1>(y, {c.input(2).dims()});
    return state;
  }

  void run(RunContext& c) const override {
    dispatch<float, double, float16, bfloat16, int32_t, int64_t, uint32_t, uint64_t>(
        c.output(0).dtype(), [&]<typename T>() {
          if constexpr (std::is_integral_v<T>) {
            run_integer<T>(c);
          } else {
            run_float<false, T>(c);
          }
        });
  }

  template <bool is_limited>
  void compute(const RunContext& c) const {
    dispatch_float(c.output(0).dtype(), [&]<typename T>() { run_float<is_limited, T>(c); });
  }

  // d(alpha A B + beta C) = alpha (dA B + A dB) + beta dC
  void gradient(GradientContext& g) const override {
    GraphBuilder& b = g.builder();
    ValueId dy = g.grad(0), left = g.input(0), right = g.input(1);
    // First what reads A, which is often the largest of all and then free.
    if (g.wants(1)) {
      g.set(1, trans_b_ ? product(b, dy, true, left, trans_a_)
                        : product(b, left, !trans_a_, dy, false));
    }
    if (g.wants(0)) {
      g.set(0, trans_a_ ? product(b, right, trans_b_, dy, true)
                        : product(b, dy, false, right, !trans_b_));
    }
    if (g.wants(2)) g.set(2, beta_ == 1 ? dy : g.mul(dy, g.scalar_like(beta_, dy)));
  }

 private:
  // Operands of a Gemm are matrices, known or not.
  ValueId product(GraphBuilder& b, ValueId x, bool trans_x, ValueId y, bool trans_y) const {
    return b.add("Gemm", {x, y},
                 {{"alpha", alpha_}, {"transA", int64_t{trans_x}}, {"transB", int64_t{trans_y}}});
  }

  static void read_matrix(const InferContext& c, size_t i, bool transposed, Dim& rows,
                          Dim& columns) {
    const Shape* s = c.shape(i);
    if (!s) return;
    if (s->size() != 2) c.reject("{}, expected a matrix", c.describe_input(i));
    rows = (*s)[transposed ? 1 : 0];
    columns = (*s)[transposed ? 0 : 1];
  }

  // C broadcasts to Y, never the other way.
  static void check_bias(const InferContext& c, const Shape& y) {
    const Shape& bias = *c.shape(2);
    bool fits = bias.size() <= 2;
    for (size_t back = 1; fits && back <= bias.size(); ++back) {
      const Dim &from = bias[bias.size() - back], &to = y[2 - back];
      bool known = from.is_known() && to.is_known();
      fits = !known || from == to || from.value() == 1;
    }
    if (!fits)
      c.reject("{} does not broadcast to the product's shape {}", c.describe_input(2),
               to_string(y));
  }

  // out = beta C, repeated as broadcasting says.
  template <typename T, typename C>
  void fill_bias(const GemmState& state, const T* bias, C* out) const {
    C beta = static_cast<C>(beta_);
    state.bias.for_each([&](int64_t at, const std::array<int64_t, 1>& in, int64_t n) {
      const T* x = bias + in[0];
      int64_t step = state.bias.step(0);
      for (int64_t i = 0; i < n; ++i) out[at + i] = beta * static_cast<C>(x[i * step]);
    });
  }

  template <typename T>
  void multiply(const GemmState& s, T alpha, const T* a, const T* b, T beta, T* y,
                const Limits<T>* limits = nullptr) const {
    gemm_by<T>(s.by_openblas, trans_a_, trans_b_, s.m, s.n, s.k, alpha, a, b, beta, y, limits);
  }

  template <bool is_limited, typename T>
  void run_float(const RunContext& c) const {
    const auto& state = c.state<GemmState>();
    ComputeInput<T> a(c.input(0)), b(c.input(1));
    ComputeOutput<T> y(c.output(0));
    bool bias = c.has_input(2) && beta_ != 0;
    if (bias) fill_bias(state, c.input(2).data<T>(), y.data());
    const auto limits = limits_of<is_limited, T>(c, first_limit);
    multiply<ComputeType<T>>(state, alpha_, a.data(), b.data(), bias ? 1 : 0, y.data(),
                             limits ? &*limits : nullptr);
    y.store();
  }

  // Whole factors stay exact; others go through double and truncate.
  template <typename T>
  void run_integer(const RunContext& c) const {
    using U = std::make_unsigned_t<T>;
    const auto& state = c.state<GemmState>();
    T* y = c.output(0).data<T>();
    multiply<T>(state, 1, c.input(0).data<T>(), c.input(1).data<T>(), 0, y);
    if (alpha_ != 1) {
      for (T& v : c.output(0).span<T>()) v = scaled(alpha_, v);
    }
    if (!c.has_input(2) || beta_ == 0) return;
    const T* bias = c.input(2).data<T>();
    state.bias.for_each([&](int64_t at, const std::array<int64_t, 1>& in, int64_t n) {
      int64_t step = state.bias.step(0);
      for (int64_t i = 0; i < n; ++i) {
        T term = beta_ == 1 ? bias[in[0] + i * step] : scaled(beta_, bias[in[0] + i * step]);
        y[at + i] = static_cast<T>(static_cast<U>(y[at + i]) + static_cast<U>(term));
      }
    });
  }

  template <typename T>
  static T scaled(float factor, T value) {
    double exact = std::trunc(static_cast<double>(factor) * static_cast<double>(value));
    constexpr double limit = 9223372036854775808.0;
    if (!(exact >= -limit && exact < limit))
      return exact > 0 ? std::numeric_limits<T>::max() : T{0};
    return static_cast<T>(static_cast<int64_t>(exact));
  }

  float alpha_ = 1;
  float beta_ = 1;
  bool trans_a_ = false;
  bool trans_b_ = false;
};

// Before opset 7 C broadcast only if asked to; where the file is valid today's rule means the same.
void upgrade_gemm(UpgradeContext& u) { u.take<int64_t>("broadcast"); }

}  // namespace

void register_gemm(OpRegistry& r) {
  const OpSpec gemm = {.name = "Gemm",
                       .doc = "alpha A' B' + beta C of matrices that may be transposed",
                       .since = {1, 6, 7, 9, 11, 13},
                       .inputs = {{"A", "T", InputRole::Weight},
                                  {"B", "T", InputRole::Weight},
                                  {"C", "T", Param::Kind::Optional, InputRole::Bias}},
                       .outputs = {{"Y", "T"}},
                       .types = {{"T", dtypes::floats | DTypeSet{DType::Int32, DType::Int64,
                                                                 DType::UInt32, DType::UInt64}}},
                       .kind = OpKind::Product,
                       .gradient = GradientState::Rule,
                       .upgrade = upgrade_gemm};
  r.add<Gemm>(gemm);
  add_limited_form<Gemm>(r, gemm, "LimitedGemm", "Gemm limited to [min, max]");
}

}  // namespace onnxrun
