// LRN, LpNormalization, MeanVarianceNormalization and GlobalLpPool, by decomposition.
#include "graph/upgrade_context.h"
#include "kernels/composed.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// x / norm, 0 where the norm is.
ValueId divide_or_zero(const Emit& e, ValueId x, ValueId norm) {
  ValueId zero = e.scalar(0, x), is_zero = e.equal(norm, zero);
  return e.where(is_zero, zero, e.div(x, e.where(is_zero, e.scalar(1, x), norm)));
}

// Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks".
class Lrn final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("alpha", alpha_, "factor of the mean square");
    v.visit("beta", beta_, "exponent");
    v.visit("bias", bias_, "added to the mean square");
    v.required("size", size_, "channels that are summed over");
  }

  void infer(InferContext& c) const override {
    if (size_ < 1) c.reject("attribute 'size' is {}, expected at least 1", size_);
    if (c.shape(0) && c.rank(0) < 2) {
      c.reject("{}, expected images and channels", c.describe_input(0));
    }
    infer_same(c);
  }

  // The channels' window slides over [N, 1, C, rest]; squares beyond the ends are zeros.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0), one = e.b.ints({1});
    ValueId shape = e.concat({e.dims(x, 0, 1), one, e.dims(x, 1, 2), e.product(e.dims(x, 2))});
    ValueId squares = e.b.reshape(e.mul(x, x), shape);
    std::vector<int64_t> pads = {(size_ - 1) / 2, 0, size_ / 2, 0};
    ValueId mean = e("AveragePool", {squares},
                     {{"kernel_shape", std::vector<int64_t>{size_, 1}},
                      {"pads", pads},
                      {"count_include_pad", int64_t{1}}});
    ValueId scale = e.add(e.scalar(bias_, x), e.mul(e.scalar(alpha_, x), mean));
    d.set(0, e.div(x, e.b.reshape_like(power(e, scale), x)));
  }

 private:
  ValueId power(const Emit& e, ValueId scale) const {
    if (beta_ != 0.75f) return e("Pow", {scale, e.scalar(beta_, scale)});
    // What nearly all nets have; roots are cheaper.
    ValueId root = e("Sqrt", {scale});
    return e.mul(root, e("Sqrt", {root}));
  }

  float alpha_ = 1e-4f, beta_ = 0.75f, bias_ = 1;
  int64_t size_ = 0;
};

class LpNormalization final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "axis whose norm becomes 1");
    v.visit("p", p_, "which norm: 1 or 2");
  }

  void infer(InferContext& c) const override {
    if (p_ != 1 && p_ != 2) c.reject("attribute 'p' is {}, expected 1 or 2", p_);
    if (c.shape(0)) checked_axis(c, axis_, c.rank(0));
    infer_same(c);
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0);
    d.set(0, divide_or_zero(e, x, e.reduce(p_ == 1 ? "ReduceL1" : "ReduceL2", x, {axis_}, true)));
  }

 private:
  int64_t axis_ = -1, p_ = 2;
};

class MeanVarianceNormalization final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axes", axes_, "axes that mean and variance are taken over");
  }

  void infer(InferContext& c) const override {
    if (c.shape(0)) checked_axes(c, axes_, c.rank(0));
    infer_same(c);
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0);
    ValueId centred = e.sub(x, e.reduce("ReduceMean", x, axes_, true));
    ValueId variance = e.reduce("ReduceMean", e.mul(centred, centred), axes_, true);
    // The standard's function body.
    d.set(0, e.div(centred, e.add(e("Sqrt", {variance}), e.scalar(1e-9, x))));
  }

 private:
  std::vector<int64_t> axes_ = {0, 2, 3};
};

