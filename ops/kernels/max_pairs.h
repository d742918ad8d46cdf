// Maximum pools whose windows are pairs of columns that lie apart, and their gradients.
#pragma once

#include <cstdint>

#include "kernels/padded_plane.h"

namespace onnxrun {

// Windows of two columns and any number of lines, side by side, without padding.
bool has_pairs(const PaddedPlane& p);

// As max_planes(), where has_pairs().
void max_pairs(const PaddedPlane& p, const float* x, float* y, int64_t planes);
void max_pairs(const PaddedPlane& p, const double* x, double* y, int64_t planes);

// What a maximum pool's gradient goes from and to: `planes` planes of each, one behind the other.
template <typename T>
struct MaxCotangents {
  const T *dy, *x;
  T* dx;
  int64_t planes;
  // x is a Relu's, through which nothing goes where it is not above 0.
  bool rectified;
};
// Each window's cotangent goes to its largest element, the first of equals.
void pair_gradient(const PaddedPlane& p, const MaxCotangents<float>& c);
void pair_gradient(const PaddedPlane& p, const MaxCotangents<double>& c);

}  // namespace onnxrun
