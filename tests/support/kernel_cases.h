// What tests of kernels share: instruction sets, shapes of convolutions, bytes.
#pragma once

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <random>
#include <string>
#include <vector>

#include "kernels/conv_shape.h"

namespace onnxrun::testing {

// Tests of suites derived from this run once for each instruction set of this processor:
//   INSTANTIATE_TEST_SUITE_P(Targets, Suite, every_target(), target_name);
class EveryTarget : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};
inline auto every_target() { return ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()); }
inline std::string target_name(const ::testing::TestParamInfo<int64_t>& row) {
  return hwy::TargetName(row.param);
}

struct ConvCase {
  int64_t batch, groups, in_channels, out_channels;
  Dims input, kernel, strides, dilations, pads;
};

inline ConvShape shape_of(const ConvCase& c) {
  Window w{c.input, {}, c.kernel, c.strides, c.dilations, c.pads, c.pads};
  for (size_t i = 0; i < w.rank(); ++i) {
    w.output.push_back((c.input[i] + 2 * c.pads[i] - w.extent(i)) / c.strides[i] + 1);
  }
  return {w, c.batch, c.groups, c.in_channels, c.out_channels};
}

using ByteList = std::vector<uint8_t>;

inline int32_t number(uint8_t byte, bool is_signed) {
  return is_signed ? static_cast<int8_t>(byte) : byte;
}

// Of a list of kernels, those that apply to `p`.
template <typename List, typename Problem>
auto applicable(const List& kernels, const Problem& p) {
  std::vector<typename List::value_type> result;
  for (const auto& kernel : kernels) {
    if (kernel.applies(p)) result.push_back(kernel);
  }
  return result;
}

}  // namespace onnxrun::testing
