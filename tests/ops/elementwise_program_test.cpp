// onnxrun.Elementwise and the kernels below it.
#include <cmath>
#include <cstring>
#include <functional>

#include "kernels/array_functions.h"
#include "kernels/expression.h"
#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

// What the functions that round once are, in the arithmetic of the language.
template <typename T>
T expected_number(ElementFunction f, T a, T b) {
  switch (f) {
    case ElementFunction::Add:
      return a + b;
    case ElementFunction::Sub:
      return a - b;
    case ElementFunction::Mul:
      return a * b;
    case ElementFunction::Div:
      return a / b;
    case ElementFunction::Min:
      return std::isnan(b) || b < a ? b : a;
    case ElementFunction::Max:
      return std::isnan(b) || b > a ? b : a;
    case ElementFunction::Neg:
      return -a;
    case ElementFunction::Abs:
      return std::abs(a);
    case ElementFunction::Round:
      return std::nearbyint(a);
    case ElementFunction::Floor:
      return std::floor(a);
    case ElementFunction::Ceil:
      return std::ceil(a);
    case ElementFunction::Reciprocal:
      return 1 / a;
    case ElementFunction::Relu:
      return a < 0 ? 0 : a;
    case ElementFunction::Sqrt:
      return std::sqrt(a);
    case ElementFunction::Less:
      return a < b;
    case ElementFunction::LessOrEqual:
      return a <= b;
    case ElementFunction::Greater:
      return a > b;
    case ElementFunction::GreaterOrEqual:
      return a >= b;
    case ElementFunction::Equal:
      return a == b;
    default:
      return 0;
  }
}

bool rounds_once(ElementFunction f) { return f <= ElementFunction::Sqrt || gives_truth(f); }

template <typename T>
std::vector<T> numbers(size_t n, uint32_t seed) {
  Tensor t = random_tensor({static_cast<int64_t>(n)}, seed, -3, 3);
  std::vector<T> result(t.data<double>(), t.data<double>() + n);
  const T special[] = {T(0), -T(0), T(INFINITY), T(-INFINITY), T(NAN), T(1), T(-1)};
  for (size_t i = 0; i < n; i += 5) result[i] = special[(i / 5 + seed) % 7];
  return result;
}

