// Targets that a loss has no meaning for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "fit/target_reading.h"
#include "graph/graph.h"
#include "tensor/tensor.h"
#include "training/loss.h"

namespace onnxrun {

// The first number that `wanted` takes; none of strings.
template <typename Wanted>
std::optional<double> find_number(const Tensor& t, const Wanted& wanted) {
  auto find = [&](const auto* values) -> std::optional<double> {
    for (int64_t i = 0; i < t.size(); ++i) {
      if (wanted(static_cast<double>(values[i]))) return static_cast<double>(values[i]);
    }
    return std::nullopt;
  };
  if (!t.defined() || t.dtype() == DType::String || is_complex(t.dtype())) return std::nullopt;
  if (t.dtype() == DType::Float32) return find(t.data<float>());
  if (t.dtype() == DType::Int64) return find(t.data<int64_t>());
  if (t.dtype() == DType::UInt8) return find(t.data<uint8_t>());
  return find(to_doubles(t).data());
}

// `target` as the array `key` has it, or indices of the classes that it names. Throws BadInput for
// numbers that the loss, whose output `reading` compares it with, would take for something else:
// classes that the output does not have, probabilities beyond 0 and 1, other signs than -1 and 1.
// What is not finite is left to the training.
void check_targets(const Graph& graph, const LossOptions& loss, const std::string& key,
                   const Tensor& target, const std::optional<TargetReading>& reading);

}  // namespace onnxrun
