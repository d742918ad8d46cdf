// Maximum pools of whole planes.
#pragma once

#include <cstdint>

#include "kernels/padded_plane.h"

namespace onnxrun {

// The largest element of each window of `planes` planes, which lie one behind the other; a NaN is
// larger than all. Windows of nothing but padding get -infinity. Safe to call from many threads.
void max_planes(const PaddedPlane& p, const float* x, float* y, int64_t planes);
void max_planes(const PaddedPlane& p, const double* x, double* y, int64_t planes);

}  // namespace onnxrun
