// ai.onnx.ml: SVMClassifier, SVMRegressor.
#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/score_transform.h"
#include "ml/lists.h"
#include "tensor/tensor.h"

namespace onnxrun {

namespace {

using OptionalInts = std::optional<std::vector<int64_t>>;
using Floats = std::optional<std::vector<float>>;
using Strings = std::optional<std::vector<std::string>>;

constexpr int64_t svm_rows_grain = 16;

// What both have in common. Without support vectors the coefficients are the weights of features.
class SvmOp : public Op {
 protected:
  void visit_kernel(AttributeVisitor& v) {
    v.visit("coefficients", coefficients_, "of the support vectors, or weights of the features");
    v.visit("kernel_params", params_, "gamma, coef0 and degree");
    v.visit("kernel_type", kernel_, "LINEAR, POLY, RBF or SIGMOID");
    v.visit("post_transform", transform_, "NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO or PROBIT");
    v.visit("rho", rho_, "added to the sums");
    v.visit("support_vectors", vectors_, "one after the other");
  }

  // The number of rows; `vectors` is that of support vectors or of rows of weights.
  Dim check_rows(const InferContext& c, int64_t features) const {
    score_transform(transform_);
    if (kernel_ != "LINEAR" && kernel_ != "POLY" && kernel_ != "RBF" && kernel_ != "SIGMOID") {
      c.reject("attribute 'kernel_type' is '{}'", kernel_);
    }
    if (size_of(params_) != 0 && size_of(params_) != 3) {
      c.reject("attribute 'kernel_params' has {} numbers, expected 3", params_->size());
    }
    const Shape* x = c.shape(0);
    if (!x) return {};
    if (x->empty() || x->size() > 2) c.reject("{}, expected rows", c.describe_input(0));
    if (x->back().is_known() && x->back().value() != features) {
      c.reject("{}, but vectors of {} features", c.describe_input(0), features);
    }
    return x->size() == 1 ? Dim(1) : (*x)[0];
  }

  static void check_length(std::string_view what, size_t found, size_t expected) {
    if (found != expected) {
      fail(ErrorKind::BadModel, "attribute '{}' has {} elements, expected {}", what, found,
           expected);
    }
  }

  // The length of each of `count` vectors in a list.
  static int64_t length_of(std::string_view what, const Floats& list, int64_t count) {
    auto size = static_cast<int64_t>(size_of(list));
    if (size < 1 || count < 1 || size % count != 0) {
      fail(ErrorKind::BadModel, "attribute '{}' has {} elements for {} vectors", what, size, count);
    }
    return size / count;
  }

  double kernel(const double* x, const float* v, int64_t features, bool linear) const {
    double sum = 0;
    if (kernel_ == "RBF" && !linear) {
      for (int64_t i = 0; i < features; ++i) {
        double difference = x[i] - static_cast<double>(v[i]);
        sum += difference * difference;
      }
      return std::exp(-param(0) * sum);
    }
    for (int64_t i = 0; i < features; ++i) sum += x[i] * static_cast<double>(v[i]);
    if (linear || kernel_ == "LINEAR") return sum;
    sum = param(0) * sum + param(1);
    return kernel_ == "POLY" ? std::pow(sum, param(2)) : std::tanh(sum);
  }

  // Calls f(row, its features) for all rows, some of them at the same time.
  template <typename F>
  static void for_each_row(RunContext& c, int64_t features, const F& f) {
    const Tensor& x = c.input(0);
    if (x.dims().back() != features) {
      fail(ErrorKind::BadInput, "{}, but vectors of {} features", x.type_text(), features);
    }
    std::vector<double> all = to_doubles(x);
    parallel_for(x.rank() == 1 ? 1 : x.dim(0), svm_rows_grain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        c.control().check();
        f(r, all.data() + r * features);
      }
    });
  }

  Floats coefficients_, params_, rho_, vectors_;
  std::string kernel_ = "LINEAR", transform_ = "NONE";

 private:
  double param(size_t i) const { return size_of(params_) > 0 ? double{(*params_)[i]} : 0; }
};

