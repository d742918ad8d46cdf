// A model's output over one or two of its inputs' elements.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common_options.h"
#include "onnxrun/model.h"
#include "plot/axis.h"

namespace onnxrun::tool {

// "NAME=a..b" or "NAME[k]=a..b": element k of a sample of input NAME, and between what it moves.
struct SweptElement {
  std::string input;
  int64_t element = 0;
  Range range;

  std::string text() const;  // "x[0]", or "x" where no element was named
  bool is_named = false;
};

// Throws Usage naming the option.
SweptElement parse_swept(const std::string& option, const std::string& text);

struct SweepOptions {
  std::vector<std::string> inputs;  // what -i says of elements that do not move; zeros otherwise
  std::string outputs;              // names, or "y[2]" for one element; all if empty
};

// One curve, or one plane: a value for each point.
struct SweptOutput {
  std::string name;
  std::vector<double> values;
};

// Runs the model at every combination of the elements' values, the first element's innermost. The
// first axis of an input counts samples if its length is open; then all points run as one batch.
// Throws BadInput for names, elements and shapes that do not fit.
std::vector<SweptOutput> sweep(const Model& model, const CommonOptions& common,
                               const std::vector<SweptElement>& elements, int steps,
                               const SweepOptions& options);

// The value of point `i` of `steps` between the ends of `range`.
double swept_value(const Range& range, int i, int steps);

}  // namespace onnxrun::tool
