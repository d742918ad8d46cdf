// Operators on quantized numbers: levels (integers) that stand for (level - zero point) * scale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// How scales and zero points lie over a tensor: one for all (any axis), one for each place of an
// axis, or, with a block size, one for each block along it.
struct QuantizedAxis {
  int64_t axis = 1;
  int64_t block = 0;

  bool operator==(const QuantizedAxis&) const = default;
};

// What an operator is too, if output 0 are the levels of input 0, a tensor of numbers. Scales and
// zero points are inputs 1 and 2.
class Quantizes {
 public:
  virtual QuantizedAxis quantized_axis() const = 0;
  // Scale and zero point are chosen by the numbers, and outputs 1 and 2 instead.
  virtual bool chooses_scale() const { return false; }
  // Numbers are divided in the type of their scale.
  virtual bool divides_as_scale() const { return true; }

 protected:
  ~Quantizes() = default;
};

// What an operator is too, if output 0 are the numbers that the levels of input 0 stand for. Scales
// and zero points are inputs 1 and 2.
class Dequantizes {
 public:
  virtual QuantizedAxis quantized_axis() const = 0;

 protected:
  ~Dequantizes() = default;
};

// What an operator of one output is too, if of levels (input 0) it gives the levels of what it
// gives of their numbers: it moves elements or takes the largest.
class WorksOnLevels {
 protected:
  ~WorksOnLevels() = default;
};

struct QuantizedOperand {
  ValueId levels = no_value, scale = no_value, zero_point = no_value;
};

// Of a product y = x w + bias, whose bias are sums of levels, in 32 bits. `levels` of y is not set,
// nor is its scale where the result stays float.
struct QuantizedOperands {
  QuantizedOperand x, w;
  ValueId bias = no_value;
  QuantizedOperand y;
};

struct QuantizedForm {
  std::string op;  // by its qualified name
  std::vector<ValueId> inputs;
  Attributes attributes;
};

// What an operator is too, if it multiplies input 0 by input 1 and adds input 2, if it is there,
// and there may be an operator that does the same with levels.
class HasQuantizedForm {
 public:
  // The axis of input 1 whose places may have a scale each.
  virtual int64_t scale_axis() const = 0;
  // None for operands that it does not take.
  virtual std::optional<QuantizedForm> quantized_form(const Graph& graph,
                                                      const QuantizedOperands& o) const = 0;

 protected:
  ~HasQuantizedForm() = default;
};

}  // namespace onnxrun
