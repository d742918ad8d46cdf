// ai.onnx.ml: LinearClassifier.
#include <algorithm>

#include "emit/function_op.h"
#include "kernels/score_transform.h"
#include "ml/lists.h"

namespace onnxrun {

namespace {

using OptionalInts = std::optional<std::vector<int64_t>>;
using Strings = std::optional<std::vector<std::string>>;

// The class of the largest score, and all scores: X W + b. One row of weights, told by one
// intercept, serves two classes: its sign decides. A single class is told from none, by 1 and 0.
class LinearClassifier final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("classlabels_ints", ints_, "the classes");
    v.visit("classlabels_strings", strings_, "the classes");
    v.required("coefficients", coefficients_, "weights, a row for each class");
    v.visit("intercepts", intercepts_, "added, one for each class");
    v.visit("multi_class", multi_class_, "not used");
    v.visit("post_transform", transform_, "NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO or PROBIT");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0);
    if (d.dtype(x) != DType::Float64) x = e.b.cast(x, DType::Float32);
    if (e.b.rank(x) == 1) x = e.b.unsqueeze(x, {0});
    Dims dims = {rows(), static_cast<int64_t>(coefficients_.size()) / rows()};
    ValueId y =
        e("onnxrun.MatMulT", {x, constant(e, coefficients_, dims, x)}, {{"transB", int64_t{1}}});
    if (intercepts_) y = e.add(y, constant(e, *intercepts_, {rows()}, y));
    ValueId best = rows() == 1
                       ? e.b.cast(e.b.squeeze(e("Greater", {y, e.scalar(0, y)}), {1}), DType::Int64)
                       : e("ArgMax", {y}, {{"axis", int64_t{-1}}, {"keepdims", int64_t{0}}});
    d.set(0, e("Gather", {e.b.constant(labels()), best}));
    if (!d.has_output(1)) return;
    y = rows() < classes() ? both(e, y) : transformed_scores(e, transform(), y);
    d.set(1, e.b.cast(y, DType::Float32));
  }

 protected:
  void check(const InferContext& c) const override {
    if (c.shape(0) && (c.shape(0)->empty() || c.rank(0) > 2)) {
      c.reject("{}, expected rows", c.describe_input(0));
    }
    if ((size_of(ints_) > 0) == (size_of(strings_) > 0)) {
      c.reject("{} integers and {} strings are the classes' names", size_of(ints_),
               size_of(strings_));
    }
    auto given = static_cast<int64_t>(coefficients_.size());
    bool known = c.shape(0) && c.shape(0)->back().is_known();
    if (given < 1 || given % rows() != 0 ||
        (known && c.shape(0)->back().value() != given / rows())) {
      c.reject("{} coefficients of {} rows, but {}", given, rows(), c.describe_input(0));
    }
    if (intercepts_ && static_cast<int64_t>(intercepts_->size()) != rows()) {
      c.reject("{} intercepts of {} classes", intercepts_->size(), classes());
    }
    if (score_transform(transform_) == ScoreTransform::Probit && rows() < classes()) {
      fail(ErrorKind::Unsupported,
           "attribute 'post_transform' is 'PROBIT', with one row of weights for two classes");
    }
  }

  DType output_type(const InferContext&, size_t i) const override {
    if (i == 1) return DType::Float32;
    return size_of(ints_) > 0 ? DType::Int64 : DType::String;
  }

 private:
  int64_t classes() const {
    return static_cast<int64_t>(std::max(size_of(ints_), size_of(strings_)));
  }

  int64_t rows() const {
    return classes() == 2 && intercepts_ && intercepts_->size() == 1 ? 1 : classes();
  }

  ScoreTransform transform() const { return for_count(score_transform(transform_), rows()); }

  // The score of the second class, and what is left of one for the first.
  ValueId both(const Emit& e, ValueId y) const {
    if (score_transform(transform_) != ScoreTransform::Logistic) {
      return e.concat({e.sub(e.scalar(1, y), y), y}, 1);
    }
    return e("Sigmoid", {e.concat({e("Neg", {y}), y}, 1)});
  }

  Tensor labels() const {
    if (classes() == 1 && size_of(ints_) > 0) return Tensor::of<int64_t>({2}, {0, 1});
    if (classes() == 1) return Tensor::of<std::string>({2}, {"0", "1"});
    if (size_of(ints_) > 0)
      return Tensor::of<int64_t>({classes()}, std::span<const int64_t>(*ints_));
    return Tensor::of<std::string>({classes()}, std::span<const std::string>(*strings_));
  }

  static ValueId constant(const Emit& e, const std::vector<float>& values, Dims dims,
                          ValueId like) {
    Tensor t = Tensor::of<float>(std::move(dims), std::span<const float>(values));
    return e.b.constant(convert(t, e.b.dtype(like)));
  }

  OptionalInts ints_;
  Strings strings_;
  std::vector<float> coefficients_;
  std::optional<std::vector<float>> intercepts_;
  int64_t multi_class_ = 0;
  std::string transform_ = "NONE";
};

}  // namespace

void register_ml_linear_classifier(OpRegistry& r) {
  r.add<LinearClassifier>({.name = "LinearClassifier",
                           .domain = "ai.onnx.ml",
                           .doc = "classes and scores X W + b with the weights as attributes",
                           .since = {1},
                           .inputs = {{"X", "T1"}},
                           .outputs = {{"Y", "T2"}, {"Z", "tensor(float)"}},
                           .types = {{"T1", dtypes::f32_f64 | DTypeSet{DType::Int32, DType::Int64}},
                                     {"T2", DTypeSet{DType::Int64, DType::String}},
                                     {"tensor(float)", DType::Float32}},
                           .gradient = GradientState::Decompose,
                           .decomposes = true});
}

}  // namespace onnxrun
