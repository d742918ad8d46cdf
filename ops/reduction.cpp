// ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2, ReduceSumSquare,
// ReduceLogSum, ReduceLogSumExp.
#include "kernels/reduction.h"
#include "graph/cost.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/column_sums.h"
#include "kernels/double_sums.h"
#include "kernels/vector_math.h"

namespace onnxrun {

namespace {

inline constexpr DTypeSet summable =
    dtypes::floats | DTypeSet{DType::Int32, DType::Int64, DType::UInt32, DType::UInt64};
inline constexpr DTypeSet comparable =
    summable | DTypeSet{DType::Int8, DType::UInt8} | dtypes::boolean;

// Sums of floats run in double; those of integers wrap around.
template <typename T>
using SumType = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;

template <typename T, typename Acc>
T from_sum(Acc total) {
  if constexpr (std::is_integral_v<T> || std::is_same_v<T, double>)
    return static_cast<T>(total);
  else
    return static_cast<T>(static_cast<float>(total));
}

// A gradient rule in the making: the reduced node's values, ready to broadcast against its input.
class ReduceGradient {
 public:
  ReduceGradient(GradientContext& g, bool keepdims, bool noop)
      : g_(g), keepdims_(keepdims), noop_(noop) {}

  GradientContext& g() { return g_; }
  ValueId x() { return g_.input(0); }
  ValueId y() { return restore(g_.output(0)); }
  ValueId dy() { return restore(g_.grad(0)); }
  // Another reduction of x's shape over the same axes, kept.
  ValueId reduce(std::string_view op, ValueId v) {
    std::vector<ValueId> inputs = {v};
    if (g_.has_input(1)) inputs.push_back(g_.input(1));
    return g_.add(op, inputs, {{"keepdims", int64_t{1}}, {"noop_with_empty_axes", int64_t{noop_}}});
  }
  // How many elements went into each result.
  ValueId count() {
    const Type &from = g_.type(x()), &to = g_.type(g_.output(0));
    if (from.shape && to.shape) {
      Dim results = element_count(*to.shape);
      bool empty = results.is_known() && results.value() == 0;
      Dim each = empty ? Dim(1) : floor_div(element_count(*from.shape), results);
      if (each.is_known()) return number(static_cast<double>(each.value()));
    }
    ValueId size = g_.add("Size", {g_.output(0)});
    ValueId none = g_.add("Equal", {size, g_.builder().int_scalar(0)});
    ValueId results = g_.plus(size, g_.builder().cast(none, DType::Int64));
    return g_.builder().cast(g_.div(g_.add("Size", {x()}), results), g_.dtype(x()));
  }
  ValueId number(double value) { return g_.scalar_like(value, x()); }
  void set(ValueId dx) { g_.set(0, dx); }
  ValueId expand(ValueId v) { return g_.add("Expand", {v, g_.builder().shape_of(x())}); }

 private:
  // Without axes the result is a scalar, or has lost no axis.
  ValueId restore(ValueId v) {
    return keepdims_ || !g_.has_input(1) ? v : g_.add("Unsqueeze", {v, g_.input(1)});
  }

