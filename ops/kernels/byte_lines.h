// Lines of bytes to padded planes (flat_windows.h) and back, by vectors.
#pragma once

#include <cstdint>

#include "kernels/byte_dots.h"
#include "kernels/flat_windows.h"

namespace onnxrun {

// What is written behind the last plane.
constexpr int64_t plane_slack = 2 * FlatWindows::slack;

// f.pack_input() of `channels` channels, as unsigned bytes: channels * f.plane_size() +
// plane_slack.
void pack_planes(const FlatWindows& f, const Bytes& x, int64_t channels, uint8_t padding,
                 uint8_t* planes);

// f.unpack_output().
void unpack_bytes(const FlatWindows& f, const uint8_t* flat, int64_t at, int64_t size, uint8_t* y);

}  // namespace onnxrun
