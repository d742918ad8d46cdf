// Interpolation at places that data gives, as standard operators.
#pragma once

#include "kernels/composed.h"

namespace onnxrun {

enum class Interpolation : uint8_t { Nearest, Linear, Cubic };
// What pixels outside are: zero, the nearest pixel, or the mirrored one.
enum class Outside : uint8_t { Zeros, Border, Reflection };

struct Sampling {
  Interpolation interpolation = Interpolation::Linear;
  Outside outside = Outside::Zeros;
  bool align_corners =
      false;  // mirrors stand in the middle of the outer pixels, not at their edges
};

// The type that samples of `x` at places of type `places` are computed in: a float.
DType sampling_type(DType x, DType places);

// x [N, C, D1, ..., Dr] at P places of each image: [N, C, P]. Places have one tensor [N, P] for
// each of the r axes, in pixels, of the type that sampling_type() says. Nearest samples have x's
// type, others that of the places. The gradient goes to x and, through the weights, to the places.
ValueId emit_samples(const Emit& e, ValueId x, std::vector<ValueId> places, const Sampling& how);

}  // namespace onnxrun
