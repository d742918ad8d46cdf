// OneHot.
#include <algorithm>
#include <cmath>

#include "graph/gradient_context.h"
#include "graph/run_context.h"
#include "kernels/data_movement.h"
#include "kernels/scalar.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

class OneHot final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "where the new axis goes");
  }

  void infer(InferContext& c) const override {
    if (const Shape* values = c.shape(2)) {
      bool two = values->size() == 1 && (!(*values)[0].is_known() || (*values)[0].value() == 2);
      if (!two) c.reject("{}, expected [off, on]", c.describe_input(2));
    }
    if (!c.shape(0)) return c.set_output(0, c.dtype(2));
    Shape out = *c.shape(0);
    int64_t axis = checked_axis(c, axis_, c.rank(0) + 1);
    out.insert(out.begin() + axis, depth(c));
    c.set_output(0, c.dtype(2), std::move(out));
  }

  void run(RunContext& c) const override {
    const Tensor &indices = c.input(0), &values = c.input(2);
    Tensor& out = c.output(0);
    auto axis = static_cast<size_t>(normalize_axis(axis_, out.rank()));
    const int64_t depth = out.dims()[axis];
    if (out.size() == 0) return;
    int64_t inner = 1;
    for (size_t i = axis + 1; i < out.dims().size(); ++i) inner *= out.dims()[i];
    dispatch<int64_t, int32_t, float, double, float16, uint8_t, int8_t, uint16_t, int16_t, uint32_t,
             uint64_t>(indices.dtype(), [&]<typename I>() {
      const I* index = indices.data<I>();
      dispatch_storage(out.dtype(), [&]<typename T>() {
        const T *off = storage<T>(values), *on = off + 1;
        T* y = storage<T>(out);
        std::fill_n(y, out.size(), *off);
        for (int64_t i = 0; i < indices.size(); ++i) {
          int64_t at = place(index[i], depth);
          if (at >= 0) y[(i / inner * depth + at) * inner + i % inner] = *on;
        }
      });
    });
  }

  // y = off + (on - off) [index = place]
  void gradient(GradientContext& g) const override {
    if (!g.wants(2)) return;
    GraphBuilder& b = g.builder();
    ValueId unit = b.constant(convert(Tensor::of<float>({2}, {0, 1}), g.dtype(g.grad(0))));
    ValueId hot = g.add("OneHot", {g.input(0), g.input(1), unit}, {{"axis", axis_}});
    auto sum = [&](ValueId v) { return b.reshape(g.add("ReduceSum", {v}), b.ints({1})); };
    ValueId on = sum(g.mul(g.grad(0), hot)), all = sum(g.grad(0));
    g.set(2, g.add("Concat", {g.minus(all, on), on}, {{"axis", int64_t{0}}}));
  }

 private:
  static Dim depth(const InferContext& c) {
    if (auto content = c.content(1); content && content->size() == 1)
      return checked(c, (*content)[0]);
    if (!c.constant(1)) return Dim();
    return checked(c, Dim(scalar_of<int64_t>(*c.constant(1), "depth")));
  }

  static Dim checked(const InferContext& c, const Dim& depth) {
    if (depth.is_known() && depth.value() < 0) c.reject("depth is {}", depth.value());
    return depth;
  }

  // Indices out of [-depth, depth) point nowhere.
  template <typename I>
  static int64_t place(I index, int64_t depth) {
    int64_t at = -1;
    if constexpr (std::is_same_v<I, uint64_t>) {
      return index < static_cast<uint64_t>(depth) ? static_cast<int64_t>(index) : -1;
    } else if constexpr (std::is_integral_v<I>) {
      at = static_cast<int64_t>(index);
    } else {
      double wide = static_cast<double>(index);
      if (!(std::abs(wide) <= static_cast<double>(depth))) return -1;
      at = static_cast<int64_t>(wide);
    }
    if (at < 0) at = at < -depth ? -1 : at + depth;
    return at < depth ? at : -1;
  }

  int64_t axis_ = -1;
};

constexpr DTypeSet counts = dtypes::numeric - DTypeSet(DType::BFloat16);

}  // namespace

void register_one_hot(OpRegistry& r) {
  r.add<OneHot>({.name = "OneHot",
                 .doc = "a new axis that is `on` at the place an index names, else `off`",
                 .since = {9, 11, 28},
                 .inputs = {{"indices", "T1"},
                            {"depth", "T2", InputRole::Setting},
                            {"values", "T3", InputRole::Setting}},
                 .outputs = {{"output", "T3"}},
                 .types = {{"T1", counts}, {"T2", counts}, {"T3", dtypes::basic}}});
}

}  // namespace onnxrun