class GlobalLpPool final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override { v.visit("p", p_, "which norm"); }

  void infer(InferContext& c) const override {
    if (p_ < 1) c.reject("attribute 'p' is {}, expected at least 1", p_);
    if (!c.shape(0)) return c.set_output(0, c.dtype(0));
    Shape shape = *c.shape(0);
    if (shape.size() < 3) {
      c.reject("{}, expected images, channels and axes to pool", c.describe_input(0));
    }
    std::fill(shape.begin() + 2, shape.end(), Dim(1));
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0);
    ValueId rows = e.b.reshape(x, e.concat({e.dims(x, 0, 2), e.product(e.dims(x, 2))}));
    ValueId ones = e.fill(1, DType::Int64, e.b.shape_of(e.dims(x, 2)));
    d.set(0, e.b.reshape(norm(e, rows), e.concat({e.dims(x, 0, 2), ones})));
  }

 private:
  ValueId norm(const Emit& e, ValueId x) const {
    if (p_ <= 2) return e.reduce(p_ == 1 ? "ReduceL1" : "ReduceL2", x, {2}, true);
    ValueId p = e.scalar(static_cast<double>(p_), x), zero = e.scalar(0, x);
    ValueId sum = e.reduce("ReduceSum", e("Pow", {e("Abs", {x}), p}), {2}, true);
    // The root has no derivative at zero, where none flows.
    ValueId is_zero = e.equal(sum, zero), one = e.scalar(1, x);
    ValueId root = e("Pow", {e.where(is_zero, one, sum), e.div(one, p)});
    return e.where(is_zero, zero, root);
  }

  int64_t p_ = 2;
};

// p was a floating-point number in opset 1.
void upgrade_global_lp_pool(UpgradeContext& u) {
  if (u.opset() >= 2) return;
  auto p = u.take<float>("p");
  if (!p) return;
  if (*p != std::floor(*p) || !(*p >= 1 && *p < 1e6f)) {
    fail(ErrorKind::Unsupported, "attribute 'p' is {}, expected a whole number from 1 on", *p);
  }
  u.attributes()["p"] = static_cast<int64_t>(*p);
}

// Before opset 9, as ONNX Runtime has it: over all but the channels, or over these, too; the
// variance may stay.
void upgrade_mean_variance_normalization(UpgradeContext& u) {
  auto across = u.take<int64_t>("across_channels"), divides = u.take<int64_t>("normalize_variance");
  if (!across && !divides) return;
  std::vector<int64_t> axes = {0, 2, 3};
  if (across.value_or(0) != 0) axes = {0, 1, 2, 3};
  u.attributes()["axes"] = axes;
  if (divides.value_or(1) != 0) return;
  Emit e(u.builder());
  u.replace({e.sub(u.input(0), e.reduce("ReduceMean", u.input(0), axes, true))});
}

template <typename T>
void add_normalization(OpRegistry& r, std::string_view name, std::string_view doc,
                       std::vector<int> since, std::string_view in = "X",
                       std::string_view out = "Y", void (*upgrade)(UpgradeContext&) = nullptr) {
  r.add<T>({.name = name,
            .doc = doc,
            .since = std::move(since),
            .inputs = {{in, "T"}},
            .outputs = {{out, "T"}},
            .types = {{"T", dtypes::floats}},
            .gradient = GradientState::Decompose,
            .decomposes = true,
            .upgrade = upgrade});
}

}  // namespace

void register_composed_normalizations(OpRegistry& r) {
  add_normalization<Lrn>(r, "LRN", "x / (bias + alpha mean square of neighbouring channels)^beta",
                         {1, 13});
  add_normalization<LpNormalization>(r, "LpNormalization", "x over its norm along an axis", {1, 22},
                                     "input", "output");
  add_normalization<MeanVarianceNormalization>(r, "MeanVarianceNormalization",
                                               "mean 0 and variance 1 over some axes", {9, 13}, "X",
                                               "Y", upgrade_mean_variance_normalization);
  add_normalization<GlobalLpPool>(r, "GlobalLpPool", "the p-norm of each channel", {1, 2, 22}, "X",
                                  "Y", upgrade_global_lp_pool);
}

}  // namespace onnxrun
