#include "kernels/openblas.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "base/work.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "plan/execution.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

class OpenBlas : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_openblas()) GTEST_SKIP() << "OpenBLAS is not there";
  }
};

struct Case {
  bool trans_a, trans_b;
  int64_t m, n, k;
  double alpha = 1, beta = 0;
  int64_t extra = 0;  // how much longer rows are than need be
};

template <typename T>
struct Operands {
  Case s;
  int64_t lda, ldb, ldc;
  Tensor a, b, c;

  explicit Operands(const Case& given)
      : s(given),
        lda((s.trans_a ? s.m : s.k) + s.extra),
        ldb((s.trans_b ? s.k : s.n) + s.extra),
        ldc(s.n + s.extra),
        a(numbers((s.trans_a ? s.k : s.m) * lda, 1)),
        b(numbers((s.trans_b ? s.n : s.k) * ldb, 2)),
        c(numbers(s.m * ldc, 3)) {}

  static Tensor numbers(int64_t count, uint32_t seed) {
    return convert(random_tensor({count}, seed),
                   std::is_same_v<T, float> ? DType::Float32 : DType::Float64);
  }
  GemmArgs<T> args() {
    return {s.m,
            s.n,
            s.k,
            static_cast<T>(s.alpha),
            matrix_view(a.data<T>(), lda, s.trans_a),
            matrix_view(b.data<T>(), ldb, s.trans_b),
            static_cast<T>(s.beta),
            c.data<T>(),
            ldc};
  }
};

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dims() == b.dims() && std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

// C is read only if it counts, and nothing is written past its rows.
template <typename T>
void expect_product(const Case& s) {
  SCOPED_TRACE(::testing::Message() << s.trans_a << s.trans_b << " " << s.m << " " << s.n << " "
                                    << s.k << " " << s.alpha << " " << s.beta << " " << s.extra);
  Operands<T> own(s), theirs(s);
  if (s.beta == 0) {
    for (int64_t i = 0; i < s.m; ++i) {
      std::fill_n(theirs.c.template data<T>() + i * theirs.ldc, s.n,
                  std::numeric_limits<T>::quiet_NaN());
    }
  }
  gemm(own.args());
  openblas_gemm(theirs.args());
  const double tolerance = std::numeric_limits<T>::epsilon() * static_cast<double>(8 + s.k);
  expect_close(theirs.c, own.c, tolerance, tolerance);
}

TEST_F(OpenBlas, GivesTheProduct) {
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) {
      for (const Case& s : std::vector<Case>{{ta, tb, 0, 5, 3},
                                             {ta, tb, 5, 0, 3},
                                             {ta, tb, 3, 4, 0},
                                             {ta, tb, 3, 4, 0, 1, 2.5},
                                             {ta, tb, 1, 1, 1},
                                             {ta, tb, 1, 700, 33},
                                             {ta, tb, 700, 1, 33},
                                             {ta, tb, 257, 513, 40, -0.5, 2.5, 3},
                                             {ta, tb, 300, 1100, 65, 1, 1},
                                             {ta, tb, 40, 70, 3000, 2, 0, 1}}) {
        expect_product<float>(s);
        expect_product<double>(s);
      }
    }
  }
}

TEST_F(OpenBlas, BitsDoNotDependOnThreads) {
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) {
      const Case s{ta, tb, 600, 1100, 300, 0.5, 1};
      Operands<float> first(s);
      openblas_gemm(first.args());
      for (int threads : {2, 3, 8}) {
        ThreadScope scope(threads);
        Operands<float> other(s);
        openblas_gemm(other.args());
        EXPECT_TRUE(same_bits(first.c, other.c)) << threads;
      }
    }
  }
}

TEST_F(OpenBlas, IsCalledByManyThreadsAtOnce) {
  const Case s{false, true, 200, 300, 250};
  Operands<double> expected(s);
  openblas_gemm(expected.args());
  std::vector<std::thread> callers;
  std::vector<char> same(16, 1);
  for (char& flag : same) {
    callers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        Operands<double> x(s);
        openblas_gemm(x.args());
        flag = flag && same_bits(x.c, expected.c);
      }
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(std::count(same.begin(), same.end(), 1), 16);
}

// What BLAS has no form for, and what it would leave out.
TEST_F(OpenBlas, LeavesWhatIsNotItsOwn) {
  Operands<float> x({false, false, 6, 5, 4}), y({false, false, 6, 5, 4});
  GemmArgs<float> args = x.args(), other = y.args();
  args.m = other.m = args.k = other.k = 2;
  args.a.column_step = other.a.column_step = 2;
  gemm(args);
  openblas_gemm(other);
  EXPECT_TRUE(same_bits(x.c, y.c));
  Operands<float> none({false, false, 2, 2, 2, 0});
  none.a.data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  openblas_gemm(none.args());
  EXPECT_TRUE(std::isnan(none.c.data<float>()[0]));
}

TEST_F(OpenBlas, LimitsResults) {
  Operands<float> x({false, false, 300, 600, 8});
  x.a.data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  const Limits<float> limits{-0.25F, 0.5F};
  GemmArgs<float> args = x.args();
  args.limits = &limits;
  openblas_gemm(args);
  for (size_t i = 0; i < 600; ++i) EXPECT_TRUE(std::isnan(x.c.span<float>()[i]));
  const auto rest = x.c.span<float>().subspan(600);
  EXPECT_EQ(*std::min_element(rest.begin(), rest.end()), -0.25F);
  EXPECT_EQ(*std::max_element(rest.begin(), rest.end()), 0.5F);
}

