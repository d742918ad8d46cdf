// Ordered lists of ways to compute the same.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace onnxrun {

// One way to compute what an operator does. Of a list, the first that applies to a problem runs;
// every problem has one that does.
template <typename Problem, typename... Arguments>
struct Kernel {
  std::string_view name;  // for people, who read plans
  bool (*applies)(const Problem& p);
  void (*run)(const Problem& p, Arguments... arguments);
  // Bytes of the scratch that run() is given; null: none.
  int64_t (*scratch)(const Problem& p) = nullptr;

  int64_t scratch_bytes(const Problem& p) const { return scratch ? scratch(p) : 0; }
};

template <typename Problem>
bool always(const Problem&) {
  return true;
}

template <typename List, typename Problem>
const auto& chosen(const List& kernels, const Problem& p) {
  return *std::find_if(std::begin(kernels), std::end(kernels),
                       [&](const auto& kernel) { return kernel.applies(p); });
}

}  // namespace onnxrun
