// Compress.
#include "axis_rows.h"
#include "emit/scatter_back.h"
#include "kernels/data_movement.h"

namespace onnxrun {

namespace {

class Compress final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "axis whose slices are selected; elements without");
  }

  void infer(InferContext& c) const override {
    if (c.shape(1) && c.rank(1) != 1) c.reject("{}, expected a list", c.describe_input(1));
    if (!axis_) return c.set_output(0, c.dtype(0), Shape{Dim()});
    check_axis(c, *axis_);
    if (!c.shape(0)) return c.set_output(0, c.dtype(0));
    Shape shape = *c.shape(0);
    shape[static_cast<size_t>(normalize_axis(*axis_, c.rank(0)))] = Dim();
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  void run(RunContext& c) const override {
    const Tensor &x = c.input(0), &condition = c.input(1);
    Dims dims = axis_ ? x.dims() : Dims{x.size()};
    const AxisSplit s(dims, axis_.value_or(0));
    std::vector<int64_t> kept;
    for (int64_t i = 0; i < condition.size(); ++i) {
      if (!condition.data<uint8_t>()[i]) continue;
      if (i >= s.length) {
        fail(ErrorKind::BadInput, "condition {} is true, but there are {} slices", i, s.length);
      }
      kept.push_back(i);
    }
    auto count = static_cast<int64_t>(kept.size());
    dims[static_cast<size_t>(
        normalize_axis(axis_.value_or(0), static_cast<int64_t>(dims.size())))] = count;
    Tensor& y = c.allocate(0, x.dtype(), dims);
    dispatch_storage(x.dtype(), [&]<typename T>() {
      const T* from = storage<T>(x);
      T* to = storage<T>(y);
      for (int64_t r = 0; r < s.outer * count; ++r) {
        int64_t at = r / count * s.length + kept[static_cast<size_t>(r % count)];
        std::copy_n(from + at * s.inner, s.inner, to + r * s.inner);
      }
    });
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    Attributes attributes;
    if (axis_) attributes["axis"] = *axis_;
    g.set(0, scatter_back(g.builder(), g.builder().shape_of(g.input(0)), g.grad(0),
                          [&](ValueId numbers) {
                            return g.add("Compress", {numbers, g.input(1)}, attributes);
                          }));
  }

 private:
  std::optional<int64_t> axis_;
};

}  // namespace

void register_compress(OpRegistry& r) {
  r.add<Compress>({.name = "Compress",
                   .doc = "the slices, or elements, for which a condition is true",
                   .since = {9, 11, 28},
                   .inputs = {{"input", "T"}, {"condition", "T1"}},
                   .outputs = {{"output", "T"}},
                   .types = {{"T", dtypes::basic}, {"T1", DType::Bool}}});
}

}  // namespace onnxrun
