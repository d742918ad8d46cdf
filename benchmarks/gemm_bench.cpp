// Matrix products of shapes that nets have. Arguments: m, n, k, whether B is transposed.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "kernels/gemm.h"

namespace onnxrun {
namespace {

using Shape = std::array<int64_t, 3>;
constexpr Shape all_shapes[] = {{1, 4, 2},       {4, 4, 4},      {8, 8, 8},       {16, 16, 16},
                                {32, 32, 32},    {64, 64, 64},   {128, 128, 128}, {256, 256, 256},
                                {512, 512, 512}, {1, 64, 64},    {1, 512, 128},   {4, 512, 128},
                                {8, 512, 128},   {32, 512, 128}, {1, 1024, 1024}, {8, 1024, 1024},
                                {32, 128, 784},  {32, 10, 128},  {256, 32, 32},   {1024, 16, 16},
                                {64, 1, 64},     {1024, 1, 512}};

void shapes(benchmark::internal::Benchmark* b) {
  for (const Shape& s : all_shapes) {
    for (int64_t transposed : {0, 1}) b->Args({s[0], s[1], s[2], transposed});
  }
}

template <typename T>
void product(benchmark::State& state) {
  int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  bool transposed = state.range(3) != 0;
  std::vector<T> a(static_cast<size_t>(m * k), T(0.5)), b(static_cast<size_t>(k * n), T(0.25));
  std::vector<T> c(static_cast<size_t>(m * n));
  for (auto _ : state) {
    gemm<T>(false, transposed, m, n, k, 1, a.data(), k, b.data(), transposed ? k : n, 0, c.data(),
            n);
    benchmark::ClobberMemory();
  }
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * static_cast<double>(m * n * k),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(product<float>)->Apply(shapes);
BENCHMARK(product<double>)->Apply(shapes);

}  // namespace
}  // namespace onnxrun
