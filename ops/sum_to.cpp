// onnxrun.SumTo: undoes broadcasting.
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

class SumTo final : public Op {
 public:
  OpTraits traits() const override { return {.noop_if_same_type = true}; }

  void infer(InferContext& c) const override {
    std::optional<Shape> shape;
    if (auto content = c.content(1)) {
      shape = *content;
    } else if (const Shape* s = c.shape(1); s && s->size() == 1 && (*s)[0].is_known()) {
      shape = Shape(static_cast<size_t>((*s)[0].value()));
    }
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    dispatch_float(x.dtype(), [&]<typename T>() { sum<T>(x, y); });
  }

  // Every element of x went into one sum.
  void gradient(GradientContext& g) const override {
    g.set(0, g.add("Expand", {g.grad(0), g.builder().shape_of(g.input(0))}));
  }

  // The axes to sum are those where the shapes differ, after the target's is filled up with ones.
  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    ValueId from = b.shape_of(d.input(0)), to = d.input(1);
    ValueId missing = b.add("Sub", {b.shape_of(from), b.shape_of(to)});
    ValueId ones = b.add("ConstantOfShape", {missing}, {{"value", Tensor::of<int64_t>({1}, {1})}});
    ValueId padded = b.add("Concat", {ones, to}, {{"axis", int64_t{0}}});
    ValueId differs = b.add("Not", {b.add("Equal", {from, padded})});
    ValueId axes = b.reshape(b.add("NonZero", {differs}), b.ints({-1}));
    ValueId sum = b.add("ReduceSum", {d.input(0), axes},
                        {{"keepdims", int64_t{1}}, {"noop_with_empty_axes", int64_t{1}}});
    d.set(0, b.reshape(sum, to));
  }

 private:
  template <typename T>
  static void sum(const Tensor& x, Tensor& y) {
    using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
    std::vector<C> totals(static_cast<size_t>(y.size()), C{0});
    // Each element of x adds to the element of y it was repeated from.
    size_t rank = x.dims().size(), offset = rank - y.dims().size();
    std::vector<int64_t> steps(rank, 0), index(rank, 0);
    int64_t stride = 1;
    for (size_t i = rank; i-- > offset;) {
      int64_t length = y.dims()[i - offset];
      steps[i] = length == 1 ? 0 : stride;
      stride *= length;
    }
    const T* data = x.data<T>();
    int64_t at = 0;
    for (int64_t i = 0; i < x.size(); ++i) {
      totals[static_cast<size_t>(at)] += static_cast<C>(data[i]);
      for (size_t axis = rank; axis-- > 0;) {
        at += steps[axis];
        if (++index[axis] < x.dims()[axis]) break;
        at -= steps[axis] * x.dims()[axis];
        index[axis] = 0;
      }
    }
    T* out = y.data<T>();
    for (size_t i = 0; i < totals.size(); ++i) out[i] = static_cast<T>(totals[i]);
  }
};

}  // namespace

void register_sum_to(OpRegistry& r) {
  r.add<SumTo>({.name = "SumTo",
                .domain = private_domain,
                .doc = "the sum over what broadcasting from a shape repeated",
                .since = {1},
                .inputs = {{"x", "T"}, {"shape", "I", InputRole::Setting}},
                .outputs = {{"y", "T"}},
                .types = {{"T", dtypes::floats}, {"I", DType::Int64}},
                .gradient = GradientState::Rule,
                .decomposes = true});
}

}  // namespace onnxrun
