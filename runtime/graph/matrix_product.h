// What lets a product of matrices take in the transpositions around it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "graph/attributes.h"

namespace onnxrun {

// What an operator is too, if output 0 is input 0 with its axes in another order.
class OrdersAxes {
 public:
  // Axis i of the output is axis axis_order(rank)[i] of an input of that rank.
  virtual std::vector<int64_t> axis_order(size_t rank) const = 0;

 protected:
  ~OrdersAxes() = default;
};

// Which operands of a product are taken with their last two axes swapped.
struct Transposed {
  bool left = false, right = false;
};

struct ProductForm {
  std::string_view op;  // qualified name; empty: the same operator
  Attributes attributes;
};

// What an operator is too, if it multiplies the matrices that are the last two axes of inputs 0 and
// 1, and further inputs, where there are any, are added to the products.
class MatrixProduct {
 public:
  virtual Transposed transposed() const = 0;
  // The operator that is this one but for what it transposes, of operands of two axes at least.
  virtual ProductForm form(Transposed operands) const = 0;

 protected:
  ~MatrixProduct() = default;
};

}  // namespace onnxrun
