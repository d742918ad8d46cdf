// Min, Max, Sum, Mean: elementwise over any number of inputs.
#include <algorithm>
#include <array>
#include <cmath>

#include "elementwise_unary.h"

namespace onnxrun {

namespace {

struct VariadicRows final : KernelState {
  std::vector<BroadcastRows<1>> rows;
};

constexpr int64_t block = 256;

// The larger (sign 1) or the smaller; NaN wins.
template <int sign>
struct ExtremeRule {
  static constexpr auto function = sign > 0 ? ElementFunction::Max : ElementFunction::Min;
  static constexpr DTypeSet types = dtypes::numeric;
  template <typename C>
  static C combine(C a, C b) {
    if constexpr (sign > 0) {
      a = b > a ? b : a;
    } else {
      a = b < a ? b : a;
    }
    if constexpr (std::is_floating_point_v<C>) a = b != b ? b : a;
    return a;
  }
  template <typename C>
  static C finish(C a, size_t) {
    return a;
  }
  static Dim symbolic(const Dim& a, const Dim& b) { return sign > 0 ? max(a, b) : min(a, b); }
  // Inputs that tie share evenly.
  static void gradient(GradientContext& g) {
    if (g.num_inputs() == 1) return g.set(0, g.grad(0));
    std::vector<ValueId> here;
    for (size_t i = 0; i < g.num_inputs(); ++i) {
      ValueId equal = g.add("Equal", {g.input(i), g.output(0)});
      here.push_back(g.builder().cast(equal, g.dtype(g.output(0))));
    }
    ValueId share = g.div(g.grad(0), g.add("Sum", here));
    for (size_t i = 0; i < here.size(); ++i) {
      if (g.wants(i)) g.set(i, g.mul(share, here[i]));
    }
  }
};

struct SumRule {
  static constexpr auto function = ElementFunction::Add;
  static constexpr DTypeSet types = dtypes::floats;
  template <typename C>
  static C combine(C a, C b) {
    return a + b;
  }
  template <typename C>
  static C finish(C a, size_t) {
    return a;
  }
  static void gradient(GradientContext& g) {
    for (size_t i = 0; i < g.num_inputs(); ++i) g.set(i, g.grad(0));
  }
};

struct MeanRule {
  static constexpr DTypeSet types = dtypes::floats;
  template <typename C>
  static C combine(C a, C b) {
    return a + b;
  }
  template <typename C>
  static C finish(C a, size_t count) {
    return a / static_cast<C>(count);
  }
  static void gradient(GradientContext& g) {
    ValueId share =
        g.div(g.grad(0), g.scalar_like(static_cast<double>(g.num_inputs()), g.output(0)));
    for (size_t i = 0; i < g.num_inputs(); ++i) g.set(i, share);
  }
};

template <typename Rule>
class VariadicOp final : public Op, public ElementwiseOf<Rule> {
 public:
  void infer(InferContext& c) const override {
    infer_broadcast(c, c.dtype(0));
    if constexpr (requires(Dim d) { Rule::symbolic(d, d); }) infer_content(c);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<VariadicRows>();
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      state->rows.emplace_back(c.output(0).dims(),
                               std::array<std::span<const int64_t>, 1>{c.input(i).dims()});
    }
    return state;
  }

  void run(RunContext& c) const override {
    dispatch_numeric(c.output(0).dtype(), [&]<typename T>() {
      if constexpr (Rule::types.contains(dtype_of<T>)) {
        run_as<T>(c);
      } else {
        fail_dispatch(c.output(0).dtype(), Rule::types);
      }
    });
  }

  void gradient(GradientContext& g) const override { Rule::gradient(g); }

  OpTraits traits() const override { return {.in_place = {{0, 0}, {1, 0}}, .elementwise = true}; }

 private:
  // Block by block over all inputs, so that sums of 16-bit floats are rounded once and an input may
  // be overwritten.
  template <typename T>
  static void run_as(RunContext& c) {
    const auto& rows = c.state<VariadicRows>().rows;
    T* out = c.output(0).data<T>();
    auto piece = [&](int64_t begin, int64_t end) {
      std::array<ComputeType<T>, block> acc;
      for (int64_t at = begin; at < end; at += block) {
        int64_t stop = std::min(end, at + block);
        for (size_t k = 0; k < rows.size(); ++k)
          take(c.input(k).data<T>(), rows[k], k == 0, at, stop, acc);
        for (int64_t i = at; i < stop; ++i) {
          out[i] = static_cast<T>(Rule::finish(acc[static_cast<size_t>(i - at)], rows.size()));
        }
      }
    };
    int64_t n = c.output(0).size();
    if (n <= elementwise_grain) return piece(0, n);
    parallel_for(n, elementwise_grain, piece);
  }

  // Combines elements [at, stop) of the broadcast input into acc.
  template <typename T, typename C>
  static void take(const T* x, const BroadcastRows<1>& rows, bool first, int64_t at, int64_t stop,
                   std::array<C, block>& acc) {
    rows.for_range(at, stop, [&](int64_t from, const std::array<int64_t, 1>& in, int64_t n) {
      C* a = acc.data() + (from - at);
      const T* v = x + in[0];
      const int64_t step = rows.step(0);
      for (int64_t i = 0; i < n; ++i) {
        C value = static_cast<C>(v[i * step]);
        a[i] = first ? value : Rule::combine(a[i], value);
      }
    });
  }

  static void infer_content(InferContext& c) {
    auto total = c.content(0);
    for (size_t k = 1; k < c.num_inputs() && total; ++k) {
      auto next = c.content(k);
      if (!next || next->empty() || total->empty()) return;
      size_t n = std::max(total->size(), next->size());
      if ((total->size() != 1 && total->size() != n) || (next->size() != 1 && next->size() != n))
        return;
      std::vector<Dim> result;
      for (size_t i = 0; i < n; ++i) {
        result.push_back(Rule::symbolic((*total)[total->size() == 1 ? 0 : i],
                                        (*next)[next->size() == 1 ? 0 : i]));
      }
      total = std::move(result);
    }
    if (total) c.set_content(0, std::move(*total));
  }
};

template <typename Rule>
void add_variadic(OpRegistry& r, std::string_view name, std::string_view output,
                  std::string_view doc, std::vector<int> since, OpKind kind) {
  r.add<VariadicOp<Rule>>({.name = name,
                           .doc = doc,
                           .since = std::move(since),
                           .inputs = {{"data_0", "T", Param::Kind::Variadic}},
                           .outputs = {{output, "T"}},
                           .types = {{"T", Rule::types}},
                           .kind = kind,
                           .upgrade = drop_consumed_inputs});
}

}  // namespace

void register_variadic(OpRegistry& r) {
  add_variadic<ExtremeRule<1>>(r, "Max", "max", "the largest of all inputs, with broadcasting",
                               {1, 6, 8, 12, 13}, OpKind::Extreme);
  add_variadic<ExtremeRule<-1>>(r, "Min", "min", "the smallest of all inputs, with broadcasting",
                                {1, 6, 8, 12, 13}, OpKind::Extreme);
  add_variadic<SumRule>(r, "Sum", "sum", "the sum of all inputs, with broadcasting", {1, 6, 8, 13},
                        OpKind::Sum);
  add_variadic<MeanRule>(r, "Mean", "mean", "the mean of all inputs, with broadcasting",
                         {1, 6, 8, 13}, OpKind::Sum);
}

}  // namespace onnxrun
