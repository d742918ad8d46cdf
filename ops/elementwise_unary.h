// The family of elementwise operators of one input.
#pragma once

#include <array>

#include "graph/element_function.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/limited_product.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/array_functions.h"
#include "kernels/broadcast.h"

namespace onnxrun {

// Calls apply(x, y, n) on arrays of ComputeType<T> until all `n` elements are done, in parallel
// where there are many. y may be x.
template <typename T, typename F>
void unary_loop(const T* x, T* y, int64_t n, const F& apply) {
  auto piece = [&](int64_t begin, int64_t end) {
    if constexpr (std::is_same_v<T, ComputeType<T>>) {
      apply(x + begin, y + begin, end - begin);
    } else {
      std::array<ComputeType<T>, 256> block;
      for (int64_t at = begin; at < end;) {
        int64_t count = std::min<int64_t>(end - at, block.size());
        for (int64_t i = 0; i < count; ++i) block[static_cast<size_t>(i)] = x[at + i];
        apply(block.data(), block.data(), count);
        for (int64_t i = 0; i < count; ++i)
          y[at + i] = static_cast<T>(block[static_cast<size_t>(i)]);
        at += count;
      }
    }
  };
  if (n <= elementwise_grain) return piece(0, n);
  parallel_for(n, elementwise_grain, piece);
}

template <typename Rule>
concept HasFunction = requires {
  Rule::function;
};

// What a rule's operator says of its function, if it has one.
template <typename Rule>
struct ElementwiseOf {};
template <HasFunction Rule>
struct ElementwiseOf<Rule> : Elementwise {
  ElementFunction element_function() const override { return Rule::function; }
};

template <typename Rule>
concept HasLowerBound = requires {
  Rule::lower_bound;
};

// What a rule's operator says of its bounds, if it limits its input.
template <typename Rule>
struct LimitsOf {};
template <HasLowerBound Rule>
struct LimitsOf<Rule> : LimitsInput {
  Bounds bounds(const std::vector<ValueId>&) const override {
    return {.low = {.number = Rule::lower_bound}};
  }
};

// y = f(x). A Rule has
//   static constexpr DTypeSet types;                              what it computes
//   template <typename T> void apply(const T*, T*, int64_t) const  on arrays, or
//   template <typename T> T one(T) const                           on one element
//   static constexpr ElementFunction function                      if it is one of these
//   static constexpr double lower_bound                            if that is all it does
// and, where there is one,
//   void gradient(GradientContext&) const;
//   void attributes(AttributeVisitor&);
//   Dim content(const Dim&) const                                  on a symbolic length.
template <typename Rule>
class UnaryOp final : public Op, public ElementwiseOf<Rule>, public LimitsOf<Rule> {
 public:
  void attributes(AttributeVisitor& v) override {
    if constexpr (requires { rule_.attributes(v); }) rule_.attributes(v);
  }

  void infer(InferContext& c) const override {
    infer_same(c);
    if constexpr (requires { rule_.check(c); }) rule_.check(c);
    if constexpr (requires(Dim d) { rule_.content(d); }) {
      if (auto elements = c.content(0)) {
        for (Dim& d : *elements) d = rule_.content(d);
        c.set_content(0, std::move(*elements));
      }
    }
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    dispatch_numeric(x.dtype(), [&]<typename T>() {
      if constexpr (Rule::types.contains(dtype_of<T>)) {
        unary_loop(
            x.data<T>(), c.output(0).data<T>(), x.size(),
            [this]<typename C>(const C* from, C* to, int64_t n) { this->apply(from, to, n); });
      } else {
        fail_dispatch(x.dtype(), Rule::types);
      }
    });
  }

  void gradient(GradientContext& g) const override {
    if constexpr (requires { rule_.gradient(g); }) {
      rule_.gradient(g);
    } else {
      Op::gradient(g);
    }
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}}, .elementwise = true}; }

 private:
  template <typename C>
  [[gnu::flatten]] void apply(const C* x, C* y, int64_t n) const {
    if constexpr (requires { rule_.apply(x, y, n); }) {
      rule_.apply(x, y, n);
    } else if constexpr (HasFunction<Rule> && std::is_floating_point_v<C>) {
      const void* operand = x;
      array_function<C>(Rule::function)(&operand, 0, y, n);
    } else {
      const Rule rule = rule_;
      for (int64_t i = 0; i < n; ++i) y[i] = rule.one(x[i]);
    }
  }

  Rule rule_;
};

// The part of a Rule that is one of the functions of kernels/vector_math.h, named for both types.
template <void (*Float)(const float*, float*, int64_t),
          void (*Double)(const double*, double*, int64_t)>
struct VectorRule {
  static constexpr DTypeSet types = dtypes::floats;
  void apply(const float* x, float* y, int64_t n) const { Float(x, y, n); }
  void apply(const double* x, double* y, int64_t n) const { Double(x, y, n); }
};

// What distinguishes one operator of the family from another in its spec.
struct UnarySpec {
  std::string_view name;
  std::string_view doc;
  std::vector<int> since;
  std::string_view input = "X";
  std::string_view output = "Y";
  void (*upgrade)(UpgradeContext&) = nullptr;
  OpKind kind = OpKind::Other;
  Meaning meaning = Meaning::Any;
};

// Opset 1 of many operators named inputs that may be overwritten; nothing follows from it.
inline void drop_consumed_inputs(UpgradeContext& u) {
  u.take<std::vector<int64_t>>("consumed_inputs");
}

template <typename Rule>
void add_unary(OpRegistry& r, UnarySpec s) {
  constexpr bool differentiable = requires(Rule rule, GradientContext & g) { rule.gradient(g); };
  r.add<UnaryOp<Rule>>(
      {.name = s.name,
       .doc = s.doc,
       .since = std::move(s.since),
       .inputs = {{s.input, "T"}},
       .outputs = {{s.output, "T"}},
       .types = {{"T", Rule::types}},
       .kind = s.kind,
       .meaning = s.meaning,
       .gradient = differentiable ? GradientState::Rule : GradientState::NotDifferentiable,
       .upgrade = s.upgrade ? s.upgrade : drop_consumed_inputs});
}

template <typename Rule>
void add_activation(OpRegistry& r, UnarySpec s, Meaning meaning = Meaning::Any) {
  s.kind = OpKind::Activation;
  s.meaning = meaning;
  add_unary<Rule>(r, std::move(s));
}

}  // namespace onnxrun
