// Windows that slide over the spatial axes of a tensor: the geometry of convolutions and pools.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/shape.h"

namespace onnxrun {

// All lengths known; one entry a spatial axis. Window o of an axis reads the positions
// o * stride - pad + t * dilation of the input, t in [0, kernel); those outside it are padding.
struct Window {
  Dims input, output, kernel;
  Dims strides, dilations;
  Dims pads, pads_end;

  size_t rank() const { return input.size(); }
  int64_t input_size() const { return element_count(input); }
  int64_t output_size() const { return element_count(output); }
  int64_t kernel_size() const { return element_count(kernel); }
  // Positions of axis i from a window's first element to its last.
  int64_t extent(size_t i) const { return (kernel[i] - 1) * dilations[i] + 1; }
  // True if every position is a window of its own: the windows are the input.
  bool is_identity() const;
};

// The window attributes as nodes have them.
struct WindowAttributes {
  std::string auto_pad = "NOTSET";
  std::optional<std::vector<int64_t>> kernel_shape, strides, dilations, pads;
  bool ceil_mode = false;

  // Throws BadModel unless every list that is there fits `rank` spatial axes and holds lengths that
  // make sense (and cannot overflow).
  void check(size_t rank) const;

  // The number of spatial axes as far as the attributes tell.
  std::optional<size_t> rank() const;

  int64_t stride(size_t i) const { return strides ? (*strides)[i] : 1; }
  int64_t dilation(size_t i) const { return dilations ? (*dilations)[i] : 1; }
  int64_t pad_begin(size_t i) const { return pads ? (*pads)[i] : 0; }
  int64_t pad_end(size_t i) const { return pads ? (*pads)[i + pads->size() / 2] : 0; }
  bool same() const { return auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER"; }

  // How many windows axis i has (the formulas are those of the standard's MaxPool and Conv). Throws
  // BadModel if the window is known not to fit.
  Dim output_length(size_t i, const Dim& input, const Dim& kernel) const;
  Shape output_shape(const Shape& input, const Shape& kernel) const;

  Window resolve(const Dims& input, const Dims& kernel) const;

  // `total` elements of padding split between beginning (returned) and end.
  int64_t first_part(int64_t total) const {
    return auto_pad == "SAME_LOWER" ? total - total / 2 : total / 2;
  }
};

}  // namespace onnxrun
