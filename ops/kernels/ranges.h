// Ranges of numbers: those that arrays lie in, and those that functions of their elements cannot
// leave.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "graph/element_function.h"

namespace onnxrun {

// Both ends belong to it and are finite.
template <typename T>
struct Range {
  T low = 0, high = 0;
};

// The least that holds x[0, n), which is not empty; none if one of them is not finite.
std::optional<Range<float>> finite_range(const float* x, int64_t n);
std::optional<Range<double>> finite_range(const double* x, int64_t n);

// What array_function<T>(f) gives for operands from these ranges lies in the result; none if it may
// be no finite number. `is_square` says that both operands are the same number. Of what gives truth
// values the result says nothing.
template <typename T>
std::optional<Range<T>> range_through(ElementFunction f, std::span<const Range<T>> operands,
                                      bool is_square);
template <>
std::optional<Range<float>> range_through(ElementFunction f, std::span<const Range<float>> operands,
                                          bool is_square);
template <>
std::optional<Range<double>> range_through(ElementFunction f,
                                           std::span<const Range<double>> operands, bool is_square);

}  // namespace onnxrun