  GradientContext& g_;
  bool keepdims_, noop_;
};

// What sums of anything are.
template <typename T>
struct SumReducer {
  using Acc = SumType<T>;
  static Acc start() { return 0; }
  static void merge(Acc& a, Acc b) { a += b; }
  static T finish(Acc a, int64_t) { return from_sum<T>(a); }
};

struct Sum {
  static constexpr DTypeSet types = summable;
  template <typename T>
  struct Reducer : SumReducer<T> {
    using Acc = SumType<T>;
    static void add(Acc& a, ComputeType<T> x) { a += static_cast<Acc>(x); }
    static void rows(const T* const* x, int64_t count, int64_t n,
                     double* sums) requires std::is_floating_point_v<T> {
      sums_in_double(x, count, n, sums);
    }
    static void add_row(double* sums, const T* x, int64_t n) requires std::is_floating_point_v<T> {
      add_to_sums(x, n, sums);
    }
  };
  static Dim symbolic(const Dim& a, const Dim& b) { return a + b; }
  static void gradient(ReduceGradient& r) { r.set(r.expand(r.dy())); }
};

struct Mean {
  static constexpr DTypeSet types = summable;
  template <typename T>
  struct Reducer : Sum::Reducer<T> {
    using Acc = SumType<T>;
    static T finish(Acc a, int64_t count) {
      if constexpr (std::is_integral_v<T>) {
        if (count == 0) return 0;
        using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
        return static_cast<T>(static_cast<Wide>(a) / static_cast<Wide>(count));
      } else {
        return from_sum<T>(a / static_cast<double>(count));
      }
    }
  };
  static void gradient(ReduceGradient& r) { r.set(r.expand(r.g().div(r.dy(), r.count()))); }
};

struct SumSquare {
  static constexpr DTypeSet types = summable;
  template <typename T>
  struct Reducer : SumReducer<T> {
    static void add(SumType<T>& a, ComputeType<T> x) {
      a += static_cast<SumType<T>>(x) * static_cast<SumType<T>>(x);
    }
  };
  static void gradient(ReduceGradient& r) {
    r.set(r.g().mul(r.dy(), r.g().mul(r.x(), r.number(2))));
  }
};

struct L1 {
  static constexpr DTypeSet types = summable;
  template <typename T>
  struct Reducer : SumReducer<T> {
    static void add(SumType<T>& a, ComputeType<T> x) {
      a +=
          static_cast<SumType<T>>(x < 0 ? -static_cast<SumType<T>>(x) : static_cast<SumType<T>>(x));
    }
  };
  static void gradient(ReduceGradient& r) { r.set(r.g().mul(r.dy(), r.g().add("Sign", {r.x()}))); }
};

struct L2 {
  static constexpr DTypeSet types = summable;
  template <typename T>
  struct Reducer {
    using Acc = double;
    static Acc start() { return 0; }
    static void add(Acc& a, ComputeType<T> x) {
      a += static_cast<double>(x) * static_cast<double>(x);
    }
    static void merge(Acc& a, Acc b) { a += b; }
    static T finish(Acc a, int64_t) { return from_sum<T>(std::sqrt(a)); }
  };
  // d|x| = x / |x| dx, and 0 at the origin.
  static void gradient(ReduceGradient& r) {
    GradientContext& g = r.g();
    ValueId norm = r.y();
    ValueId safe = g.add("Where", {g.add("Equal", {norm, r.number(0)}), r.number(1), norm});
    r.set(g.mul(r.x(), g.div(r.dy(), safe)));
  }
};

struct Prod {
  static constexpr DTypeSet types = summable;
  template <typename T>
  struct Reducer {
    using Acc = SumType<T>;
    static Acc start() { return 1; }
    static void add(Acc& a, ComputeType<T> x) { a *= static_cast<Acc>(x); }
    static void merge(Acc& a, Acc b) { a *= b; }
    static T finish(Acc a, int64_t) { return from_sum<T>(a); }
  };
  static Dim symbolic(const Dim& a, const Dim& b) { return a * b; }
  // The product of the others: with p the product of all that is not zero, p / x where no element
  // is zero, p at the zero if there is just one, else 0.
  static void gradient(ReduceGradient& r) {
    GradientContext& g = r.g();
    ValueId is_zero = g.add("Equal", {r.x(), r.number(0)});
    ValueId own = g.builder().cast(is_zero, g.dtype(r.x()));
    ValueId zeros = r.reduce("ReduceSum", own);
    ValueId safe = g.add("Where", {is_zero, r.number(1), r.x()});
    ValueId others = g.div(r.reduce("ReduceProd", safe), safe);
    ValueId all_here = g.add("Equal", {zeros, own});
    r.set(g.mul(r.dy(), g.add("Where", {all_here, others, r.number(0)})));
  }
};

// The larger (sign 1) or the smaller; NaN wins, as in numpy.
template <int sign>
struct Extreme {
  static constexpr DTypeSet types = comparable;
  template <typename T>
  struct Reducer {
    using Acc = ComputeType<T>;
    static Acc start() {
      using Limits = std::numeric_limits<Acc>;
      if constexpr (Limits::has_infinity) {
        return sign > 0 ? -Limits::infinity() : Limits::infinity();
      } else if constexpr (sign > 0) {
        return Limits::lowest();
      } else {
        return Limits::max();
      }
    }
    static void add(Acc& a, Acc x) {
      if constexpr (sign > 0) {
        a = x > a ? x : a;
      } else {
        a = x < a ? x : a;
      }
      if constexpr (std::is_floating_point_v<Acc>) a = x != x ? x : a;
    }
    static void merge(Acc& a, Acc b) { add(a, b); }
    static T finish(Acc a, int64_t) { return static_cast<T>(a); }
    static Acc row(const T* x,
                   int64_t n) requires(std::is_same_v<T, float> || std::is_same_v<T, double>) {
      return sign > 0 ? maximum(x, n) : minimum(x, n);
    }
  };
  static Dim symbolic(const Dim& a, const Dim& b) { return sign > 0 ? max(a, b) : min(a, b); }
  // As torch.amax: ties share evenly.
  static void gradient(ReduceGradient& r) {
    GradientContext& g = r.g();
    ValueId here = g.builder().cast(g.add("Equal", {r.x(), r.y()}), g.dtype(r.x()));
    r.set(g.mul(here, g.div(r.dy(), r.reduce("ReduceSum", here))));
  }
};
using Max = Extreme<1>;
using Min = Extreme<-1>;

struct LogSum {
  static constexpr DTypeSet types = dtypes::floats;
  template <typename T>
  struct Reducer : Sum::Reducer<T> {
    static T finish(double a, int64_t) { return from_sum<T>(std::log(a)); }
  };
  static void gradient(ReduceGradient& r) {
    r.set(r.expand(r.g().div(r.dy(), r.g().add("Exp", {r.y()}))));
  }
};

struct LogSumExp {
  static constexpr DTypeSet types = dtypes::floats;
  template <typename T>
  struct Reducer {
    // The sum of exp(x - largest) so far; equal elements are told apart so that infinities are.
    struct Acc {
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    };
    static Acc start() { return {}; }
    static void add(Acc& a, ComputeType<T> x) { merge(a, {static_cast<double>(x), 1}); }
    static void merge(Acc& a, const Acc& b) {
      if (b.largest == a.largest) {
        a.sum += b.sum;
      } else if (b.largest > a.largest) {
        a = {b.largest, a.sum * std::exp(a.largest - b.largest) + b.sum};
      } else {
        a.sum += b.sum * std::exp(b.largest - a.largest);
      }
    }
    static T finish(const Acc& a, int64_t) { return from_sum<T>(a.largest + std::log(a.sum)); }

