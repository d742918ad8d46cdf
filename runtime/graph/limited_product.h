// What lets a product take in the Relu or Clip that reads it.
#pragma once

#include <cstddef>
#include <string_view>

namespace onnxrun {

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
