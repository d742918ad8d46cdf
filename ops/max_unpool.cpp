// MaxUnpool.
#include "kernels/composed.h"
#include "kernels/shape_rules.h"
#include "kernels/window.h"

namespace onnxrun {

namespace {

constexpr int64_t max_size = int64_t{1} << 40;

class MaxUnpool final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.required("kernel_shape", kernel_, "of the pool that is undone");
    v.visit("pads", pads_, "of that pool, before all axes, then behind all");
    v.visit("strides", strides_, "of that pool");
  }

  void infer(InferContext& c) const override {
    WindowAttributes window;
    window.kernel_shape = kernel_;
    window.pads = pads_;
    window.strides = strides_;
    window.check(kernel_.size());
    const Shape* x = c.shape(0);
    if (x && c.shape(1) && !compatible(c.type(1), Type::tensor(DType::Int64, *x))) {
      c.reject("{} does not go with {}", c.describe_input(1), c.describe_input(0));
    }
    std::optional<Shape> wanted;
    if (c.has_input(2)) wanted = requested_lengths(c, 2);
    if (!x) return c.set_output(0, c.dtype(0), wanted);
    if (x->size() != kernel_.size() + 2) {
      c.reject("{} for a kernel of {} axes", c.describe_input(0), kernel_.size());
    }
    Shape own = unpooled(*x);
    for (const Dim& d : own) {
      if (d.is_known() && (d.value() < 0 || d.value() > max_size)) {
        c.reject("the output would be {}", to_string(own));
      }
    }
    if (!c.has_input(2)) return c.set_output(0, c.dtype(0), std::move(own));
    if (!wanted) return c.set_output(0, c.dtype(0), unknown_shape(c.rank(0)));
    bool fits = wanted->size() == own.size();
    for (size_t i = 0; fits && i < own.size(); ++i) {
      fits =
          !own[i].is_known() || !(*wanted)[i].is_known() || own[i].value() <= (*wanted)[i].value();
    }
    if (!fits) c.reject("output_shape {} does not hold {}", to_string(*wanted), to_string(own));
    c.set_output(0, c.dtype(0), std::move(wanted));
  }

  // Each element at its index in the pooled image, which may lie in a larger one.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0), flat = e.b.ints({-1});
    auto n = kernel_.size();
    std::vector<int64_t> strides = strides_.value_or(std::vector<int64_t>(n, 1)), rest;
    for (size_t i = 0; i < n; ++i) rest.push_back(kernel_[i] - padding(i) - strides[i]);
    ValueId space = e.add(e.mul(e.dims(x, 2), e.b.ints(strides)), e.b.ints(rest));
    ValueId shape = e.concat({e.dims(x, 0, 2), space});
    ValueId zeros = e.fill(0, d.dtype(x), e.product(shape));
    ValueId y = e("ScatterElements", {zeros, e.b.reshape(d.input(1), flat), e.b.reshape(x, flat)});
    y = e.b.reshape(y, shape);
    if (!d.has_input(2)) return d.set(0, y);
    ValueId more = e.sub(d.input(2), shape);
    d.set(0, e("Pad", {y, e.concat({e.sub(more, more), more})}));
  }

 private:
  int64_t padding(size_t i) const { return pads_ ? (*pads_)[i] + (*pads_)[i + kernel_.size()] : 0; }

  Shape unpooled(const Shape& x) const {
    Shape y = {x[0], x[1]};
    for (size_t i = 0; i < kernel_.size(); ++i) {
      if (x[i + 2].is_known() &&
          x[i + 2].value() > max_size / ((strides_ ? (*strides_)[i] : 1) + 1)) {
        fail(ErrorKind::BadInput, "the output would be too large");
      }
      y.push_back((x[i + 2] - Dim(1)) * Dim(strides_ ? (*strides_)[i] : 1) +
                  Dim(kernel_[i] - padding(i)));
    }
    return y;
  }

  std::vector<int64_t> kernel_;
  std::optional<std::vector<int64_t>> pads_, strides_;
};

}  // namespace

void register_max_unpool(OpRegistry& r) {
  r.add<MaxUnpool>(
      {.name = "MaxUnpool",
       .doc = "maxima put back where a MaxPool found them, zeros elsewhere",
       .since = {9, 11, 22},
       .inputs = {{"X", "T1"}, {"I", "T2"}, {"output_shape", "T2", Param::Kind::Optional}},
       .outputs = {{"output", "T1"}},
       .types = {{"T1", dtypes::floats}, {"T2", DType::Int64}},
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace onnxrun
