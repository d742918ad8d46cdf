// Random values for inputs that nobody gives.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace onnxrun::tool {

// Floats are uniform in [0, 1), booleans fair; integers that choose from an axis stay within it and
// others are 0 or 1, unless a range is given. Equal seeds give equal values.
class RandomInputs {
 public:
  // `ranges` are "x=0..1" or "0..1" for all inputs. Throws Usage, BadInput for a name that is no
  // input.
  RandomInputs(const Graph& graph, const std::vector<std::string>& ranges, uint64_t seed,
               int64_t max_memory);

  // Symbolic dimensions of `type` have the lengths that `value` has.
  void learn_dims(const Type& type, const Tensor& value);

  // Lengths that nothing says are 1, and a warning. Throws BadInput if the rank is not known.
  Tensor make(const std::string& name, const Type& type);

 private:
  struct Range {
    double low = 0, high = 1;
  };
  Dims dims_of(const std::string& name, const Type& type);
  // Doubles of this shape. Throws Limit naming the input.
  Tensor memory_for(const std::string& name, const Dims& dims) const;
  Range range_of(const std::string& name, DType dtype) const;

  const Graph& graph_;
  std::map<std::string, Range> ranges_;  // "" is for all
  std::map<std::string, int64_t> dims_;
  uint64_t seed_;
  int64_t max_memory_;
};

}  // namespace onnxrun::tool