template <typename T>
bool same(T a, T b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

template <typename T>
void check_function(ElementFunction f, size_t n, unsigned repeated) {
  const std::vector<T> a = numbers<T>(n, 1), b = numbers<T>(n, 2);
  const void* operands[] = {a.data(), b.data()};
  std::vector<T> result(n + 1, T(7));
  std::vector<uint8_t> truths(n + 1, 7);
  void* out = gives_truth(f) ? static_cast<void*>(truths.data()) : result.data();
  array_function<T>(f)(operands, repeated, out, static_cast<int64_t>(n));
  for (size_t i = 0; i < n; ++i) {
    const T wanted = expected_number<T>(f, a[repeated & 1 ? 0 : i], b[repeated & 2 ? 0 : i]);
    const T found = gives_truth(f) ? static_cast<T>(truths[i]) : result[i];
    ASSERT_TRUE(same(found, wanted)) << to_string(f) << " " << i << " of " << n << ", repeated "
                                     << repeated << ": " << found << ", not " << wanted;
  }
  EXPECT_EQ(result[n], T(7)) << to_string(f) << " writes behind its end";
  EXPECT_EQ(truths[n], 7) << to_string(f) << " writes behind its end";
}

TEST(ArrayFunctions, AreThoseOfTheLanguage) {
  for (size_t k = 0; k < std::size(element_function_names); ++k) {
    const auto f = static_cast<ElementFunction>(k);
    if (!rounds_once(f)) continue;
    for (size_t n : {1, 2, 3, 7, 16, 33, 100}) {
      for (unsigned repeated = 0; repeated < (operands_of(f) == 2 ? 4u : 2u); ++repeated) {
        check_function<float>(f, n, repeated);
        check_function<double>(f, n, repeated);
      }
    }
  }
}

template <typename T>
void check_where(size_t n, unsigned repeated) {
  const std::vector<T> x = numbers<T>(n, 1), y = numbers<T>(n, 2);
  std::vector<uint8_t> condition(n);
  for (size_t i = 0; i < n; ++i) condition[i] = i % 3 == 1;
  const void* operands[] = {condition.data(), x.data(), y.data()};
  std::vector<T> result(n + 1, T(7));
  array_function<T>(ElementFunction::Where)(operands, repeated, result.data(),
                                            static_cast<int64_t>(n));
  for (size_t i = 0; i < n; ++i) {
    const T wanted =
        condition[repeated & 1 ? 0 : i] ? x[repeated & 2 ? 0 : i] : y[repeated & 4 ? 0 : i];
    ASSERT_TRUE(same(result[i], wanted)) << i << " of " << n << ", repeated " << repeated;
  }
  EXPECT_EQ(result[n], T(7));
}

TEST(ArrayFunctions, WhereChooses) {
  for (size_t n : {1, 2, 3, 7, 16, 33, 100}) {
    for (unsigned repeated = 0; repeated < 8; ++repeated) {
      check_where<float>(n, repeated);
      check_where<double>(n, repeated);
    }
  }
}

using Names = std::vector<std::string>;
using Ints = std::vector<int64_t>;

OpRun program(std::vector<Tensor> inputs, Names functions, Ints operands, Ints results) {
  const size_t outputs = results.size();
  return {"onnxrun.Elementwise",
          std::move(inputs),
          {{"functions", std::move(functions)},
           {"operands", std::move(operands)},
           {"results", std::move(results)}},
          outputs};
}

// (x + y) * x, x + y and exp(-(x + y)) with a comparison between, over inputs of all ways to
// broadcast.
TEST(Elementwise, IsWhatItIsMadeOf) {
  for (const auto& [x, y] : std::vector<std::pair<Dims, Dims>>{{{2, 3}, {2, 3}},
                                                               {{2, 3}, {3}},
                                                               {{2, 3}, {2, 1}},
                                                               {{2, 3}, {}},
                                                               {{2, 1}, {1, 3}},
                                                               {{3, 2, 4}, {2, 1}},
                                                               {{400, 3}, {3}},
                                                               {{3, 700}, {3, 1}},
                                                               {{2, 5, 300}, {5, 300}},
                                                               {{0, 3}, {3}},
                                                               {{}, {}},
                                                               {{1}, {1, 1}}}) {
    OpRun run = program({random_tensor(x, 1), random_tensor(y, 2)},
                        {"Add", "Mul", "Neg", "Exp", "Less", "Where"},
                        {0, 1, 2, 0, 2, 4, 0, 5, 6, 3, 5}, {7, 2, 3});
    run_op(run);
    expect_decomposes(run);
  }
}

TEST(Elementwise, HasTheGradientOfWhatItIsMadeOf) {
  check_gradient(program({random_tensor({2, 3}, 1), random_tensor({3}, 2, 1, 2)},
                         {"Div", "Tanh", "Mul"}, {0, 1, 2, 3, 2}, {4, 3}),
                 {.second_order = true});
}

TEST(Elementwise, RefusesWhatIsNoProgram) {
  Tensor x = random_tensor({2}, 1), truth = Tensor::of<bool>({2}, {true, false});
  expect_error(program({x}, {"Melt"}, {0}, {1}), "no elementwise function 'Melt'");
  expect_error(program({x}, {"Add"}, {0}, {1}), "operands of 'Add' are missing");
  expect_error(program({x}, {"Neg"}, {1}, {1}), "value 1 of a program");
  expect_error(program({x}, {"Neg"}, {-1}, {1}), "value -1 of a program");
  expect_error(program({x}, {"Neg"}, {0}, {0}), "value 0 of a program");
  expect_error(program({x}, {"Neg"}, {0}, {2}), "value 2 of a program");
  expect_error(program({truth}, {"Neg"}, {0}, {1}), "cannot take");
  expect_error(program({x, truth}, {"Where"}, {1, 0, 1}, {2}), "expected a number");
  expect_error(program({x}, {"Less", "Neg"}, {0, 0, 1}, {2}), "a truth value");
  expect_error(program({x}, Names(33, "Neg"), Ints(33, 0), {1}), "at most");
  expect_error(program({x, Tensor::of<float>({2}, {1, 2})}, {"Add"}, {0, 1}, {2}), "cannot take");
  expect_error(program({x, random_tensor({3}, 1)}, {"Add"}, {0, 1}, {2}), "broadcast");
}

// An output on an input that a later call reads.
TEST(Expression, WritesOverItsInputs) {
  const Program p{2, {{ElementFunction::Add, {0, 1}}, {ElementFunction::Mul, {0, 1}}}, {2, 3}};
  for (int64_t n : {3, 1000}) {
    const Dims dims{n};
    const Expression expression(p, DType::Float64, dims, {dims, dims});
    Tensor x = random_tensor(dims, 1), y = random_tensor(dims, 2);
    Tensor sum(DType::Float64, dims), product(DType::Float64, dims);
    std::vector<std::byte> scratch(static_cast<size_t>(expression.scratch()) + 64);
    auto run = [&](void* first, void* second) {
      const void* inputs[] = {x.raw(), y.raw()};
      void* outputs[] = {first, second};
      expression.run(inputs, outputs, scratch.data());
    };
    run(sum.raw(), product.raw());
    run(x.raw(), y.raw());
    EXPECT_EQ(std::memcmp(x.raw(), sum.raw(), static_cast<size_t>(x.bytes())), 0);
    EXPECT_EQ(std::memcmp(y.raw(), product.raw(), static_cast<size_t>(y.bytes())), 0);
  }
}

}  // namespace

}  // namespace onnxrun::testing
