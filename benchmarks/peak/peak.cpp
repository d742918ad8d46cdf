// What one thread of this machine reaches at most, as JSON: fused multiplications and additions a
// second, both of which count, and the bytes a second of reading four megabytes and writing four.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "peak/peak.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <vector>

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Twelve chains: more than a processor has in flight. Returns the operations, sets `result`.
template <typename T>
int64_t multiply_and_add(int64_t rounds, T* result) {
  const hn::ScalableTag<T> d;
  const auto x = hn::Set(d, T(0.999)), y = hn::Set(d, T(0.001));
  // Different ones, which a compiler cannot compute once.
  const auto first = hn::Iota(d, T(0)), next = hn::Set(d, T(64));
  auto a0 = first, a1 = hn::Add(a0, next), a2 = hn::Add(a1, next), a3 = hn::Add(a2, next),
       a4 = hn::Add(a3, next), a5 = hn::Add(a4, next), a6 = hn::Add(a5, next),
       a7 = hn::Add(a6, next), a8 = hn::Add(a7, next), a9 = hn::Add(a8, next),
       a10 = hn::Add(a9, next), a11 = hn::Add(a10, next);
  for (int64_t i = 0; i < rounds; ++i) {
    a0 = hn::MulAdd(a0, x, y);
    a1 = hn::MulAdd(a1, x, y);
    a2 = hn::MulAdd(a2, x, y);
    a3 = hn::MulAdd(a3, x, y);
    a4 = hn::MulAdd(a4, x, y);
    a5 = hn::MulAdd(a5, x, y);
    a6 = hn::MulAdd(a6, x, y);
    a7 = hn::MulAdd(a7, x, y);
    a8 = hn::MulAdd(a8, x, y);
    a9 = hn::MulAdd(a9, x, y);
    a10 = hn::MulAdd(a10, x, y);
    a11 = hn::MulAdd(a11, x, y);
  }
  const auto all = hn::Add(
      hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), hn::Add(hn::Add(a4, a5), hn::Add(a6, a7))),
      hn::Add(hn::Add(a8, a9), hn::Add(a10, a11)));
  *result = hn::GetLane(all);
  return 2 * 12 * rounds * static_cast<int64_t>(hn::Lanes(d));
}

int64_t multiply_floats(int64_t rounds, float* result) { return multiply_and_add(rounds, result); }
int64_t multiply_doubles(int64_t rounds, double* result) {
  return multiply_and_add(rounds, result);
}

void copy_floats(const float* from, float* to, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i + lanes <= count; i += lanes) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(multiply_floats);
HWY_EXPORT(multiply_doubles);
HWY_EXPORT(copy_floats);

namespace {

// The least of many times, as the rows of the tables are.
template <typename F>
double best_seconds(const F& f) {
  using Clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 200; ++round) {
    const auto start = Clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

void print_peaks() {
  constexpr int64_t rounds = 20'000, count = 1 << 20;
  float result = 0;
  double result_double = 0;
  int64_t operations = 0, operations_double = 0;
  const double floats =
      best_seconds([&] { operations = HWY_DYNAMIC_DISPATCH(multiply_floats)(rounds, &result); });
  const double doubles = best_seconds(
      [&] { operations_double = HWY_DYNAMIC_DISPATCH(multiply_doubles)(rounds, &result_double); });
  std::vector<float> from(count, result), to(count, static_cast<float>(result_double));
  const double copy = best_seconds([&] {
    HWY_DYNAMIC_DISPATCH(copy_floats)
    (from.data(), to.data(), count);
  });
  std::printf("{\"float_operations\": %.4g, \"double_operations\": %.4g, \"bytes\": %.4g}\n",
              static_cast<double>(operations) / floats,
              static_cast<double>(operations_double) / doubles,
              static_cast<double>(2 * count * sizeof(float)) / copy);
}

}  // namespace
}  // namespace onnxrun

int main() { onnxrun::print_peaks(); }
#endif  // HWY_ONCE
