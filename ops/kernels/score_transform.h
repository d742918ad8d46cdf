// What operators of ai.onnx.ml do with the scores of a row at the end: attribute 'post_transform'.
#pragma once

#include <span>
#include <string_view>

#include "kernels/composed.h"

namespace onnxrun {

// In the order of the numbers that TreeEnsemble has for them.
enum class ScoreTransform : uint8_t {
  None,
  Softmax,
  Logistic,
  SoftmaxZero,  // a softmax in which scores of zero stay zero
  Probit,       // the quantile of the normal distribution (Winitzki's approximation)
};

// Throws BadModel.
ScoreTransform score_transform(std::string_view name);

// What is left of it for rows of `count` scores: a single score is changed by Probit alone, as in
// ONNX Runtime.
constexpr ScoreTransform for_count(ScoreTransform transform, int64_t count) {
  return count > 1 || transform == ScoreTransform::Probit ? transform : ScoreTransform::None;
}

// The scores of one row, in place.
void transform_scores(ScoreTransform transform, std::span<double> scores);

// The same for the rows (last axis) of a floating-point value.
ValueId transformed_scores(const Emit& e, ScoreTransform transform, ValueId scores);

}  // namespace onnxrun
