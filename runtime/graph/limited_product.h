// What lets a product take in the limits of its result that an operator behind it gives.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// A number that a graph holds already, or one for it to hold. Neither: it binds nothing.
struct Bound {
  ValueId value = no_value;
  std::optional<double> number = {};
};
struct Bounds {
  Bound low, high;
};

// What an operator is too, if it limits input 0 as Clip does.
class LimitsInput {
 public:
  // Of a node of these inputs.
  virtual Bounds bounds(const std::vector<ValueId>& inputs) const = 0;

 protected:
  ~LimitsInput() = default;
};

// What an operator is too, if there is a private one, `limited_form()`, of the same attributes and
// the same first `operands()` inputs (those that are not there left empty) whose result is limited
// as Clip does it, to its two inputs behind these.
class TakesLimits {
 public:
  virtual std::string_view limited_form() const = 0;
  virtual size_t operands() const = 0;

 protected:
  ~TakesLimits() = default;
};

// What such a private operator is.
class LimitedProduct {
 protected:
  ~LimitedProduct() = default;
};

}  // namespace onnxrun
