// The geometry of Resize: which input places an output place is made of, along one axis.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace onnxrun {

// Weighted places for each output place o: entries begin[o] to before begin[o + 1] of the others.
struct Taps {
  int64_t inputs = 0;  // length of the axis they read
  std::vector<int64_t> begin = {0};
  std::vector<int64_t> place;
  std::vector<double> weight;
  std::vector<char> outside;  // where set, the output is the extrapolation value

  int64_t outputs() const { return static_cast<int64_t>(begin.size()) - 1; }
  // The adjoint: which outputs an input place goes into.
  Taps transposed() const;
};

// The attributes of Resize that decide on an axis.
struct Resampling {
  std::string mode = "nearest";
  std::string nearest_mode = "round_prefer_floor";
  std::string coordinates = "half_pixel";
  double cubic_a = -0.75;
  bool antialias = false;
  bool exclude_outside = false;
};

// One axis that goes from length `in` (at least 1) to `out`. `scale` is out / in before rounding;
// the region of interest goes from `roi_begin` to `roi_end` in units of the input's length.
struct ResampledAxis {
  int64_t axis = 0;
  int64_t in = 0, out = 0;
  double scale = 1;
  double roi_begin = 0, roi_end = 1;
};

// Formulas: the standard's page of Resize.
Taps taps_of(const Resampling& how, const ResampledAxis& axis);

}  // namespace onnxrun