TEST_F(OpenBlas, StopsBetweenPieces) {
  Operands<float> x({false, false, 600, 1100, 8});
  int checks = 0;
  const Work work{.check =
                      [](const void* count) {
                        if (++*static_cast<int*>(const_cast<void*>(count)) > 2) {
                          fail(ErrorKind::Cancelled, "enough");
                        }
                      },
                  .object = &checks};
  WorkScope scope(&work);
  EXPECT_THROW(openblas_gemm(x.args()), Error);
}

TEST_F(OpenBlas, TakesLargeProductsWhereItIsChosen) {
  EXPECT_TRUE(openblas_takes(Products::OpenBlas, 256, 256, 256));
  EXPECT_FALSE(openblas_takes(Products::OpenBlas, 256, 256, 255));
  EXPECT_FALSE(openblas_takes(Products::Own, 4096, 4096, 4096));
  EXPECT_FALSE(openblas_takes(Products::OpenBlas, INT64_MAX, 2, 2));
  const OpenBlasFrom all(1);
  EXPECT_TRUE(openblas_takes(Products::OpenBlas, 1, 1, 1));
  EXPECT_FALSE(openblas_takes(Products::OpenBlas, 4, 4, 0));
}

TEST_F(OpenBlas, SaysWhatItIs) {
  EXPECT_NE(openblas_facts().version.find('.'), std::string::npos);
  EXPECT_FALSE(openblas_facts().core.empty());
}

Tensor square(int64_t count, int64_t n, uint32_t seed) {
  Tensor x = random_tensor({count, n, n}, seed);
  for (int64_t m = 0; m < count; ++m) {
    for (int64_t i = 0; i < n; ++i) x.data<double>()[(m * n + i) * n + i] += 2;
  }
  return x;
}

// One output, and the kernel that gave it.
std::pair<Tensor, std::string> run_with(Products products, const std::string& op,
                                        const std::vector<Tensor>& inputs) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  std::vector<ValueId> in;
  std::vector<Type> types;
  for (const Tensor& t : inputs) {
    types.push_back(Type::tensor(t.dtype(), to_shape(t.dims())));
    in.push_back(graph.add_input("in" + std::to_string(in.size()), types.back()));
  }
  graph.outputs = {b.add(op, in)};
  auto plan = Plan::compile(graph, types, {.products = products});
  std::string kernel;
  for (const Step& step : plan->steps()) kernel += step.state ? step.state->kernel() : "";
  Execution execution(plan);
  for (size_t i = 0; i < inputs.size(); ++i) execution.bind_input(i, inputs[i]);
  RunControl control;
  execution.run(control);
  return {execution.output(0).tensor, kernel};
}

void expect_both_agree(const std::string& op, const std::vector<Tensor>& inputs) {
  const auto [own, by_own] = run_with(Products::Own, op, inputs);
  const auto [theirs, by_openblas] = run_with(Products::OpenBlas, op, inputs);
  EXPECT_EQ(by_own.find("openblas"), std::string::npos) << op;
  EXPECT_EQ(by_openblas, "openblas") << op;
  double largest = 1e-300;
  for (double v : values_of(own)) largest = std::max(largest, std::abs(v));
  expect_close(theirs, own, 1e-9, 1e-11 * largest, op);
}

TEST_F(OpenBlas, ServesOperators) {
  const OpenBlasFrom all(1);
  expect_both_agree("MatMul", {random_tensor({3, 20, 30}, 1), random_tensor({3, 30, 10}, 2)});
  expect_both_agree(
      "Gemm", {random_tensor({20, 30}, 1), random_tensor({30, 10}, 2), random_tensor({10}, 3)});
  for (int64_t n : {1, 2, 9, 40}) {
    expect_both_agree("Det", {square(3, n, 4)});
    expect_both_agree("onnxrun.Cofactor", {square(3, n, 5)});
    expect_both_agree("com.microsoft.Inverse", {square(3, n, 6)});
  }
}

TEST_F(OpenBlas, SingularMatricesHaveDeterminantsAndCofactors) {
  const OpenBlasFrom all(1);
  const Tensor rank_two = Tensor::of<double>({3, 3}, {1, 2, 3, 4, 5, 6, 5, 7, 9});
  const Tensor zeros = Tensor::of<double>({3, 3}, std::vector<double>(9));
  for (const Tensor& x : {rank_two, zeros}) {
    EXPECT_NEAR(values_of(run_with(Products::OpenBlas, "Det", {x}).first)[0], 0, 1e-13);
    expect_both_agree("onnxrun.Cofactor", {x});
  }
  EXPECT_THROW(run_with(Products::OpenBlas, "com.microsoft.Inverse", {zeros}), Error);
  Tensor no_numbers = square(1, 3, 1);
  no_numbers.data<double>()[4] = std::nan("");
  EXPECT_TRUE(std::isnan(values_of(run_with(Products::OpenBlas, "Det", {no_numbers}).first)[0]));
}

}  // namespace

}  // namespace onnxrun::testing
