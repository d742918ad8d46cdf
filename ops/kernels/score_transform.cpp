#include "kernels/score_transform.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace onnxrun {

namespace {

// erfinv(x) = sign(x) sqrt(sqrt(v^2 - log(1 - x^2) / a) - v), v = 2 / (pi a) + log(1 - x^2) / 2
// (Winitzki 2008) with the a of ONNX Runtime.
constexpr double winitzki = 0.147;
constexpr double first_term = 2 / (std::numbers::pi * winitzki);
// Scores that SoftmaxZero takes for zero.
constexpr double zero_below = 1e-7;

double probit(double p) {
  double x = 2 * p - 1, log = std::log((1 - x) * (1 + x)), v = first_term + log / 2;
  double root = std::sqrt(std::sqrt(v * v - log / winitzki) - v);
  return std::numbers::sqrt2 * (x < 0 ? -root : root);
}

ValueId probit(const Emit& e, ValueId p) {
  ValueId one = e.scalar(1, p), x = e.sub(e.add(p, p), one);
  ValueId log = e("Log", {e.mul(e.sub(one, x), e.add(one, x))});
  ValueId v = e.add(e.mul(log, e.scalar(0.5, p)), e.scalar(first_term, p));
  ValueId square = e.sub(e.mul(v, v), e.div(log, e.scalar(winitzki, p)));
  ValueId root = e("Sqrt", {e.sub(e("Sqrt", {square}), v)});
  return e.mul(e.mul(root, e("Sign", {x})), e.scalar(std::numbers::sqrt2, p));
}

void softmax(std::span<double> scores, bool keeps_zeros) {
  if (scores.empty()) return;
  double largest = *std::max_element(scores.begin(), scores.end()), sum = 0;
  for (double& s : scores) {
    if (keeps_zeros && std::abs(s) <= zero_below) {
      s *= std::exp(-largest);
    } else {
      s = std::exp(s - largest);
      sum += s;
    }
  }
  for (double& s : scores) s /= sum;
}

ValueId softmax_zero(const Emit& e, ValueId x) {
  ValueId largest = e.reduce("ReduceMax", x, {-1}, true);
  ValueId counts = e("Greater", {e("Abs", {x}), e.scalar(zero_below, x)});
  ValueId powers = e("Exp", {e.sub(x, largest)});
  ValueId sum = e.reduce("ReduceSum", e.where(counts, powers, e.scalar(0, x)), {-1}, true);
  ValueId small = e.mul(x, e("Exp", {e("Neg", {largest})}));
  return e.div(e.where(counts, powers, small), sum);
}

}  // namespace

ScoreTransform score_transform(std::string_view name) {
  constexpr std::array<std::string_view, 5> names = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
                                                     "PROBIT"};
  auto it = std::find(names.begin(), names.end(), name);
  if (it == names.end()) fail(ErrorKind::BadModel, "attribute 'post_transform' is '{}'", name);
  return static_cast<ScoreTransform>(it - names.begin());
}

void transform_scores(ScoreTransform transform, std::span<double> scores) {
  switch (transform) {
    case ScoreTransform::None:
      return;
    case ScoreTransform::Softmax:
    case ScoreTransform::SoftmaxZero:
      return softmax(scores, transform == ScoreTransform::SoftmaxZero);
    case ScoreTransform::Logistic:
      for (double& s : scores) s = 1 / (1 + std::exp(-s));
      return;
    case ScoreTransform::Probit:
      for (double& s : scores) s = probit(s);
      return;
  }
}

ValueId transformed_scores(const Emit& e, ScoreTransform transform, ValueId scores) {
  switch (transform) {
    case ScoreTransform::None:
      return scores;
    case ScoreTransform::Softmax:
      return e("Softmax", {scores}, {{"axis", int64_t{-1}}});
    case ScoreTransform::SoftmaxZero:
      return softmax_zero(e, scores);
    case ScoreTransform::Logistic:
      return e("Sigmoid", {scores});
    case ScoreTransform::Probit:
      return probit(e, scores);
  }
  return scores;
}

}  // namespace onnxrun
