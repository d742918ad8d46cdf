// What the values of a target are, seen beside the output that should match them.
#pragma once

#include <optional>
#include <string>

#include "graph/graph.h"
#include "tensor/tensor.h"

namespace onnxrun {

struct TargetReading {
  enum class Kind : uint8_t { Numbers, Classes, OneHot };

  Kind kind = Kind::Numbers;
  std::optional<int64_t> axis;  // of the target, where one-hot rows lie along it
  // Of the output, where classes are counted, if shapes tell.
  std::optional<int64_t> class_axis = {};
};

// `output` is the type of the output for a batch, `target` the whole array, and `samples_axis` that
// of the samples in both. One number for each of
// the output's is numbers, also if they are integers, or one-hot rows; one for each of its rows is
// classes if all are whole. Where shapes leave it open, the element type decides.
TargetReading read_target(const Type& output, const Tensor& target, int64_t samples_axis);

// The classes of one-hot rows along an axis. Throws BadInput naming a row that is none.
Tensor classes_of_rows(const std::string& name, const Tensor& target, int64_t axis);

}  // namespace onnxrun
