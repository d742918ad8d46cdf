#include "kernels/gemm.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/threads.h"
#include "support/thinning.h"

namespace onnxrun {
namespace {

class Gemm : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

INSTANTIATE_TEST_SUITE_P(Targets, Gemm, ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& row) { return std::string(hwy::TargetName(row.param)); });

struct GemmCase {
  bool trans_a, trans_b;
  int64_t m, n, k;
  double alpha = 1, beta = 0;
  int64_t extra = 0;  // how much longer the rows of all matrices are than need be
};

std::ostream& operator<<(std::ostream& out, const GemmCase& c) {
  return out << (c.trans_a ? "T" : "N") << (c.trans_b ? "T" : "N") << " m " << c.m << " n " << c.n
             << " k " << c.k << " alpha " << c.alpha << " beta " << c.beta << " extra " << c.extra;
}

template <typename T>
std::vector<T> random_values(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<T> v(static_cast<size_t>(count));
  for (T& x : v) {
    if constexpr (std::is_integral_v<T>) {
      x = static_cast<T>(generator() * 0x10000001ull);
    } else {
      x = static_cast<T>(std::uniform_real_distribution<double>(-1, 1)(generator));
    }
  }
  return v;
}

template <typename T>
struct GemmOperands {
  int64_t lda, ldb, ldc;
  std::vector<T> a, b, c;

  explicit GemmOperands(const GemmCase& s)
      : lda((s.trans_a ? s.m : s.k) + s.extra),
        ldb((s.trans_b ? s.k : s.n) + s.extra),
        ldc(s.n + s.extra),
        a(random_values<T>((s.trans_a ? s.k : s.m) * lda, 1)),
        b(random_values<T>((s.trans_b ? s.n : s.k) * ldb, 2)),
        c(random_values<T>(s.m * ldc, 3)) {}

  void multiply(const GemmCase& s) {
    gemm<T>(s.trans_a, s.trans_b, s.m, s.n, s.k, static_cast<T>(s.alpha), a.data(), lda, b.data(),
            ldb, static_cast<T>(s.beta), c.data(), ldc);
  }
  T a_at(const GemmCase& s, int64_t i, int64_t p) const {
    return a[static_cast<size_t>(s.trans_a ? p * lda + i : i * lda + p)];
  }
  T b_at(const GemmCase& s, int64_t p, int64_t j) const {
    return b[static_cast<size_t>(s.trans_b ? j * ldb + p : p * ldb + j)];
  }
  T c_at(int64_t i, int64_t j) const { return c[static_cast<size_t>(i * ldc + j)]; }
};

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <typename T>
void expect_product(const GemmCase& s) {
  SCOPED_TRACE(::testing::Message() << s << " of " << typeid(T).name());
  GemmOperands<T> x(s);
  GemmOperands<T> old = x;
  // What must not be read: C if beta is 0.
  if (s.beta == 0) std::fill(x.c.begin(), x.c.end(), std::numeric_limits<T>::quiet_NaN());
  x.multiply(s);
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < x.ldc; ++j) {
      if (j >= s.n) {
        ASSERT_TRUE(s.beta == 0 ? std::isnan(x.c_at(i, j)) : x.c_at(i, j) == old.c_at(i, j))
            << "wrote past row " << i;
        continue;
      }
      double sum = 0, magnitude = 0;
      for (int64_t p = 0; p < s.k; ++p) {
        double term = static_cast<double>(x.a_at(s, i, p)) * x.b_at(s, p, j);
        sum += term;
        magnitude += std::fabs(term);
      }
      int64_t roundings = 8 + s.k / 8;
      double expected = s.alpha * sum + (s.beta == 0 ? 0 : s.beta * old.c_at(i, j));
      double tolerance = (std::fabs(s.alpha) * magnitude + std::fabs(s.beta) + 1e-30) *
                         std::numeric_limits<T>::epsilon() * static_cast<double>(roundings);
      ASSERT_NEAR(x.c_at(i, j), expected, tolerance) << "row " << i << " column " << j;
    }
  }
}