class SvmRegressor final : public SvmOp {
 public:
  void attributes(AttributeVisitor& v) override {
    visit_kernel(v);
    v.visit("n_supports", supports_, "support vectors; 0: the coefficients are weights");
    v.visit("one_class", one_class_, "1: the output is the sign");
  }

  void infer(InferContext& c) const override {
    if (supports_ < 0) c.reject("attribute 'n_supports' is {}", supports_);
    int64_t length = features();
    check_length("rho", size_of(rho_), 1);
    if (supports_ > 0) {
      check_length("coefficients", size_of(coefficients_), static_cast<size_t>(supports_));
    }
    Dim rows = check_rows(c, length);
    c.set_output(0, DType::Float32, Shape{rows, Dim(1)});
  }

  void run(RunContext& c) const override {
    float* y = c.output(0).data<float>();
    const int64_t length = features();
    for_each_row(c, length, [&](int64_t row, const double* x) {
      double sum = 0;
      if (supports_ == 0) sum = kernel(x, coefficients_->data(), length, true);
      for (int64_t v = 0; v < supports_; ++v) {
        double weight = static_cast<double>((*coefficients_)[static_cast<size_t>(v)]);
        sum += weight * kernel(x, vectors_->data() + v * length, length, false);
      }
      sum += static_cast<double>((*rho_)[0]);
      y[row] = one_class_ ? (sum > 0 ? 1.0f : -1.0f) : static_cast<float>(sum);
    });
  }

 private:
  int64_t features() const {
    if (supports_ == 0) return length_of("coefficients", coefficients_, 1);
    return length_of("support_vectors", vectors_, supports_);
  }

  int64_t supports_ = 0;
  bool one_class_ = false;
};

// Probabilities of classes from those of each in each pair, r[i * n + j] = P(i | i or j): Wu, Lin
// and Weng, "Probability estimates for multi-class classification by pairwise coupling" (2004),
// algorithm 2, in float and with the bounds of ONNX Runtime.
std::vector<double> couple(const std::vector<float>& r, size_t n) {
  constexpr int most_rounds = 100;
  const float least_error = 0.005f / static_cast<float>(n);
  std::vector<float> q(n * n), qp(n), p(n, 1 / static_cast<float>(n));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      if (j == i) continue;
      q[i * n + i] += r[j * n + i] * r[j * n + i];
      q[i * n + j] = -r[j * n + i] * r[i * n + j];
    }
  }
  for (int round = 0; round < most_rounds; ++round) {
    float pqp = 0, error = 0;
    for (size_t i = 0; i < n; ++i) {
      qp[i] = 0;
      for (size_t j = 0; j < n; ++j) qp[i] += q[i * n + j] * p[j];
      pqp += p[i] * qp[i];
    }
    for (float v : qp) error = std::max(error, std::abs(v - pqp));
    if (error < least_error) break;
    for (size_t i = 0; i < n; ++i) {
      float step = (pqp - qp[i]) / q[i * n + i], scale = 1 + step;
      p[i] += step;
      pqp = (pqp + step * (step * q[i * n + i] + 2 * qp[i])) / scale / scale;
      for (size_t j = 0; j < n; ++j) {
        qp[j] = (qp[j] + step * q[i * n + j]) / scale;
        p[j] /= scale;
      }
    }
  }
  return {p.begin(), p.end()};
}

