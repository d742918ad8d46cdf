#include "kernels/convolution.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "kernels/flat_convolver.h"
#include "kernels/matrix_convolution.h"
#include "support/kernel_cases.h"

namespace onnxrun {
namespace {

using testing::applicable, testing::shape_of;
using Case = testing::ConvCase;

// Every kernel applies to some of them.
const std::vector<Case> cases = {
    {2, 1, 1, 1, {7}, {3}, {1}, {1}, {1}},
    {1, 2, 3, 2, {19}, {4}, {2}, {3}, {4}},
    {3, 1, 2, 5, {9, 8}, {3, 2}, {1, 1}, {1, 1}, {0, 0}},
    {2, 1, 3, 9, {10, 33}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 3, 1, 1, {11, 9}, {3, 3}, {1, 1}, {2, 1}, {2, 1}},
    {2, 4, 1, 2, {12, 13}, {5, 3}, {2, 3}, {1, 1}, {2, 0}},
    {1, 3, 1, 1, {12, 12}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {9, 1, 4, 3, {8, 8}, {3, 3}, {2, 2}, {1, 2}, {1, 2}},
    {1, 1, 2, 17, {20, 40}, {1, 5}, {1, 1}, {1, 1}, {0, 2}},
    {1, 2, 2, 2, {4, 6, 9}, {2, 3, 2}, {1, 2, 1}, {1, 1, 2}, {1, 1, 0}},
    {1, 1, 1, 2, {3, 4, 3, 4}, {2, 2, 2, 2}, {1, 1, 1, 1}, {1, 1, 1, 1}, {0, 1, 0, 1}},
};

template <typename T>
std::vector<T> numbers(int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<T> values(static_cast<size_t>(n));
  for (T& v : values) v = static_cast<T>(uniform(random));
  return values;
}

template <typename T>
void expect_near(const std::vector<T>& actual, const std::vector<T>& expected) {
  double tolerance = sizeof(T) == 4 ? 1e-4 : 1e-12;
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance) << "element " << i;
  }
}

// Operands and results of the three functions.
template <typename T>
struct Operands {
  ConvPlan plan;
  std::vector<T> x, w, bias, dy;

  explicit Operands(const Case& c)
      : plan(shape_of(c)),
        x(numbers<T>(shape().x_at(shape().batch, 0), 1)),
        w(numbers<T>(shape().w_at(shape().groups), 2)),
        bias(numbers<T>(shape().groups * std::max(shape().in_channels, shape().out_channels), 4)),
        dy(numbers<T>(shape().y_at(shape().batch, 0), 3)) {}
  const ConvShape& shape() const { return plan.shape; }

  std::vector<T> forward(const ConvForwardKernel<T>& kernel) const {
    std::vector<T> y(dy.size());
    kernel.run(plan, x.data(), w.data(), bias.data(), y.data(), nullptr);
    return y;
  }
  std::vector<T> input_grad(const ConvInputGradKernel<T>& kernel) const {
    std::vector<T> dx(x.size());
    kernel.run(plan, dy.data(), w.data(), bias.data(), dx.data());
    return dx;
  }
  std::vector<T> weight_grad(const ConvWeightGradKernel<T>& kernel) const {
    std::vector<T> dw(w.size());
    kernel.run(plan, x.data(), dy.data(), dw.data());
    return dw;
  }
};

using Names = std::set<std::string_view>;

// What the last of `kernels`, which always applies, computes all others must, too.
template <typename T, typename List, typename F>
void compare_all(const List& kernels, const ConvPlan& plan, Names& seen, const F& result) {
  const auto fitting = applicable(kernels, plan);
  const std::vector<T> expected = result(fitting.back());
  for (const auto& kernel : fitting) {
    SCOPED_TRACE(kernel.name);
    seen.insert(kernel.name);
    expect_near(result(kernel), expected);
  }
}

struct Seen {
  Names forward, input_grad, weight_grad;
};

template <typename T>
void compare(const Case& c, Seen& seen) {
  const Operands<T> o(c);
  const ConvKernels<T> kernels = conv_kernels<T>();
  compare_all<T>(kernels.forward, o.plan, seen.forward,
                 [&](const auto& kernel) { return o.forward(kernel); });
  compare_all<T>(kernels.input_grad, o.plan, seen.input_grad,
                 [&](const auto& kernel) { return o.input_grad(kernel); });
  compare_all<T>(kernels.weight_grad, o.plan, seen.weight_grad,
                 [&](const auto& kernel) { return o.weight_grad(kernel); });
}

class Convolutions : public testing::EveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, Convolutions, testing::every_target(), testing::target_name);

