// Where.
#include <complex>

#include "expression_state.h"
#include "graph/element_function.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/broadcast.h"

namespace onnxrun {

namespace {

struct WhereRows final : KernelState {
  BroadcastRows<3> rows;
};

template <typename T>
void select(const BroadcastRows<3>& rows, const bool* condition, const T* x, const T* y, T* out) {
  const int64_t dc = rows.step(0), dx = rows.step(1), dy = rows.step(2);
  rows.for_each([&](int64_t at, const std::array<int64_t, 3>& in, int64_t n) {
    const bool* c = condition + in[0];
    const T *a = x + in[1], *b = y + in[2];
    T* z = out + at;
    for (int64_t i = 0; i < n; ++i) z[i] = c[i * dc] ? a[i * dx] : b[i * dy];
  });
}

class Where final : public Op, public Elementwise {
 public:
  ElementFunction element_function() const override { return ElementFunction::Where; }

  void infer(InferContext& c) const override {
    infer_broadcast(c, c.dtype(1));
    infer_content(c);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    // Elements are copied, whatever they are.
    const int bits = bits_of(c.output(0).dtype());
    if (bits == 32 || bits == 64) {
      return prepare_expression(c, call_of(ElementFunction::Where), c.output(0).dims(),
                                bits == 32 ? DType::Float32 : DType::Float64);
    }
    auto state = std::make_unique<WhereRows>();
    state->rows = BroadcastRows<3>(c.output(0).dims(),
                                   {c.input(0).dims(), c.input(1).dims(), c.input(2).dims()});
    return state;
  }

  void run(RunContext& c) const override {
    switch (bits_of(c.output(0).dtype())) {
      case 0:
        return run_as<std::string>(c);
      case 8:
        return run_as<uint8_t>(c);
      case 16:
        return run_as<uint16_t>(c);
      case 32:
      case 64:
        return run_expression(c);
      default:
        return run_as<std::complex<double>>(c);
    }
  }

  void gradient(GradientContext& g) const override {
    ValueId zero = g.scalar_like(0, g.grad(0));
    if (g.wants(1)) g.set(1, g.add("Where", {g.input(0), g.grad(0), zero}));
    if (g.wants(2)) g.set(2, g.add("Where", {g.input(0), zero, g.grad(0)}));
  }

  OpTraits traits() const override { return {.in_place = {{1, 0}, {2, 0}}, .elementwise = true}; }

 private:
  // The condition's elements as 1 and 0, as far as they are known.
  static std::optional<std::vector<Dim>> conditions(InferContext& c) {
    const Tensor* known = c.constant(0);
    if (!known) return c.content(0);
    if (known->rank() > 1) return std::nullopt;
    std::span<const bool> elements = known->span<bool>();
    return std::vector<Dim>(elements.begin(), elements.end());
  }

  static void infer_content(InferContext& c) {
    auto condition = conditions(c), x = c.content(1), y = c.content(2);
    if (!condition || !x || !y) return;
    if (condition->empty() || x->empty() || y->empty()) return;
    const size_t n = std::max({condition->size(), x->size(), y->size()});
    auto at = [n](const std::vector<Dim>& v, size_t i) { return v.size() == n ? v[i] : v[0]; };
    std::vector<Dim> elements;
    for (size_t i = 0; i < n; ++i) {
      const Dim which = at(*condition, i), a = at(*x, i), b = at(*y, i);
      elements.push_back(which.is_known() ? (which.value() != 0 ? a : b) : a == b ? a : Dim());
    }
    c.set_content(0, std::move(elements));
  }

  template <typename T>
  static void run_as(RunContext& c) {
    auto elements = [](const Tensor& t) { return reinterpret_cast<const T*>(t.raw()); };
    select(c.state<WhereRows>().rows, c.input(0).data<bool>(), elements(c.input(1)),
           elements(c.input(2)), reinterpret_cast<T*>(c.output(0).raw()));
  }
};

}  // namespace

void register_where(OpRegistry& r) {
  r.add<Where>({.name = "Where",
                .doc = "x where the condition holds, else y, with broadcasting",
                .since = {9, 16},
                .inputs = {{"condition", "B"}, {"X", "T"}, {"Y", "T"}},
                .outputs = {{"output", "T"}},
                .types = {{"B", dtypes::boolean}, {"T", dtypes::basic}}});
}

}  // namespace onnxrun
