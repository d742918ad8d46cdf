// Operators of the first exporters that the standard never kept, as ONNX Runtime has them: Affine,
// Crop, DynamicSlice, ImageScaler, ParametricSoftplus, Scale, ScaledTanh.
#include "emit/function_op.h"

namespace onnxrun {

namespace {

// y = alpha f(beta x), or alpha x + beta.
class AlphaBeta : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("alpha", alpha_, "factor of the result");
    v.visit("beta", beta_, beta_doc_);
  }

 protected:
  AlphaBeta(float beta, const char* beta_doc) : beta_(beta), beta_doc_(beta_doc) {}

  static ValueId times(const Emit& e, float factor, ValueId x) {
    return e.mul(x, e.scalar(static_cast<double>(factor), x));
  }
  float alpha_ = 1, beta_;

 private:
  const char* beta_doc_;
};

class Affine final : public AlphaBeta {
 public:
  Affine() : AlphaBeta(0, "added to alpha x") {}
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId scaled = times(e, alpha_, d.input(0));
    d.set(0, e.add(scaled, e.scalar(static_cast<double>(beta_), scaled)));
  }
};

class ParametricSoftplus final : public AlphaBeta {
 public:
  ParametricSoftplus() : AlphaBeta(1, "factor of x in ln(1 + exp(beta x))") {}
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    d.set(0, times(e, alpha_, e("Softplus", {times(e, beta_, d.input(0))})));
  }
};

class ScaledTanh final : public AlphaBeta {
 public:
  ScaledTanh() : AlphaBeta(1, "factor of x in tanh(beta x)") {}
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    d.set(0, times(e, alpha_, e("Tanh", {times(e, beta_, d.input(0))})));
  }
};

class Scale final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override { v.visit("scale", scale_, "factor of x"); }
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    d.set(0, e.mul(d.input(0), e.scalar(static_cast<double>(scale_), d.input(0))));
  }

 private:
  float scale_ = 1;
};

class ImageScaler final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("bias", bias_, "added to each channel");
    v.visit("scale", scale_, "factor of all pixels");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0);
    std::vector<double> bias(bias_.begin(), bias_.end());
    auto channels = static_cast<int64_t>(bias.size());
    Tensor added = convert(Tensor::of<double>({1, channels, 1, 1}, bias), e.b.dtype(x));
    ValueId scaled = e.mul(x, e.scalar(static_cast<double>(scale_), x));
    d.set(0, bias.empty() ? scaled : e.add(scaled, e.b.constant(added)));
  }

 protected:
  void check(const InferContext& c) const override {
    require_rank(c, 0, 4);
    if (!c.shape(0) || bias_.empty()) return;
    const Dim& channels = (*c.shape(0))[1];
    auto count = static_cast<int64_t>(bias_.size());
    if (channels.is_known() && channels.value() != count) {
      c.reject("{} biases for {}", count, c.describe_input(0));
    }
  }

 private:
  std::vector<float> bias_;
  float scale_ = 1;
};

class Crop final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("border", border_, "pixels left, above, right and below that are cut off");
    v.visit("scale", scale_, "height and width of the result, instead of the last two borders");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    const int64_t left = border_[0], top = border_[1], right = border_[2], bottom = border_[3];
    ValueId x = d.input(0), axes = e.b.ints({2, 3}), ends;
    if (scale_.empty()) {
      ends = e.sub(e.dims(x, 2, 4), e.b.ints({bottom, right}));
    } else {
      ends = e.b.ints({top + scale_[0], left + scale_[1]});
    }
    d.set(0, e("Slice", {x, e.b.ints({top, left}), ends, axes}));
  }

 protected:
  void check(const InferContext& c) const override {
    check_list(c, "border", border_, 4);
    if (!scale_.empty()) check_list(c, "scale", scale_, 2);
    require_rank(c, 0, 4);
    if (!c.shape(0)) return;
    for (size_t axis : {2, 3}) {
      const Dim& length = (*c.shape(0))[axis];
      const int64_t before = border_[3 - axis], after = border_[5 - axis];
      const int64_t needed = before + (scale_.empty() ? after : scale_[axis - 2]);
      if (length.is_known() && length.value() < needed) {
        c.reject("{} has less than {} pixels along axis {}", c.describe_input(0), needed, axis);
      }
    }
  }

 private:
  static void check_list(const InferContext& c, const char* name, const std::vector<int64_t>& list,
                         size_t count) {
    bool good = list.size() == count;
    for (int64_t v : list) good = good && v >= 0 && v <= INT32_MAX;
    if (!good) c.reject("attribute '{}', expected {} numbers of pixels", name, count);
  }

  std::vector<int64_t> border_, scale_;
};

class DynamicSlice final : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < 4; ++i) inputs.push_back(d.input(i));
    if (inputs[3] == no_value) inputs.pop_back();
    d.set(0, d.add("Slice", inputs));
  }
};

template <typename T>
void add_early_operator(OpRegistry& r, std::string_view name, std::string_view doc,
                        std::string_view in = "input", std::string_view out = "output") {
  r.add<T>({.name = name,
            .doc = doc,
            .since = {1},
            .inputs = {{in, "T"}},
            .outputs = {{out, "T"}},
            .types = {{"T", dtypes::f32_f64 | DTypeSet(DType::Float16)}},
            .gradient = GradientState::Decompose,
            .decomposes = true});
}

}  // namespace

void register_early_operators(OpRegistry& r) {
  add_early_operator<Affine>(r, "Affine", "alpha x + beta", "X", "Y");
  add_early_operator<ParametricSoftplus>(r, "ParametricSoftplus", "alpha ln(1 + exp(beta x))", "X",
                                         "Y");
  add_early_operator<ScaledTanh>(r, "ScaledTanh", "alpha tanh(beta x)");
  add_early_operator<Scale>(r, "Scale", "scale x");
  add_early_operator<ImageScaler>(r, "ImageScaler",
                                  "pixels times a factor, and a bias for each channel");
  add_early_operator<Crop>(r, "Crop", "an image without its borders");
  r.add<DynamicSlice>({.name = "DynamicSlice",
                       .doc = "part of a tensor, axis by axis",
                       .since = {1},
                       .inputs = {{"data", "T"},
                                  {"starts", "Tind", InputRole::Setting},
                                  {"ends", "Tind", InputRole::Setting},
                                  {"axes", "Tind", Param::Kind::Optional, InputRole::Setting}},
                       .outputs = {{"output", "T"}},
                       .types = {{"T", dtypes::basic - DTypeSet(DType::BFloat16)},
                                 {"Tind", {DType::Int32, DType::Int64}}},
                       .kind = OpKind::Move,
                       .gradient = GradientState::Decompose,
                       .decomposes = true});
}

}  // namespace onnxrun
