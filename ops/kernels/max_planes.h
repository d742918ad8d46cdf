// Maximum pools of whole planes.
#pragma once

#include <cstdint>

#include "kernels/padded_plane.h"

namespace onnxrun {

// The largest element of each window of `planes` planes, which lie one behind the other; a NaN is
// larger than all. Windows of nothing but padding get -infinity. Safe to call from many threads.
void max_planes(const PaddedPlane& p, const float* x, float* y, int64_t planes);
void max_planes(const PaddedPlane& p, const double* x, double* y, int64_t planes);
// Windows of nothing but padding get the lowest number.
void max_planes(const PaddedPlane& p, const int8_t* x, int8_t* y, int64_t planes);
void max_planes(const PaddedPlane& p, const uint8_t* x, uint8_t* y, int64_t planes);

// Where in its plane each window's largest element lies, the first of equals; -1 if all are
// -infinity or padding.
void max_places(const PaddedPlane& p, const float* x, int32_t* at, int64_t planes);
void max_places(const PaddedPlane& p, const double* x, int64_t* at, int64_t planes);

}  // namespace onnxrun
