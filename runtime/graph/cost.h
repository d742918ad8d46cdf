// How much work a node is, as far as its types say.
#pragma once

#include <cstdint>
#include <optional>

#include "graph/graph.h"

namespace onnxrun {

// How many there are of something: elements, bytes, operations. Unknown where a length is. What is
// more than an int64 holds stays at the largest of these.
class Count {
 public:
  Count(int64_t n) : value_(n) {}
  Count(std::nullopt_t) {}

  std::optional<int64_t> value() const { return value_; }

  friend Count operator*(Count a, Count b);
  friend Count operator+(Count a, Count b);

 private:
  std::optional<int64_t> value_;
};

// The length of an axis, counted from the end if negative.
Count length_of(const Type& type, int64_t axis);
// The product of the lengths from axis `first` on.
Count elements_of(const Type& type, size_t first = 0);
// Of tensors whose elements have a size; others are unknown.
Count bytes_of(const Type& type);

// For Op::operations and Op::body_runs. An input that is not there has a type of which nothing is
// known.
class CostContext {
 public:
  // Both must outlive the context.
  CostContext(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

  const Node& node() const { return node_; }
  bool has_input(size_t i) const { return i < node_.inputs.size() && node_.inputs[i] != no_value; }
  const Type& input(size_t i) const;
  const Type& output(size_t i = 0) const;
  // Null unless it is constant.
  const Tensor* constant(size_t i) const;

  Count length(size_t input_index, int64_t axis) const {
    return length_of(input(input_index), axis);
  }
  Count elements(size_t input_index, size_t first = 0) const {
    return elements_of(input(input_index), first);
  }
  Count output_elements() const { return elements_of(output()); }

 private:
  const Graph& graph_;
  const Node& node_;
};

// A sum of `terms` products for each element of the output, and `bias`, an input, added to each if
// it is there.
Count products_of(const CostContext& c, Count terms, std::optional<size_t> bias = {});

// The operations of nodes whose operators say nothing else: some for each element of the largest
// input or output, by what kind of operator it is.
Count elementwise_operations(const CostContext& c);

}  // namespace onnxrun
