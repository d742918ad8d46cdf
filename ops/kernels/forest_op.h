// What the operators of decision trees have in common.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/infer_context.h"
#include "kernels/forest.h"
#include "kernels/score_transform.h"

namespace onnxrun {

// Rows of numbers, each through all trees.
class ForestOp : public Op {
 public:
  std::unique_ptr<KernelState> prepare(PrepareContext& c) const final;
  void run(RunContext& c) const final;

 protected:
  // The trees; rows of what type is known to prepare(). Throws BadModel.
  virtual std::unique_ptr<Forest> grow() const = 0;
  // Writes what the scores of a row, without base values, come to.
  virtual void write(RunContext& c, const Forest& forest, int64_t row,
                     Forest::Scores& scores) const = 0;

  // The number of rows; rejects what are none.
  static Dim check_rows(const InferContext& c);
  // Rejects a number of targets that no forest has.
  static void check_targets(const InferContext& c, int64_t targets);
  // Fails unless a list about `what` has the length `expected`.
  static void check_length(std::string_view what, size_t found, size_t expected);
};

// Adds the base values and transforms: what regressions do with the scores of a row. One of several
// targets that no leaf had a weight for stays zero, as in ONNX Runtime.
void finish_regression(const Forest& forest, ScoreTransform transform, Forest::Scores& scores);

}  // namespace onnxrun
