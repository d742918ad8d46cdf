// Maximum pools of images whose channels are the last axis: [batch, spatial..., channels].
#pragma once

#include <cstdint>

#include "kernels/window.h"

namespace onnxrun {

// The largest element of each window, a NaN larger than all, in the order of max_planes(); windows
// of nothing but padding get -infinity. Uses the threads of the caller's ThreadScope.
void max_channels_last(const Window& w, int64_t batch, int64_t channels, const float* x, float* y);
void max_channels_last(const Window& w, int64_t batch, int64_t channels, const double* x,
                       double* y);

}  // namespace onnxrun