    static Acc row(const T* x, int64_t n) {
      Acc total = start();
      std::array<ComputeType<T>, 256> part;
      for (int64_t at = 0; at < n; at += static_cast<int64_t>(part.size())) {
        const auto count = static_cast<size_t>(std::min<int64_t>(n - at, part.size()));
        for (size_t i = 0; i < count; ++i) part[i] = x[at + static_cast<int64_t>(i)];
        merge(total, block(part.data(), count));
      }
      return total;
    }

   private:
    // Overwrites the elements.
    static Acc block(ComputeType<T>* x, size_t n) {
      const ComputeType<T> top = maximum(x, static_cast<int64_t>(n));
      Acc sum = start();
      if (!std::isfinite(top)) {
        for (size_t i = 0; i < n; ++i) add(sum, x[i]);
        return sum;
      }
      for (size_t i = 0; i < n; ++i) x[i] -= top;
      vexp(x, x, static_cast<int64_t>(n));
      sum.largest = static_cast<double>(top);
      for (size_t i = 0; i < n; ++i) sum.sum += static_cast<double>(x[i]);
      return sum;
    }
  };
  static void gradient(ReduceGradient& r) {
    r.set(r.g().mul(r.dy(), r.g().add("Exp", {r.g().minus(r.x(), r.y())})));
  }
};

struct ReduceState final : KernelState {
  std::string_view kernel() const override { return name; }

