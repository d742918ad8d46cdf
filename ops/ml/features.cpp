// ai.onnx.ml, of rows of features: ArrayFeatureExtractor, Binarizer, FeatureVectorizer,
// LinearRegressor, Normalizer, Scaler.
#include "emit/function_op.h"
#include "kernels/score_transform.h"

namespace onnxrun {

namespace {

constexpr DTypeSet numbers = dtypes::f32_f64 | dtypes::index;

// Whole numbers become float; the result is float whatever the input was.
ValueId wide(const Emit& e, ValueId x) {
  return e.b.dtype(x) == DType::Float64 ? x : e.b.cast(x, DType::Float32);
}
ValueId result(const Emit& e, ValueId y) { return e.b.cast(y, DType::Float32); }

ValueId constant(const Emit& e, const std::vector<float>& values, Dims dims, ValueId like) {
  Tensor t = Tensor::of<float>(std::move(dims), std::span<const float>(values));
  return e.b.constant(convert(t, e.b.dtype(like)));
}

// Rejects a scalar; returns the number of features if it is known.
std::optional<int64_t> features(const InferContext& c) {
  if (!c.shape(0)) return std::nullopt;
  if (c.shape(0)->empty()) c.reject("{}, expected features", c.describe_input(0));
  const Dim& count = c.shape(0)->back();
  return count.is_known() ? std::optional(count.value()) : std::nullopt;
}

class MlFunction : public FunctionOp {
 protected:
  DType output_type(const InferContext&, size_t) const override { return DType::Float32; }
};

class Scaler final : public MlFunction {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("offset", offset_, "subtracted first: one number, or one for each feature");
    v.visit("scale", scale_, "factors: one number, or one for each feature");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = wide(e, d.input(0));
    if (offset_) x = e.sub(x, constant(e, *offset_, length(*offset_), x));
    if (scale_) x = e.mul(x, constant(e, *scale_, length(*scale_), x));
    d.set(0, result(e, x));
  }

 protected:
  void check(const InferContext& c) const override {
    std::optional<int64_t> count = features(c);
    for (const auto* list : {&offset_, &scale_}) {
      if (!*list) continue;
      auto given = static_cast<int64_t>((*list)->size());
      if (given == 0 || (given != 1 && count && *count != given)) {
        c.reject("attribute '{}' has {} numbers, but {}", list == &offset_ ? "offset" : "scale",
                 given, c.describe_input(0));
      }
    }
  }

 private:
  static Dims length(const std::vector<float>& v) { return {static_cast<int64_t>(v.size())}; }

  std::optional<std::vector<float>> offset_, scale_;
};

// Rows whose norm is zero stay.
class Normalizer final : public MlFunction {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("norm", norm_, "what becomes 1: MAX (the largest number), L1 or L2");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = wide(e, d.input(0));
    const char* op = norm_ == "MAX" ? "ReduceMax" : norm_ == "L1" ? "ReduceL1" : "ReduceL2";
    ValueId norm = e.reduce(op, x, {-1}, true);
    ValueId is_zero = e.equal(norm, e.scalar(0, x));
    d.set(0, result(e, e.div(x, e.where(is_zero, e.scalar(1, x), norm))));
  }

 protected:
  void check(const InferContext& c) const override {
    features(c);
    if (norm_ != "MAX" && norm_ != "L1" && norm_ != "L2") {
      c.reject("attribute 'norm' is '{}', expected MAX, L1 or L2", norm_);
    }
  }

 private:
  std::string norm_ = "MAX";
};

class LinearRegressor final : public MlFunction {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("coefficients", coefficients_, "weights, a row for each target");
    v.visit("intercepts", intercepts_, "added, one for each target");
    v.visit("post_transform", transform_, "NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO or PROBIT");
    v.visit("targets", targets_, "numbers predicted for a row");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = wide(e, d.input(0));
    if (e.b.rank(x) == 1) x = e.b.unsqueeze(x, {0});
    Dims dims = {targets_, static_cast<int64_t>(coefficients_->size()) / targets_};
    ValueId w = constant(e, *coefficients_, dims, x);
    ValueId y = e("onnxrun.MatMulT", {x, w}, {{"transB", int64_t{1}}});
    if (intercepts_) y = e.add(y, constant(e, *intercepts_, {targets_}, y));
    ScoreTransform transform = for_count(score_transform(transform_), targets_);
    d.set(0, result(e, transformed_scores(e, transform, y)));
  }

 protected:
  void check(const InferContext& c) const override {
    std::optional<int64_t> count = features(c);
    if (c.shape(0) && c.rank(0) > 2) c.reject("{}, expected rows", c.describe_input(0));
    if (!coefficients_) c.reject("attribute 'coefficients' is missing");
    auto given = static_cast<int64_t>(coefficients_->size());
    if (targets_ < 1 || given < 1 || given % targets_ != 0 ||
        (count && *count != given / targets_)) {
      c.reject("{} coefficients of {} targets, but {}", given, targets_, c.describe_input(0));
    }
    if (intercepts_ && static_cast<int64_t>(intercepts_->size()) != targets_) {
      c.reject("{} intercepts of {} targets", intercepts_->size(), targets_);
    }
    score_transform(transform_);
  }

 private:
  std::optional<std::vector<float>> coefficients_, intercepts_;
  std::string transform_ = "NONE";
  int64_t targets_ = 1;
};