// One decision for each pair of classes, by the support vectors of both; the class that most are
// for wins. The standard leaves open what the scores are; this is ONNX Runtime's way.
class SvmClassifier final : public SvmOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("classlabels_ints", ints_, "the classes");
    v.visit("classlabels_strings", strings_, "the classes");
    visit_kernel(v);
    v.visit("prob_a", prob_a_, "probabilities are logistic functions of decisions: slopes");
    v.visit("prob_b", prob_b_, "their offsets");
    v.visit("vectors_per_class", counts_, "how many of the support vectors are each class's");
  }

  void infer(InferContext& c) const override {
    if ((size_of(ints_) > 0) == (size_of(strings_) > 0) || classes() < 2) {
      c.reject("{} integers and {} strings are the classes' names", size_of(ints_),
               size_of(strings_));
    }
    check_lists();
    Dim rows = check_rows(c, features());
    if (single() && score_transform(transform_) == ScoreTransform::Probit) {
      fail(ErrorKind::Unsupported, "attribute 'post_transform' is 'PROBIT' for two classes");
    }
    int64_t scores = classes();
    if (has_vectors() && !has_probabilities() && !single()) scores = pairs();
    c.set_output(0, size_of(ints_) > 0 ? DType::Int64 : DType::String, Shape{rows});
    c.set_output(1, DType::Float32, Shape{rows, Dim(scores)});
  }

  void run(RunContext& c) const override {
    for_each_row(c, features(), [&](int64_t row, const double* x) {
      std::vector<double> scores;
      size_t best = has_vectors() ? by_vectors(x, scores) : by_weights(x, scores);
      if (c.has_output(0) && size_of(ints_) > 0) {
        c.output(0).data<int64_t>()[row] = (*ints_)[best];
      } else if (c.has_output(0)) {
        c.output(0).data<std::string>()[row] = (*strings_)[best];
      }
      if (!c.has_output(1)) return;
      auto width = static_cast<int64_t>(scores.size());
      float* z = c.output(1).data<float>() + row * width;
      for (int64_t i = 0; i < width; ++i) z[i] = static_cast<float>(scores[static_cast<size_t>(i)]);
    });
  }

 private:
  int64_t classes() const {
    return static_cast<int64_t>(std::max(size_of(ints_), size_of(strings_)));
  }
  int64_t pairs() const { return classes() * (classes() - 1) / 2; }
  bool has_probabilities() const { return size_of(prob_a_) > 0; }
  bool has_vectors() const { return vectors() > 0; }
  // Two classes that one decision is for.
  bool single() const { return has_vectors() && !has_probabilities() && classes() == 2; }

  int64_t vectors() const {
    int64_t sum = 0;
    for (size_t k = 0; k < size_of(counts_); ++k) {
      int64_t count = (*counts_)[k];
      if (count < 0 || count > static_cast<int64_t>(size_of(vectors_))) {
        fail(ErrorKind::BadModel, "attribute 'vectors_per_class' has {}", count);
      }
      sum += count;
    }
    return sum;
  }

  int64_t features() const {
    if (!has_vectors()) return length_of("coefficients", coefficients_, classes());
    return length_of("support_vectors", vectors_, vectors());
  }

  void check_lists() const {
    constexpr int64_t most_classes = 1 << 20;
    if (classes() > most_classes) fail(ErrorKind::BadModel, "{} classes", classes());
    check_length("prob_b", size_of(prob_b_), size_of(prob_a_));
    if (!has_vectors()) {
      if (size_of(rho_) < 1) fail(ErrorKind::BadModel, "attribute 'rho' is missing");
      return;
    }
    auto n = static_cast<size_t>(classes());
    check_length("vectors_per_class", size_of(counts_), n);
    check_length("coefficients", size_of(coefficients_), (n - 1) * static_cast<size_t>(vectors()));
    check_length("rho", size_of(rho_), static_cast<size_t>(pairs()));
    if (has_probabilities()) check_length("prob_a", size_of(prob_a_), static_cast<size_t>(pairs()));
  }

  size_t by_weights(const double* x, std::vector<double>& scores) const {
    const int64_t length = features();
    for (int64_t k = 0; k < classes(); ++k) {
      double sum = kernel(x, coefficients_->data() + k * length, length, true);
      scores.push_back(sum + static_cast<double>((*rho_)[0]));
    }
    auto largest = std::max_element(scores.begin(), scores.end());
    auto best = static_cast<size_t>(largest - scores.begin());
    if (classes() == 2 && !has_probabilities()) {
      bool positive =
          std::all_of(coefficients_->begin(), coefficients_->end(), [](float w) { return w >= 0; });
      if (positive ? *largest >= 0.5 : *largest > 0) best = 1;
    }
    transform_scores(score_transform(transform_), scores);
    return best;
  }

  size_t by_vectors(const double* x, std::vector<double>& scores) const {
    std::vector<size_t> votes(static_cast<size_t>(classes()));
    decide(x, scores, votes);
    if (has_probabilities()) {
      scores = probabilities(scores);
    } else if (single()) {
      share(scores);
      return first_of_most(votes);
    }
    transform_scores(score_transform(transform_), scores);
    return first_of_most(votes);
  }

  static size_t first_of_most(const std::vector<size_t>& votes) {
    return static_cast<size_t>(std::max_element(votes.begin(), votes.end()) - votes.begin());
  }

  // A score for each pair of classes: positive ones are for the first of both. Row j - 1 of the
  // coefficients holds those of class i < j against j, row i those of j against i.
  void decide(const double* x, std::vector<double>& scores, std::vector<size_t>& votes) const {
    const int64_t length = features(), count = vectors();
    std::vector<double> near(static_cast<size_t>(count));
    for (int64_t v = 0; v < count; ++v) {
      near[static_cast<size_t>(v)] = kernel(x, vectors_->data() + v * length, length, false);
    }
    std::vector<size_t> begins = {0};
    for (int64_t k : *counts_) begins.push_back(begins.back() + static_cast<size_t>(k));
    auto part = [&](size_t row, size_t k) {
      double sum = 0;
      for (size_t v = begins[k]; v < begins[k + 1]; ++v) {
        sum += static_cast<double>((*coefficients_)[row * near.size() + v]) * near[v];
      }
      return sum;
    };
    for (size_t i = 0; i + 1 < votes.size(); ++i) {
      for (size_t j = i + 1; j < votes.size(); ++j) {
        double rho = static_cast<double>((*rho_)[scores.size()]);
        double sum = part(j - 1, i) + part(i, j) + rho;
        scores.push_back(sum);
        ++votes[sum > 0 ? i : j];
      }
    }
  }

  std::vector<double> probabilities(const std::vector<double>& decisions) const {
    constexpr float least = 1e-7f;
    auto n = static_cast<size_t>(classes());
    std::vector<float> pairs(n * n);
    size_t at = 0;
    for (size_t i = 0; i + 1 < n; ++i) {
      for (size_t j = i + 1; j < n; ++j, ++at) {
        float z = static_cast<float>(decisions[at]) * (*prob_a_)[at] + (*prob_b_)[at];
        float p = std::clamp(1 / (1 + std::exp(z)), least, 1 - least);
        pairs[i * n + j] = p;
        pairs[j * n + i] = 1 - p;
      }
    }
    return couple(pairs, n);
  }

  // The score of the one decision as those of two classes.
  void share(std::vector<double>& scores) const {
    double s = scores[0];
    switch (score_transform(transform_)) {
      case ScoreTransform::None:
        scores = {-s, s};
        return;
      case ScoreTransform::Logistic:
        scores = {-s, s};
        return transform_scores(ScoreTransform::Logistic, scores);
      default:
        scores = {1 - s, s};
    }
  }

  OptionalInts ints_, counts_;
  Strings strings_;
  Floats prob_a_, prob_b_;
};

OpSpec svm_spec(std::string_view name, std::string_view doc) {
  return {.name = name,
          .domain = "ai.onnx.ml",
          .doc = doc,
          .since = {1},
          .gradient = GradientState::NotDifferentiable};
}

constexpr DTypeSet svm_feature_types = dtypes::f32_f64 | dtypes::index;

}  // namespace

void register_ml_svm(OpRegistry& r) {
  OpSpec regressor = svm_spec("SVMRegressor", "a number by support vectors");
  regressor.inputs = {{"X", "T"}};
  regressor.outputs = {{"Y", "tensor(float)"}};
  regressor.types = {{"T", svm_feature_types}, {"tensor(float)", DType::Float32}};
  r.add<SvmRegressor>(std::move(regressor));
  OpSpec classifier = svm_spec("SVMClassifier", "classes by support vectors");
  classifier.inputs = {{"X", "T1"}};
  classifier.outputs = {{"Y", "T2"}, {"Z", "tensor(float)"}};
  classifier.types = {{"T1", svm_feature_types},
                      {"T2", DTypeSet{DType::Int64, DType::String}},
                      {"tensor(float)", DType::Float32}};
  r.add<SvmClassifier>(std::move(classifier));
}

}  // namespace onnxrun
