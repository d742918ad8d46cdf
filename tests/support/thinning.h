// How much of a long sweep runs.
#pragma once

#include <cstdint>

namespace onnxrun {

// Sweeps over thousands of cases take every thinning-th. Sanitizers make the sweeps tens of times
// slower, and what they look for does not hide between neighbouring cases.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int64_t thinning = 5;
#else
inline constexpr int64_t thinning = 1;
#endif

}  // namespace onnxrun
