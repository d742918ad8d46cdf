#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace onnxrun {

// The length of an attribute that may be missing.
template <typename T>
size_t size_of(const std::optional<std::vector<T>>& list) {
  return list ? list->size() : 0;
}

}  // namespace onnxrun