class Binarizer final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("threshold", threshold_, "larger numbers become 1, all others 0");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = wide(e, d.input(0));
    ValueId over = e("Greater", {x, e.scalar(static_cast<double>(threshold_), x)});
    d.set(0, e.b.cast(over, d.dtype(d.input(0))));
  }

 private:
  float threshold_ = 0;
};

// Rows side by side, each part cut or filled with zeros to its length.
class FeatureVectorizer final : public MlFunction {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("inputdimensions", lengths_, "features that each part takes");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    std::vector<ValueId> parts;
    for (size_t i = 0; i < d.num_inputs(); ++i) {
      ValueId x = wide(e, d.input(i));
      if (e.b.rank(x) == 1) x = e.b.unsqueeze(x, {0});
      int64_t length = (*lengths_)[i];
      x = e.b.slice(x, 1, 0, length);
      ValueId missing = e.sub(e.b.ints({length}), e.dim(x, 1));
      ValueId pads = e.concat({e.b.ints({0}), missing});
      parts.push_back(e("Pad", {x, pads, no_value, e.b.ints({1})}));
    }
    d.set(0, result(e, e.concat(parts, 1)));
  }

 protected:
  void check(const InferContext& c) const override {
    constexpr int64_t most = int64_t{1} << 31;
    size_t given = lengths_ ? lengths_->size() : 0;
    if (given != c.num_inputs()) {
      c.reject("attribute 'inputdimensions' has {} lengths for {} inputs", given, c.num_inputs());
    }
    for (int64_t length : *lengths_) {
      if (length < 1 || length > most) c.reject("a length of inputdimensions is {}", length);
    }
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      if (c.shape(i) && (c.rank(i) < 1 || c.rank(i) > 2)) {
        c.reject("{}, expected rank 1 or 2", c.describe_input(i));
      }
    }
  }

 private:
  std::optional<std::vector<int64_t>> lengths_;
};

class ArrayFeatureExtractor final : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0);
    if (e.b.rank(x) == 1) x = e.b.unsqueeze(x, {0});
    ValueId places = e.b.reshape(d.input(1), e.b.ints({-1}));
    d.set(0, e("Gather", {x, places}, {{"axis", int64_t{-1}}}));
  }

 protected:
  void check(const InferContext& c) const override {
    features(c);
    if (c.shape(1) && element_count(*c.shape(1)) == Dim(0)) {
      c.reject("{} names no feature", c.describe_input(1));
    }
  }
};

OpSpec ml_spec(std::string_view name, std::string_view doc) {
  return {.name = name,
          .domain = "ai.onnx.ml",
          .doc = doc,
          .since = {1},
          .inputs = {{"X", "T"}},
          .outputs = {{"Y", "tensor(float)"}},
          .types = {{"T", numbers}, {"tensor(float)", DType::Float32}},
          .gradient = GradientState::Decompose,
          .decomposes = true};
}

}  // namespace

void register_ml_features(OpRegistry& r) {
  r.add<Scaler>(ml_spec("Scaler", "(x - offset) scale"));
  r.add<Normalizer>(ml_spec("Normalizer", "rows divided by their norm"));
  r.add<LinearRegressor>(ml_spec("LinearRegressor", "X W + b with the weights as attributes"));
  OpSpec binarizer = ml_spec("Binarizer", "1 above a threshold, else 0");
  binarizer.outputs = {{"Y", "T"}};
  binarizer.types = {{"T", numbers}};
  binarizer.gradient = GradientState::NotDifferentiable;
  r.add<Binarizer>(std::move(binarizer));
  OpSpec vectorizer = ml_spec("FeatureVectorizer", "features of several inputs as one row");
  vectorizer.inputs = {{"X", "T1", Param::Kind::Variadic}};
  vectorizer.types[0].name = "T1";
  r.add<FeatureVectorizer>(std::move(vectorizer));
  OpSpec extractor = ml_spec("ArrayFeatureExtractor", "some of the features of each row");
  extractor.inputs = {{"X", "T"}, {"Y", "tensor(int64)"}};
  extractor.outputs = {{"Z", "T"}};
  extractor.types = {{"T", numbers | DTypeSet(DType::String)}, {"tensor(int64)", DType::Int64}};
  r.add<ArrayFeatureExtractor>(std::move(extractor));
}

}  // namespace onnxrun