TEST_P(Convolutions, EveryWayGivesTheSame) {
  Seen seen;
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    compare<float>(cases[i], seen);
    compare<double>(cases[i], seen);
  }
  EXPECT_EQ(seen.forward, (Names{"depthwise", "flat", "matrix"}));
  EXPECT_EQ(seen.input_grad, (Names{"depthwise", "flat", "matrix"}));
  EXPECT_EQ(seen.weight_grad, (Names{"flat", "matrix"}));
}

// Sums of no terms.
TEST(ConvPlan, WithoutWeightsBiasesAreAllThereIs) {
  const Operands<float> o({2, 2, 0, 3, {5}, {2}, {1}, {1}, {1}});
  const auto& kernel = chosen(conv_kernels<float>().forward, o.plan);
  EXPECT_EQ(kernel.name, "bias");
  const std::vector<float> y = o.forward(kernel),
                           matrix = o.forward(conv_kernels<float>().forward.back());
  EXPECT_EQ(y, matrix);
  EXPECT_EQ(y[0], o.bias[0]);
}

// Lines of all lengths, kernels that are and are not unrolled, padding that cuts input off.
template <typename T>
void compare_depthwise() {
  const std::vector<Case> depthwise = {
      {1, 3, 1, 1, {12, 12}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {2, 2, 1, 3, {9, 31}, {3, 3}, {1, 1}, {1, 2}, {0, 2}},
      {1, 2, 1, 1, {13, 40}, {3, 3}, {2, 1}, {1, 1}, {1, 1}},
      {1, 2, 1, 2, {11, 50}, {5, 3}, {1, 1}, {2, 1}, {3, 0}},
      {1, 1, 1, 1, {6, 33}, {2, 7}, {3, 1}, {1, 2}, {2, 5}},
      {3, 2, 1, 1, {70}, {4}, {1}, {3}, {2}},
      {1, 2, 1, 1, {9, 30}, {3, 3}, {1, 1}, {1, 1}, {-2, -3}},
  };
  for (size_t i = 0; i < depthwise.size(); ++i) {
    SCOPED_TRACE(i);
    ConvShape s = shape_of(depthwise[i]);
    ConvPlan plan(s);
    ASSERT_TRUE(plan.flat && plan.depthwise);
    auto x = numbers<T>(s.x_at(s.batch, 0), 1), w = numbers<T>(s.w_at(s.groups), 2);
    auto bias = numbers<T>(s.groups * s.out_channels, 4);
    for (const T* b : {static_cast<const T*>(nullptr), static_cast<const T*>(bias.data())}) {
      std::vector<T> flat(static_cast<size_t>(s.y_at(s.batch, 0))), lines(flat.size());
      FlatConvolver<T>(s, *plan.flat).forward(x.data(), w.data(), b, flat.data());
      convolve_depthwise(s, *plan.depthwise, x.data(), w.data(), b, lines.data());
      ASSERT_EQ(flat, lines);
    }
  }
}

TEST_P(Convolutions, LinesHaveTheBitsOfPlanes) {
  compare_depthwise<float>();
  compare_depthwise<double>();
}

// One image in padding of any size: the planes would be larger than the image by far.
TEST(ConvPlan, HugeWindowsAreNoReasonForHugeMemory) {
  Case c{1, 1, 1, 1, {2}, {2}, {1 << 20}, {1 << 29}, {1 << 29}};
  EXPECT_FALSE(ConvPlan(shape_of(c)).flat);
}

}  // namespace
}  // namespace onnxrun