  // None if the axes are only known when it runs.
  std::optional<ReduceLayout> layout;
  std::string_view name;
};

template <typename Rule, typename F>
void dispatch_reduced(DType dtype, const F& f) {
  auto allowed = [&]<typename T>() {
    if constexpr (Rule::types.contains(dtype_of<T>)) {
      f.template operator()<T>();
    } else {
      fail_dispatch(dtype, Rule::types);
    }
  };
  if (dtype == DType::Bool) return allowed.template operator()<bool>();
  dispatch_numeric(dtype, allowed);
}

// Which axes of a tensor of this rank `axes` names (none: all, or none at all).
std::vector<bool> reduced_axes(const std::vector<int64_t>& axes, size_t rank, bool noop) {
  if (axes.empty()) return std::vector<bool>(rank, !noop);
  std::vector<bool> reduced(rank, false);
  for (int64_t axis : axes) {
    auto i = static_cast<size_t>(normalize_axis(axis, static_cast<int64_t>(rank)));
    if (reduced[i])
      fail(ErrorKind::BadInput, "axis {} is named twice in axes {}", axis, to_string(axes));
    reduced[i] = true;
  }
  return reduced;
}

template <typename Rule>
class Reduce final : public Op {
 public:
  Count operations(const CostContext& c) const override {
    return is_float(c.input(0).dtype) ? c.elements(0) : 0;
  }

  void attributes(AttributeVisitor& v) override {
    v.visit("keepdims", keepdims_, "keep reduced axes, with length 1");
    v.visit("noop_with_empty_axes", noop_, "without axes reduce none instead of all");
  }

  void infer(InferContext& c) const override {
    if (c.has_input(1) && c.rank(1) > 1) c.reject("axes must be a list: {}", c.describe_input(1));
    c.set_output(0, c.dtype(0), output_shape(c));
    if constexpr (requires(Dim d) { Rule::symbolic(d, d); }) infer_content(c);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<ReduceState>();
    if (c.has_input(1) && !c.constant(1)) return state;
    state->layout = layout(c.input(0), c.constant(1));
    dispatch_reduced<Rule>(c.input(0).dtype(), [&]<typename T>() {
      const ReduceKernel<T>& kernel = kernel_for<T>(*state->layout);
      c.request_scratch(kernel.scratch_bytes(*state->layout));
      state->name = kernel.name;
    });
    return state;
  }

  void run(RunContext& c) const override {
    if (const auto& known = c.state<ReduceState>().layout) return run_with(c, *known, c.scratch());
    run_with(c, layout(c.input(0), &c.input(1)), nullptr);
  }

  void gradient(GradientContext& g) const override {
    ReduceGradient r(g, keepdims_, noop_);
    Rule::gradient(r);
  }

 private:
  template <typename T>
  static const ReduceKernel<T>& kernel_for(const ReduceLayout& l) {
    return chosen(reduce_kernels<typename Rule::template Reducer<T>, T>, l);
  }

  ReduceLayout layout(const Tensor& x, const Tensor* axes) const {
    std::vector<int64_t> list = axes ? to_int64s(*axes) : std::vector<int64_t>{};
    return ReduceLayout(x.dims(), reduced_axes(list, x.dims().size(), noop_));
  }

  static void run_with(RunContext& c, const ReduceLayout& l, std::byte* scratch) {
    const Tensor& x = c.input(0);
    dispatch_reduced<Rule>(x.dtype(), [&]<typename T>() {
      const ReduceKernel<T>& kernel = kernel_for<T>(l);
      std::vector<double> own;
      if (int64_t bytes = scratch ? 0 : kernel.scratch_bytes(l)) {
        own.resize(static_cast<size_t>(bytes) / sizeof(double) + 1);
        scratch = reinterpret_cast<std::byte*>(own.data());
      }
      kernel.run(l, x.data<T>(), c.output(0).data<T>(), scratch);
    });
  }

  std::optional<Shape> output_shape(InferContext& c) const {
    std::optional<std::vector<int64_t>> axes = std::vector<int64_t>{};
    if (c.has_input(1)) axes = c.ints(1);
    if (!c.shape(0)) {
      bool scalar = axes && axes->empty() && !noop_ && !keepdims_;
      return scalar ? std::optional(Shape{}) : std::nullopt;
    }
    const Shape& x = *c.shape(0);
    if (!axes) return keepdims_ ? std::optional(Shape(x.size())) : std::nullopt;
    std::vector<bool> reduced = reduced_axes(*axes, x.size(), noop_);
    Shape shape;
    for (size_t i = 0; i < x.size(); ++i) {
      if (!reduced[i]) shape.push_back(x[i]);
      if (reduced[i] && keepdims_) shape.push_back(1);
    }
    return shape;
  }

