// Losses as graph nodes.
#pragma once

#include <string>
#include <vector>

#include "graph/builder.h"
#include "onnxrun/loss_options.h"

namespace onnxrun {

// The reduction that is asked for, or the loss's own.
Reduction reduction_of(const LossOptions& options);

// Names and one-line formulas of all losses, for help texts.
struct LossInfo {
  std::string_view name;
  std::string_view formula;
  bool class_indices = false;  // the target holds int64 class indices
};
const std::vector<LossInfo>& loss_list();
// Throws Usage listing the names if there is none of this name.
const LossInfo& find_loss(const std::string& name);

// The class axis, counted from 0, that a loss of class indices takes for this output and target
// (null, or of unknown shape: 1). Throws Usage if the output has no such axis, Unsupported if its
// rank is unknown.
int64_t class_axis_of(const LossOptions& options, const Type& output, const Type* target);

// The type that the target must have: the output's element type, of a shape that add_loss() takes,
// or int64 with the output's shape less the class axis.
Type target_type(const LossOptions& options, const Type& output);

// Emits the loss of `output` against `target` and returns it, a scalar. The target has the output's
// shape, less the class axis for class indices, and axes of length 1 more or less: [N] is taken as
// [N,1]. Other shapes are errors (BadInput, when the lengths are known) unless broadcasting is
// allowed. `target` is ignored by loss "output", for which `output` must have one element.
//
// `sample_weights`, if given, has the first axes of what is summed or averaged (samples, or samples
// and steps), and each term is multiplied by the weight of its sample; a mean stays one over all
// terms (Keras's sum_over_batch_size).
ValueId add_loss(GraphBuilder& builder, const LossOptions& options, ValueId output, ValueId target,
                 ValueId sample_weights = no_value);

}  // namespace onnxrun
