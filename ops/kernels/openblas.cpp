#include "kernels/openblas.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <semaphore>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/shared_library.h"
#include "base/threads.h"
#include "kernels/vector_target.h"

namespace onnxrun {

namespace {

// What the interfaces of CBLAS and LAPACK fix.
enum Order { RowMajor = 101 };
enum Transposition { AsIs = 111, Transposed = 112 };
template <typename T>
using Gemm = void(Order, Transposition, Transposition, int m, int n, int k, T alpha, const T* a,
                  int lda, const T* b, int ldb, T beta, T* c, int ldc);
using Factorize = void(const int* m, const int* n, double* a, const int* lda, int* pivots,
                       int* info);
using Solve = void(const char* transposition, const int* n, const int* columns, const double* a,
                   const int* lda, const int* pivots, double* b, const int* ldb, int* info,
                   size_t text_length);

constexpr const char* not_there =
    "products by OpenBLAS need libopenblas.so.0 without threads of its own (libopenblas0-serial)";

// Debian keeps the variants apart, and one of them, with threads as a rule, under the common name.
std::vector<const char*> names() {
#ifdef ONNXRUN_OPENBLAS
  return {ONNXRUN_OPENBLAS, "libopenblas.so.0"};
#else
  fail(ErrorKind::Unsupported, "this build has no OpenBLAS (ONNXRUN_OPENBLAS=OFF)");
#endif
}

struct Library {
  SharedLibrary library{names(), not_there};
  Gemm<float>* sgemm = library.find<Gemm<float>*>("cblas_sgemm");
  Gemm<double>* dgemm = library.find<Gemm<double>*>("cblas_dgemm");
  Factorize* dgetrf = library.find<Factorize*>("dgetrf_");
  Solve* dgetrs = library.find<Solve*>("dgetrs_");
  OpenBlasFacts facts;
  // It has memory for a few hundred calls at a time.
  static constexpr int most_calls = 256;
  mutable std::counting_semaphore<most_calls> calls{most_calls};

  Library() {
    if (library.find<int (*)()>("openblas_get_parallel")() != 0) {
      fail(ErrorKind::Unsupported, "{}; the one there has threads", not_there);
    }
    // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
    const std::string config = library.find<char* (*)()>("openblas_get_config")();
    const size_t begin = config.find(' ') + 1;
    facts.version = config.substr(begin, config.find(' ', begin) - begin);
    facts.core = library.find<char* (*)()>("openblas_get_corename")();
    facts.is_generic = is_generic(facts.core);
  }

  static bool is_generic(std::string_view core) {
#if defined(__x86_64__)
    constexpr std::array with_avx2 = {"Haswell",  "Zen",        "Excavator",
                                      "SkylakeX", "Cooperlake", "SapphireRapids"};
    return vector_bytes() >= 32 &&
           std::find(with_avx2.begin(), with_avx2.end(), core) == with_avx2.end();
#else
    return core == "armv8" || core == "ARMV8" || core == "generic" || core == "Generic";
#endif
  }
};

const Library& library() {
  static const Library loaded;
  return loaded;
}

class Call {
 public:
  Call() { library().calls.acquire(); }
  ~Call() { library().calls.release(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
};

// What one call computes of C: enough for a call to be worth its packing of operands.
constexpr int64_t piece_rows = 256, piece_columns = 512;

std::atomic<int64_t> least_work = int64_t{1} << 24;

// A matrix as BLAS has it, of `columns` numbers a row as stored.
struct Stored {
  Transposition transposition = AsIs;
  int64_t ld = 0;
  bool is_there = false;

  template <typename T>
  Stored(const MatrixView<T>& x, int64_t rows, int64_t columns) {
    if (x.column_step == 1 && x.row_step >= columns) {
      *this = Stored(AsIs, x.row_step);
    } else if (x.row_step == 1 && x.column_step >= rows) {
      *this = Stored(Transposed, x.column_step);
    }
  }

 private:
  Stored(Transposition t, int64_t distance)
      : transposition(t), ld(distance), is_there(distance <= INT32_MAX) {}
};

template <typename T>
void limit(const Limits<T>& limits, T* c, int64_t ldc, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i) {
    for (T* at = c + i * ldc; at != c + i * ldc + columns; ++at) {
      // A NaN stays.
      if (*at < limits.low) *at = limits.low;
      if (*at > limits.high) *at = limits.high;
    }
  }
}

template <typename T>
void multiply(const GemmArgs<T>& g, Gemm<T>* call) {
  if (g.m <= 0 || g.n <= 0) return;
  const Stored a(g.a, g.m, g.k), b(g.b, g.k, g.n);
  const bool fits = std::max({g.m, g.n, g.k, g.ldc}) <= INT32_MAX && a.is_there && b.is_there;
  if (!fits || g.k == 0 || g.alpha == 0) return gemm(g);
  const int64_t row_pieces = (g.m + piece_rows - 1) / piece_rows;
  const int64_t column_pieces = (g.n + piece_columns - 1) / piece_columns;
  parallel_for(row_pieces * column_pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t row = piece / column_pieces * piece_rows;
      const int64_t column = piece % column_pieces * piece_columns;
      const int64_t rows = std::min(piece_rows, g.m - row);
      const int64_t columns = std::min(piece_columns, g.n - column);
      T* c = g.c + row * g.ldc + column;
      {
        const Call one;
        call(RowMajor, a.transposition, b.transposition, static_cast<int>(rows),
             static_cast<int>(columns), static_cast<int>(g.k), g.alpha,
             g.a.data + row * g.a.row_step, static_cast<int>(a.ld),
             g.b.data + column * g.b.column_step, static_cast<int>(b.ld), g.beta, c,
             static_cast<int>(g.ldc));
      }
      if (g.limits) limit(*g.limits, c, g.ldc, rows, columns);
    }
  });
}

struct ByOpenBlas final : KernelState {
  std::string_view kernel() const override { return "openblas"; }
};

}  // namespace

