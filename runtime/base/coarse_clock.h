// A clock that costs less than the smallest operator to look at.
#pragma once

#include <time.h>

#include <chrono>

namespace onnxrun {

// How far coarse_now() may lie behind std::chrono::steady_clock: a tick of the kernel, 10 ms where
// it has the longest.
inline constexpr std::chrono::milliseconds coarse_lag{10};

// The same clock as std::chrono::steady_clock, as it stood at the kernel's last tick.
inline std::chrono::steady_clock::time_point coarse_now() {
#ifdef CLOCK_MONOTONIC_COARSE
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return std::chrono::steady_clock::time_point(std::chrono::seconds(t.tv_sec) +
                                               std::chrono::nanoseconds(t.tv_nsec));
#else
  return std::chrono::steady_clock::now();
#endif
}

}  // namespace onnxrun
