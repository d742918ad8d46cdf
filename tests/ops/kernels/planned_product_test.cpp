#include "kernels/planned_product.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/threads.h"
#include "base/work.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "plan/execution.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

// A product with B constant or fed, and the kernel that gave it.
std::pair<Tensor, std::string> product_of(const std::string& op, const Attributes& attributes,
                                          const Tensor& a, const Tensor& b, bool is_constant) {
  Graph graph(builtin_ops());
  std::vector<Type> types = {Type::tensor(a.dtype(), to_shape(a.dims()))};
  ValueId left = graph.add_input("a", types[0]), right = no_value;
  if (is_constant) {
    right = graph.add_initializer("b", b);
  } else {
    types.push_back(Type::tensor(b.dtype(), to_shape(b.dims())));
    right = graph.add_input("b", types[1]);
  }
  graph.outputs = {GraphBuilder(graph).add(op, {left, right}, attributes)};
  auto plan = Plan::compile(graph, types);
  std::string kernel(plan->steps().at(0).state->kernel());
  Execution execution(plan);
  execution.bind_input(0, a);
  if (!is_constant) execution.bind_input(1, b);
  RunControl control;
  execution.run(control);
  return {execution.output(0).tensor, kernel};
}

constexpr const char* once = "B packed once";

void expect_same_bits(const std::string& op, const Attributes& attributes, const Tensor& a,
                      const Tensor& b, bool is_kept) {
  for (int threads : {1, 3}) {
    ThreadScope scope(threads);
    const auto [kept, by] = product_of(op, attributes, a, b, true);
    const auto [fed, other] = product_of(op, attributes, a, b, false);
    EXPECT_EQ(by == once, is_kept) << op << " " << a.type_text() << " " << b.type_text();
    EXPECT_NE(other, once);
    EXPECT_TRUE(identical(kept, fed)) << op << " " << a.type_text() << " " << b.type_text();
  }
}

TEST(PlannedProduct, ConstantMatricesArePackedForFewRows) {
  for (DType type : {DType::Float32, DType::Float64}) {
    auto random = [&](Dims dims, uint32_t seed) {
      return convert(random_tensor(std::move(dims), seed), type);
    };
    const Tensor columns = random({300, 70}, 1), rows = random({70, 300}, 2);
    for (int64_t m : {1, 2, 5, 16, 17, 40, 128, 129}) {
      const Tensor a = random({m, 300}, 3);
      expect_same_bits("Gemm", {{"transB", int64_t{1}}, {"alpha", 0.5f}}, a, rows, m <= 128);
      expect_same_bits("MatMul", {}, a, columns, m > 16 && m <= 128);
      expect_same_bits("Gemm", {{"transA", int64_t{1}}}, random({300, m}, 4), columns,
                       m > 16 && m <= 128);
    }
    // Batches of rows that meet one matrix are its rows; several matrices are not one.
    expect_same_bits("MatMul", {}, random({3, 8, 300}, 5), columns, true);
    expect_same_bits("MatMul", {}, random({3, 20, 300}, 5), random({3, 300, 70}, 6), false);
  }
}

TEST(PlannedProduct, OthersAreNot) {
  const Tensor a = convert(random_tensor({20, 300}, 1), DType::Float32);
  const auto matrix = [](Dims dims) {
    return convert(random_tensor(std::move(dims), 2), DType::Float32);
  };
  expect_same_bits("MatMul", {}, a, matrix({300, 20}), false);  // small
  expect_same_bits("MatMul", {}, a, matrix({300, 15}), false);
  expect_same_bits("MatMul", {}, convert(a, DType::Float16),
                   convert(matrix({300, 70}), DType::Float16), false);
}

TEST(PlannedProduct, AreNotPackedWhereThereIsNoRoom) {
  const Tensor a = convert(random_tensor({20, 300}, 1), DType::Float32);
  const Tensor b = convert(random_tensor({300, 70}, 2), DType::Float32);
  auto account = std::make_shared<MemoryAccount>(b.bytes());
  Work work{.memory = account.get()};
  WorkScope scope(&work);
  EXPECT_NE(product_of("MatMul", {}, a, b, true).second, once);
}

}  // namespace

}  // namespace onnxrun::testing
