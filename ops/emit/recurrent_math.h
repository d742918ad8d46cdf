// Activation functions and operands of recurrent layers, as nodes of a graph.
#pragma once

#include "graph/builder.h"
#include "kernels/recurrent_cells.h"

namespace onnxrun {

// Short forms of what the equations need.
struct RecurrentMath {
  GraphBuilder& b;

  ValueId mul(ValueId x, ValueId y) { return b.add("Mul", {x, y}); }
  ValueId plus(ValueId x, ValueId y) { return b.add("Add", {x, y}); }
  ValueId minus(ValueId x, ValueId y) { return b.add("Sub", {x, y}); }
  // y, or x where y is no_value.
  ValueId plus_if(ValueId x, ValueId y) { return y == no_value ? x : plus(x, y); }
  ValueId product(ValueId x, ValueId y) { return b.add("MatMul", {x, y}); }
  ValueId where(ValueId condition, ValueId x, ValueId y) {
    return b.add("Where", {condition, x, y});
  }
  ValueId one_minus(ValueId x) { return minus(b.scalar_like(1, x), x); }
  ValueId zero(ValueId like) { return b.scalar_like(0, like); }
  ValueId concat(std::vector<ValueId> parts, int64_t axis);
  // Equal parts along an axis.
  std::vector<ValueId> split(ValueId x, int64_t axis, size_t parts);

  // f(x), with x bounded first if `bounded` and the cell clips.
  ValueId activate(const Cell& cell, const Activation& f, ValueId x, bool bounded = true);
  // `cotangent` times the derivative of activate() at x, where its result is y. x may be no_value
  // unless needs_argument(f) or the cell clips.
  ValueId through(const Cell& cell, const Activation& f, ValueId cotangent, ValueId y, ValueId x,
                  bool bounded = true);

 private:
  ValueId clipped(const Cell& cell, ValueId x);
  ValueId slope(const Activation& f, ValueId y, ValueId x);
};

}  // namespace onnxrun
