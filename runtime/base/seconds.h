// Time as a number.
#pragma once

#include <chrono>

namespace onnxrun {

// Of a clock that never goes back, from a point in the past that stays the same.
inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace onnxrun
