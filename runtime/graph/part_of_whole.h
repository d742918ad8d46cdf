// What lets sums of tensors that are mostly zeros be joined from what is not.
#pragma once

#include <cstdint>
#include <optional>

#include "graph/graph.h"

namespace onnxrun {

// Elements [start, start + length) of an axis, counted from the front, that is `whole` long.
struct Stretch {
  int64_t axis = 0, start = 0, length = 0, whole = 0;
};

// What an operator is too, if output 0 is zeros but for input 0 in a part of it.
class FillsPart {
 public:
  // That part, if it is a stretch of one axis with all of the others; none if it is not or the
  // graph does not tell.
  virtual std::optional<Stretch> stretch(const Graph& graph, const Node& node) const = 0;

 protected:
  ~FillsPart() = default;
};

}  // namespace onnxrun
