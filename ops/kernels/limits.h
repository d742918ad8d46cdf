// Limits of what products store.
#pragma once

#include <limits>

namespace onnxrun {

// x becomes Min(Max(x, low), high), as element_function.h has them, so that a NaN stays one.
// Neither limit is a NaN. Kernels take null for none.
template <typename T>
struct Limits {
  T low = -std::numeric_limits<T>::infinity(), high = std::numeric_limits<T>::infinity();
};

}  // namespace onnxrun