std::vector<GemmCase> gemm_cases() {
  std::vector<GemmCase> all;
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) {
      for (int64_t m : {0, 1, 2, 3, 5, 8, 13, 17}) {
        for (int64_t n : {0, 1, 2, 7, 16, 31, 33, 70}) {
          for (int64_t k : {0, 1, 2, 5, 16, 37}) all.push_back({ta, tb, m, n, k});
        }
      }
      for (double alpha : {1.0, -0.5}) {
        for (double beta : {0.0, 1.0, 2.5}) {
          for (int64_t extra : {0, 3}) {
            all.push_back({ta, tb, 4, 9, 6, alpha, beta, extra});
            all.push_back({ta, tb, 1, 40, 300, alpha, beta, extra});
            all.push_back({ta, tb, 40, 1, 300, alpha, beta, extra});
            all.push_back({ta, tb, 19, 130, 140, alpha, beta, extra});
            all.push_back({ta, tb, 70, 75, 530, alpha, beta, extra});
          }
        }
      }
      all.push_back({ta, tb, 33, 1100, 60});
      // Rows that lie far apart, and so that they clash in the cache.
      all.push_back({ta, tb, 31, 90, 300, 1, 1, 500});
      all.push_back({ta, tb, 13, 96, 270, 1, 0, 4000});
    }
  }
  return all;
}

TEST_P(Gemm, IsTheProduct) {
  const std::vector<GemmCase> all = gemm_cases();
  for (size_t i = 0; i < all.size(); i += thinning) {
    expect_product<float>(all[i]);
    expect_product<double>(all[i]);
  }
}

// Rows one by one, columns one by one and transposed copies give the bits of the whole product.
template <typename T>
void expect_same_bits_in_parts(const GemmCase& s) {
  SCOPED_TRACE(::testing::Message() << s << " of " << typeid(T).name());
  GemmOperands<T> whole(s);
  GemmOperands<T> parts = whole;
  whole.multiply(s);
  std::vector<T> column(static_cast<size_t>(s.m * s.n));
  for (int64_t i = 0; i < s.m; ++i) {
    const T* a = parts.a.data() + (s.trans_a ? i : i * parts.lda);
    gemm<T>(s.trans_a, s.trans_b, 1, s.n, s.k, static_cast<T>(s.alpha), a, parts.lda,
            parts.b.data(), parts.ldb, static_cast<T>(s.beta), parts.c.data() + i * parts.ldc,
            parts.ldc);
  }
  ASSERT_TRUE(same_bits(whole.c, parts.c)) << "by rows";
  parts = GemmOperands<T>(s);
  for (int64_t j = 0; j < s.n; ++j) {
    const T* b = parts.b.data() + (s.trans_b ? j * parts.ldb : j);
    gemm<T>(s.trans_a, s.trans_b, s.m, 1, s.k, static_cast<T>(s.alpha), parts.a.data(), parts.lda,
            b, parts.ldb, static_cast<T>(s.beta), parts.c.data() + j, parts.ldc);
  }
  ASSERT_TRUE(same_bits(whole.c, parts.c)) << "by columns";
  GemmCase plain = s;
  plain.trans_a = plain.trans_b = false;
  GemmOperands<T> copy(plain);
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t p = 0; p < s.k; ++p) {
      copy.a[static_cast<size_t>(i * copy.lda + p)] = whole.a_at(s, i, p);
    }
  }
  for (int64_t p = 0; p < s.k; ++p) {
    for (int64_t j = 0; j < s.n; ++j) {
      copy.b[static_cast<size_t>(p * copy.ldb + j)] = whole.b_at(s, p, j);
    }
  }
  copy.multiply(plain);
  ASSERT_TRUE(same_bits(whole.c, copy.c)) << "transposed";
}

TEST_P(Gemm, ElementsDoNotDependOnTheShapeAround) {
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) {
      for (const GemmCase& s : std::vector<GemmCase>{{ta, tb, 4, 3, 5, 0.7, 0.3},
                                                     {ta, tb, 9, 21, 300, 1, 0},
                                                     {ta, tb, 40, 150, 270, -2, 1},
                                                     {ta, tb, 31, 90, 300, 1, 1, 500},
                                                     {ta, tb, 13, 96, 270, 1, 0, 4000},
                                                     {ta, tb, 3, 700, 64, 1, 0}}) {
        expect_same_bits_in_parts<float>(s);
        expect_same_bits_in_parts<double>(s);
      }
    }
  }
}

// The number of kernels that apply.
template <typename T>
size_t expect_same_bits_by_all(const GemmCase& s) {
  SCOPED_TRACE(::testing::Message() << s << " of " << typeid(T).name());
  GemmOperands<T> expected(s);
  expected.multiply(s);
  size_t count = 0;
  for (const GemmKernel<T>& kernel : gemm_kernels<T>()) {
    GemmOperands<T> x(s);
    const GemmArgs<T> args{s.m,
                           s.n,
                           s.k,
                           static_cast<T>(s.alpha),
                           matrix_view(x.a.data(), x.lda, s.trans_a),
                           matrix_view(x.b.data(), x.ldb, s.trans_b),
                           static_cast<T>(s.beta),
                           x.c.data(),
                           x.ldc};
    if (!kernel.applies(args)) continue;
    kernel.run(args);
    EXPECT_TRUE(same_bits(expected.c, x.c)) << kernel.name;
    ++count;
  }
  return count;
}

