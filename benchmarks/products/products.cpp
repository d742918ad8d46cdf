// The library's own products beside OpenBLAS's, in turns, as a table of GFLOP/s: onnxrun_products
// [SIZE...]. Each number is the best of what fits the time; that of the processor counts, which
// other programs do not take part in.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <vector>

#include "kernels/openblas.h"
#include "kernels/vector_target.h"

namespace onnxrun {
namespace {

constexpr double seconds_a_row = 0.6;
constexpr int least_rounds = 3;
// Multiplications between two looks at the clock, which is not exact to the microsecond.
constexpr int64_t least_work = int64_t{1} << 23;

template <typename F>
double seconds_of(const F& f) {
  auto now = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  f();
  return now() - start;
}

struct Times {
  double own = std::numeric_limits<double>::infinity(), openblas = own;
};

template <typename T>
Times times_of(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k) {
  const std::vector<T> a(static_cast<size_t>(m * k), T(0.5)),
      b(static_cast<size_t>(k * n), T(0.25));
  std::vector<T> c(static_cast<size_t>(m * n));
  const GemmArgs<T> args{m,
                         n,
                         k,
                         1,
                         matrix_view(a.data(), trans_a ? m : k, trans_a),
                         matrix_view(b.data(), trans_b ? k : n, trans_b),
                         0,
                         c.data(),
                         n};
  const int64_t calls = 1 + least_work / (m * n * k);
  auto by = [&](bool openblas) {
    const double all = seconds_of([&] {
      for (int64_t i = 0; i < calls; ++i) {
        openblas ? openblas_gemm(args) : gemm(args);
      }
    });
    return all / static_cast<double>(calls);
  };
  Times best;
  double spent = 0;
  for (int round = 0; round < least_rounds || spent < seconds_a_row; ++round) {
    const double own = by(false), openblas = by(true);
    best.own = std::min(best.own, own);
    best.openblas = std::min(best.openblas, openblas);
    spent += (own + openblas) * static_cast<double>(calls);
  }
  return best;
}

template <typename T>
void print_row(const char* type, int64_t m, int64_t n, int64_t k) {
  std::printf("| %s | %lld, %lld, %lld |", type, static_cast<long long>(m),
              static_cast<long long>(n), static_cast<long long>(k));
  for (bool trans_a : {false, true}) {
    for (bool trans_b : {false, true}) {
      const Times t = times_of<T>(trans_a, trans_b, m, n, k);
      const double work =
          2e-9 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
      std::printf(" %.0f / %.0f |", work / t.own, work / t.openblas);
    }
  }
  std::printf("\n");
  std::fflush(stdout);
}

void print_table(const std::vector<int64_t>& sizes) {
  std::printf("%s; OpenBLAS %s for %s; own / OpenBLAS in GFLOP/s\n\n", vector_target().c_str(),
              openblas_facts().version.c_str(), openblas_facts().core.c_str());
  std::printf("| type | m, n, k | A B | A B' | A' B | A' B' |\n|---|---|---|---|---|---|\n");
  for (int64_t n : sizes) {
    print_row<float>("float", n, n, n);
    print_row<double>("double", n, n, n);
  }
  // A batch of few rows against a large matrix.
  for (int64_t m : {1, 16}) {
    print_row<float>("float", m, 4096, 4096);
    print_row<double>("double", m, 4096, 4096);
  }
}

}  // namespace
}  // namespace onnxrun

int main(int argc, char** argv) {
  std::vector<int64_t> sizes;
  for (int i = 1; i < argc; ++i) sizes.push_back(std::atoll(argv[i]));
  if (sizes.empty()) sizes = {64, 128, 256, 512, 1024, 2048, 4096};
  onnxrun::print_table(sizes);
}
