// Losses as graph nodes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/builder.h"

namespace onnxrun {

enum class Reduction : uint8_t { Mean, Sum };

struct LossOptions {
  std::string name;
  // Default: mean, but sum for sum_squared.
  std::optional<Reduction> reduction = {};
  // The axis of the output that counts classes, for losses of class indices; default: the axis
  // whose removal from the output's shape gives the target's, 1 if several fit. May be negative.
  std::optional<int64_t> class_axis = {};
  // A target of another shape than the output broadcasts against it in an elementwise loss, as in
  // numpy and PyTorch. Without it only axes of length 1 may be more or less.
  bool allow_broadcast = false;
  // Of losses of class indices. A weight for each class; a mean is then one over the weights of the
  // samples. Samples of class `ignore_index` do not count.
  std::vector<double> class_weights = {};
  std::optional<int64_t> ignore_index = {};
  // Of cross_entropy: this part of each sample is of all classes alike (torch.nn.CrossEntropyLoss).
  double label_smoothing = 0;
};

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
ValueId add_loss(GraphBuilder& builder, const LossOptions& options, ValueId output, ValueId target);

}  // namespace onnxrun