TEST_P(Gemm, KernelsThatApplyGiveTheSameBits) {
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) {
      EXPECT_GE(expect_same_bits_by_all<float>({ta, tb, 3, 5, 70, 0.5, 1}), 2u);
      EXPECT_GE(expect_same_bits_by_all<double>({ta, tb, 3, 5, 70, 0.5, 1}), 2u);
      EXPECT_GE(expect_same_bits_by_all<float>({ta, tb, 40, 1, 300, 1, 1}), 2u);
      EXPECT_GE(expect_same_bits_by_all<double>({ta, tb, 4, 90, 300, 1, 0}), 2u);
    }
  }
}

TEST_P(Gemm, ElementsDoNotDependOnThreads) {
  for (const GemmCase& s : std::vector<GemmCase>{{false, true, 300, 333, 290, 1, 1},
                                                 {false, false, 5, 2100, 400},
                                                 {false, false, 9000, 10, 64},
                                                 {true, false, 200, 200, 600},
                                                 {true, false, 200, 300, 600, 1, 1, 400},
                                                 {false, true, 1, 3000, 600}}) {
    GemmOperands<float> one(s), four(s);
    one.multiply(s);
    {
      ThreadScope scope(4);
      four.multiply(s);
    }
    EXPECT_TRUE(same_bits(one.c, four.c)) << s;
  }
}

template <typename T>
void expect_same_bits_packed(const GemmCase& s) {
  SCOPED_TRACE(::testing::Message() << s << " of " << typeid(T).name());
  GemmOperands<T> plain(s);
  plain.multiply(s);
  for (const bool from_back : {false, true}) {
    GemmOperands<T> packed(s);
    std::vector<T> panels(static_cast<size_t>(packed_elements<T>(s.k, s.n)));
    pack_columns(matrix_view(packed.b.data(), packed.ldb, s.trans_b), s.k, s.n, panels.data());
    gemm_packed(GemmArgs<T>{s.m,
                            s.n,
                            s.k,
                            static_cast<T>(s.alpha),
                            matrix_view(packed.a.data(), packed.lda, s.trans_a),
                            {},
                            static_cast<T>(s.beta),
                            packed.c.data(),
                            packed.ldc},
                panels.data(), from_back);
    EXPECT_TRUE(same_bits(plain.c, packed.c)) << from_back;
  }
}

TEST_P(Gemm, PackedColumnsGiveTheSameBits) {
  const std::vector<GemmCase> all = gemm_cases();
  for (size_t i = 0; i < all.size(); i += 3 * thinning) {
    expect_same_bits_packed<float>(all[i]);
    expect_same_bits_packed<double>(all[i]);
  }
  for (int64_t m : {1, 2, 3, 16}) {
    for (int64_t n : {100, 300, 1024})
      expect_same_bits_packed<float>({false, true, m, n, 600, 1, 1});
  }
  ThreadScope four(4);
  expect_same_bits_packed<float>({false, true, 16, 2100, 400, 1, 1});
}

TEST(IntegerGemm, WrapsAround) {
  GemmCase s{false, true, 9, 5, 40, 3, 2, 1};
  for (bool ta : {false, true}) {
    s.trans_a = ta;
    GemmOperands<int32_t> x(s);
    GemmOperands<int32_t> old = x;
    x.multiply(s);
    for (int64_t i = 0; i < s.m; ++i) {
      for (int64_t j = 0; j < s.n; ++j) {
        uint32_t sum = 2 * static_cast<uint32_t>(old.c_at(i, j));
        for (int64_t p = 0; p < s.k; ++p) {
          sum +=
              3 * static_cast<uint32_t>(x.a_at(s, i, p)) * static_cast<uint32_t>(x.b_at(s, p, j));
        }
        ASSERT_EQ(x.c_at(i, j), static_cast<int32_t>(sum)) << i << " " << j;
      }
    }
  }
}

TEST(IntegerGemm, Int64KeepsAllBits) {
  int64_t a[] = {(int64_t{1} << 60) + 1, 3}, b[] = {5, 7}, c = 0;
  gemm<int64_t>(false, false, 1, 1, 2, 1, a, 2, b, 1, 0, &c, 1);
  EXPECT_EQ(c, 5 * ((int64_t{1} << 60) + 1) + 21);
}

}  // namespace
}  // namespace onnxrun
