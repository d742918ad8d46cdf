// ScatterElements, Scatter (its name before opset 11), ScatterND.
#include <cmath>

#include "graph/gradient_context.h"
#include "graph/run_context.h"
#include "kernels/index_places.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

template <typename C>
C larger(C a, C b) {
  // NaN wins, as in NumPy.
  return a != a || a > b ? a : b;
}
template <typename C>
C smaller(C a, C b) {
  return a != a || a < b ? a : b;
}

template <typename C>
C wrapping_product(C a, C b) {
  if constexpr (std::is_integral_v<C>) {
    return static_cast<C>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  } else {
    return a * b;
  }
}
template <typename C>
C wrapping_sum(C a, C b) {
  if constexpr (std::is_integral_v<C>) {
    return static_cast<C>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  } else {
    return a + b;
  }
}

// What both operators do once they know the places.
template <typename Places>
class ScatterOp : public Op {
 public:
  OpTraits traits() const override { return {.in_place = {{0, 0}}}; }

  void run(RunContext& c) const override {
    if (!c.input(0).same_buffer(c.output(0))) copy_elements(c.input(0), c.output(0));
    dispatch<int64_t, int32_t>(c.input(1).dtype(), [&]<typename I>() {
      const I* indices = c.input(1).data<I>();
      if (reduction_ == "none") return replace(c, indices);
      dispatch_numeric(c.output(0).dtype(), [&]<typename T>() {
        using C = ComputeType<T>;
        if (reduction_ == "add") return combine<T>(c, indices, wrapping_sum<C>);
        if (reduction_ == "mul") return combine<T>(c, indices, wrapping_product<C>);
        if (reduction_ == "max") return combine<T>(c, indices, larger<C>);
        combine<T>(c, indices, smaller<C>);
      });
    });
  }

  void gradient(GradientContext& g) const override {
    if (reduction_ == "mul") return gradient_of_product(g);
    if (reduction_ == "max" || reduction_ == "min") return gradient_of_extremum(g);
    ValueId dy = g.grad(0);
    if (g.wants(2)) g.set(2, gather(g, dy));
    if (!g.wants(0)) return;
    bool replaced = reduction_ == "none";
    g.set(0, replaced ? scatter(g, dy, g.builder().zeros_like(g.input(2)), "none") : dy);
  }

 protected:
  void visit_reduction(AttributeVisitor& v) {
    v.visit("reduction", reduction_,
            "how updates meet what is there: 'none' (they replace it), 'add', 'mul', 'max', 'min'");
  }

  void check_reduction(const InferContext& c) const {
    bool known = reduction_ == "none" || reduction_ == "add" || reduction_ == "mul" ||
                 reduction_ == "max" || reduction_ == "min";
    if (!known)
      c.reject("reduction is '{}', expected 'none', 'add', 'mul', 'max' or 'min'", reduction_);
    if (reduction_ != "none" && !dtypes::numeric.contains(c.dtype(0))) {
      c.reject("reduction '{}' needs numbers: {}", reduction_, c.describe_input(0));
    }
  }

  // The operator itself and its gathering counterpart, on other values.
  virtual ValueId scatter(GradientContext& g, ValueId data, ValueId updates,
                          const std::string& how) const = 0;
  virtual ValueId gather(GradientContext& g, ValueId data) const = 0;

 private:
  template <typename I>
  static void replace(RunContext& c, const I* indices) {
    const Places& places = c.state<PlacesState<Places>>().places;
    dispatch_storage(c.output(0).dtype(), [&]<typename T>() {
      T* out = storage<T>(c.output(0));
      const T* updates = storage<T>(c.input(2));
      const int64_t block = places.block();
      places.for_each(indices, 0, places.count(), [&](int64_t k, int64_t at) {
        std::copy_n(updates + k * block, block, out + at);
      });
    });
  }

  template <typename T, typename I, typename F>
  static void combine(RunContext& c, const I* indices, F f) {
    using C = ComputeType<T>;
    const Places& places = c.state<PlacesState<Places>>().places;
    T* out = c.output(0).data<T>();
    const T* updates = c.input(2).data<T>();
    const int64_t block = places.block();
    places.for_each(indices, 0, places.count(), [&](int64_t k, int64_t at) {
      for (int64_t i = 0; i < block; ++i) {
        out[at + i] =
            static_cast<T>(f(static_cast<C>(out[at + i]), static_cast<C>(updates[k * block + i])));
      }
    });
  }

  // Equal extrema share the cotangent, as in PyTorch.
  void gradient_of_extremum(GradientContext& g) const {
    ValueId dy = g.grad(0), y = g.output(0);
    DType dtype = g.dtype(dy);
    auto indicator = [&](ValueId a, ValueId b) {
      return g.builder().cast(g.add("Equal", {a, b}), dtype);
    };
    ValueId from_data = indicator(g.input(0), y),
            from_updates = indicator(g.input(2), gather(g, y));
    ValueId share = g.div(dy, scatter(g, from_data, from_updates, "add"));
    if (g.wants(0)) g.set(0, g.mul(from_data, share));
    if (g.wants(2)) g.set(2, g.mul(from_updates, gather(g, share)));
  }