const OpenBlasFacts& openblas_facts() { return library().facts; }

void require_products(Products products) {
  if (products == Products::OpenBlas) library();
}

bool has_openblas() {
  try {
    library();
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool openblas_takes(Products products, int64_t m, int64_t n, int64_t k) {
  if (products != Products::OpenBlas || std::max({m, n, k}) > INT32_MAX) return false;
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  return work > 0 && work >= static_cast<double>(least_work.load());
}

OpenBlasFrom::OpenBlasFrom(int64_t multiplications)
    : previous_(least_work.exchange(multiplications)) {}
OpenBlasFrom::~OpenBlasFrom() { least_work = previous_; }

void openblas_gemm(const GemmArgs<float>& args) { multiply(args, library().sgemm); }
void openblas_gemm(const GemmArgs<double>& args) { multiply(args, library().dgemm); }

// LAPACK's matrices are column-major: it sees the transposed one.
OpenBlasFactors::OpenBlasFactors(double* matrix, int64_t n)
    : a_(matrix),
      n_(static_cast<int>(n)),
      pivots_(std::make_unique<int[]>(static_cast<size_t>(n))) {
  const Call one;
  int info = 0;
  library().dgetrf(&n_, &n_, a_, &n_, pivots_.get(), &info);
  regular_ = info == 0;
}

double OpenBlasFactors::determinant() const {
  if (!regular_) return 0;
  double det = 1;
  for (int64_t i = 0; i < n_; ++i) {
    const bool swapped = pivots_[static_cast<size_t>(i)] != i + 1;
    det *= swapped ? -a_[i * n_ + i] : a_[i * n_ + i];
  }
  return det;
}

double OpenBlasFactors::pivot_ratio() const {
  double least = HUGE_VAL, most = 0;
  for (int64_t i = 0; i < n_; ++i) {
    least = std::min(least, std::abs(a_[i * n_ + i]));
    most = std::max(most, std::abs(a_[i * n_ + i]));
  }
  return least / most;
}

void OpenBlasFactors::invert(bool transposed_inverse, double* out) const {
  std::fill_n(out, int64_t{n_} * n_, 0.0);
  for (int64_t i = 0; i < n_; ++i) out[i * n_ + i] = 1;
  const Call one;
  const char transposition = transposed_inverse ? 'T' : 'N';
  int info = 0;
  library().dgetrs(&transposition, &n_, &n_, a_, &n_, pivots_.get(), out, &n_, &info, 1);
}

std::unique_ptr<KernelState> prepare_square(const PrepareContext& c) {
  const Dims& dims = c.input(0).dims();
  const int64_t n = dims.empty() ? 0 : dims.back();
  if (!openblas_takes(c.products(), n, n, n)) return nullptr;
  return std::make_unique<ByOpenBlas>();
}

}  // namespace onnxrun