  // Reductions of shapes give lengths.
  void infer_content(InferContext& c) const {
    auto elements = c.content(0);
    auto axes = c.has_input(1) ? c.ints(1) : std::vector<int64_t>{};
    if (!elements || elements->empty() || !axes || c.rank(0) < 0) return;
    bool reduces = c.rank(0) == 1 && (!axes->empty() || !noop_);
    if (!reduces) return c.set_content(0, std::move(*elements));
    Dim total = (*elements)[0];
    for (size_t i = 1; i < elements->size(); ++i) total = Rule::symbolic(total, (*elements)[i]);
    c.set_content(0, {total});
  }

  bool keepdims_ = true;
  bool noop_ = false;
};

// The axes were an attribute before `input_since`.
template <int input_since>
void upgrade_axes(UpgradeContext& u) {
  if (u.opset() < input_since) u.attribute_to_input("axes", 1);
}

// Before opset 28 integers were allowed; they are reduced in double.
template <bool exponential>
void upgrade_log(UpgradeContext& u) {
  upgrade_axes<18>(u);
  DType dtype = u.type(u.input(0)).dtype;
  if (u.opset() >= 28 || !is_integer(dtype)) return;
  GraphBuilder& b = u.builder();
  std::vector<ValueId> inputs = u.inputs();
  inputs[0] = b.cast(inputs[0], DType::Float64);
  ValueId y = b.add(exponential ? "ReduceLogSumExp" : "ReduceLogSum", inputs, u.attributes());
  u.replace({b.cast(y, dtype)});
}

template <typename Rule>
void add_reduction(OpRegistry& r, std::string_view name, std::string_view doc,
                   std::vector<int> since, void (*upgrade)(UpgradeContext&) = upgrade_axes<18>,
                   OpKind kind = OpKind::Other) {
  r.add<Reduce<Rule>>(
      {.name = name,
       .doc = doc,
       .since = std::move(since),
       .inputs = {{"data", "T"},
                  {"axes", "tensor(int64)", Param::Kind::Optional, InputRole::Setting}},
       .outputs = {{"reduced", "T"}},
       .types = {{"T", Rule::types}, {"tensor(int64)", DType::Int64}},
       .kind = kind,
       .upgrade = upgrade});
}

}  // namespace

void register_reduction(OpRegistry& r) {
  add_reduction<Sum>(r, "ReduceSum", "the sum over axes", {1, 11, 13}, upgrade_axes<13>,
                     OpKind::Reduction);
  add_reduction<Mean>(r, "ReduceMean", "the mean over axes", {1, 11, 13, 18}, upgrade_axes<18>,
                      OpKind::Reduction);
  add_reduction<Max>(r, "ReduceMax", "the largest element over axes", {1, 11, 12, 13, 18, 20});
  add_reduction<Min>(r, "ReduceMin", "the smallest element over axes", {1, 11, 12, 13, 18, 20});
  add_reduction<Prod>(r, "ReduceProd", "the product over axes", {1, 11, 13, 18});
  add_reduction<L1>(r, "ReduceL1", "the sum of absolute values over axes", {1, 11, 13, 18});
  add_reduction<L2>(r, "ReduceL2", "the Euclidean norm over axes", {1, 11, 13, 18},
                    upgrade_axes<18>, OpKind::Norm);
  add_reduction<SumSquare>(r, "ReduceSumSquare", "the sum of squares over axes", {1, 11, 13, 18},
                           upgrade_axes<18>, OpKind::Reduction);
  add_reduction<LogSum>(r, "ReduceLogSum", "the logarithm of the sum over axes",
                        {1, 11, 13, 18, 28}, upgrade_log<false>);
  add_reduction<LogSumExp>(r, "ReduceLogSumExp", "the logarithm of the sum of e^x over axes",
                           {1, 11, 13, 18, 28}, upgrade_log<true>);
}

}  // namespace onnxrun