  // Of y = x prod u: dx = dy prod u, du = dy y / u. A factor of zero is put as one where its own
  // derivative is asked for; with two zeros among the updates of a place all its derivatives are 0.
  void gradient_of_product(GradientContext& g) const {
    ValueId dy = g.grad(0), data = g.input(0), updates = g.input(2);
    ValueId one = g.scalar_like(1, dy), zero = g.scalar_like(0, dy);
    if (g.wants(0)) {
      ValueId ones = g.add("Expand", {one, g.builder().shape_of(data)});
      g.set(0, g.mul(dy, scatter(g, ones, updates, "mul")));
    }
    if (!g.wants(2)) return;
    auto count = [&](ValueId flags) {
      ValueId numbers = g.builder().cast(flags, g.dtype(dy));
      return gather(g, scatter(g, g.builder().zeros_like(data), numbers, "add"));
    };
    ValueId is_zero = g.add("Equal", {updates, zero});
    ValueId zeros = count(is_zero);
    ValueId own = g.builder().cast(is_zero, g.dtype(dy));
    // Zero only if none of the others is: the product of all that are not zero, over its own
    // factor.
    ValueId rest = scatter(g, data, g.add("Where", {is_zero, one, updates}), "mul");
    ValueId others = g.div(gather(g, rest), g.add("Where", {is_zero, one, updates}));
    ValueId alone = g.builder().cast(g.add("Equal", {zeros, own}), g.dtype(dy));
    g.set(2, g.mul(g.mul(gather(g, dy), others), alone));
  }

  std::string reduction_ = "none";
};

class ScatterElements final : public ScatterOp<ElementPlaces> {
 public:
  explicit ScatterElements(bool has_reduction) : has_reduction_(has_reduction) {}

  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "the axis that is indexed");
    if (has_reduction_) visit_reduction(v);
  }

  void infer(InferContext& c) const override {
    check_reduction(c);
    const Shape *data = c.shape(0), *indices = c.shape(1), *updates = c.shape(2);
    if (data) checked_axis(c, axis_, c.rank(0));
    if (data && indices) check_element_indices(c, *data, *indices, axis_);
    if (indices && updates &&
        !compatible(Type::tensor(DType::Float32, *indices),
                    Type::tensor(DType::Float32, *updates))) {
      c.reject("indices and updates differ: {}, {}", c.describe_input(1), c.describe_input(2));
    }
    infer_same(c);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return std::make_unique<PlacesState<ElementPlaces>>(
        ElementPlaces(c.input(0).dims(), c.input(1).dims(), axis_));
  }

 private:
  ValueId scatter(GradientContext& g, ValueId data, ValueId updates,
                  const std::string& how) const override {
    return g.add("ScatterElements", {data, g.input(1), updates},
                 {{"axis", axis_}, {"reduction", how}});
  }
  ValueId gather(GradientContext& g, ValueId data) const override {
    return g.add("GatherElements", {data, g.input(1)}, {{"axis", axis_}});
  }

  bool has_reduction_;
  int64_t axis_ = 0;
};

class ScatterND final : public ScatterOp<TuplePlaces> {
 public:
  void attributes(AttributeVisitor& v) override { visit_reduction(v); }

  void infer(InferContext& c) const override {
    check_reduction(c);
    const Shape *data = c.shape(0), *indices = c.shape(1), *updates = c.shape(2);
    if (data && indices) {
      if (indices->empty()) c.reject("indices are a scalar, expected tuples");
      if (indices->back().is_known()) check_tuples(c, *data, *indices, updates);
    }
    infer_same(c);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return std::make_unique<PlacesState<TuplePlaces>>(
        TuplePlaces(c.input(0).dims(), c.input(1).dims(), 0));
  }

 private:
  static void check_tuples(const InferContext& c, const Shape& data, const Shape& indices,
                           const Shape* updates) {
    int64_t tuple = indices.back().value();
    if (tuple < 0 || tuple > static_cast<int64_t>(data.size())) {
      c.reject("a tuple of {} indices does not fit {}", tuple, c.describe_input(0));
    }
    Shape expected(indices.begin(), indices.end() - 1);
    expected.insert(expected.end(), data.begin() + tuple, data.end());
    if (updates && !compatible(Type::tensor(DType::Float32, expected),
                               Type::tensor(DType::Float32, *updates))) {
      c.reject("{}, expected {}", c.describe_input(2), to_string(expected));
    }
  }

  ValueId scatter(GradientContext& g, ValueId data, ValueId updates,
                  const std::string& how) const override {
    return g.add("ScatterND", {data, g.input(1), updates}, {{"reduction", how}});
  }
  ValueId gather(GradientContext& g, ValueId data) const override {
    return g.add("GatherND", {data, g.input(1)});
  }
};

}  // namespace

void register_scatter(OpRegistry& r) {
  r.add({.name = "ScatterElements",
         .doc = "the data, with updates put at an index each along an axis",
         .since = {11, 13, 16, 18},
         .inputs = {{"data", "T"}, {"indices", "Tind", InputRole::Index}, {"updates", "T"}},
         .outputs = {{"output", "T"}},
         .types = {{"T", dtypes::basic}, {"Tind", dtypes::index}},
         .kind = OpKind::Move},
        [] { return std::make_shared<ScatterElements>(true); });
  r.add({.name = "Scatter",
         .doc = "ScatterElements under its first name",
         .since = {9, 11},
         .inputs = {{"data", "T"}, {"indices", "Tind", InputRole::Index}, {"updates", "T"}},
         .outputs = {{"output", "T"}},
         .types = {{"T", dtypes::basic - DTypeSet(DType::BFloat16)}, {"Tind", dtypes::index}},
         .kind = OpKind::Move},
        [] { return std::make_shared<ScatterElements>(false); });
  r.add<ScatterND>({.name = "ScatterND",
                    .doc = "the data, with updates put where tuples of indices say",
                    .since = {11, 13, 16, 18},
                    .inputs = {{"data", "T"},
                               {"indices", "tensor(int64)", InputRole::Setting},
                               {"updates", "T"}},
                    .outputs = {{"output", "T"}},
                    .types = {{"T", dtypes::basic}, {"tensor(int64)", DType::Int64}},
                    .kind = OpKind::Move});
}

}  // namespace onnxrun
