// Plans say which of its kernels an operator runs.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "builtin_ops.h"
#include "graph/builder.h"
#include "plan/plan.h"
#include "support/graph_tester.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

struct KernelNameRow {
  const char* kernel;
  const char* op;
  Tensor x;
  std::vector<Tensor> constants = {};  // inputs from 1 on
  Attributes attributes = {};
  size_t outputs = 1;
};

Type type_of_tensor(const Tensor& t) { return Type::tensor(t.dtype(), to_shape(t.dims())); }

Tensor random_floats(const Dims& dims) { return convert(random_tensor(dims, 1), DType::Float32); }

std::vector<KernelNameRow> kernel_name_rows() {
  const Attributes pool{{"kernel_shape", Dims{2, 2}}};
  const Attributes hidden{{"hidden_size", int64_t{2}}};
  const Tensor volume = random_floats({1, 1, 3, 3, 3}), list = random_floats({1, 1, 4});
  const Tensor scales = Tensor::of<float>({3}, {1, 1, 2}), none(DType::Float32, {0});
  const Attributes linear{{"mode", std::string("linear")}};
  return {
      {"one tile", "MatMul", random_floats({3, 4}), {random_floats({4, 5})}},
      {"as one row", "MatMul", random_floats({30, 4}), {random_floats({4, 1})}},
      {"B where it lies", "Gemm", random_floats({30, 4}), {random_floats({4, 5})}},
      {"columns of B where they lie",
       "Gemm",
       random_floats({3, 4}),
       {random_floats({5, 4})},
       {{"transB", int64_t{1}}}},
      {"B packed every run",
       "Gemm",
       convert(random_floats({30, 4}), DType::Float16),
       {convert(random_floats({5, 4}), DType::Float16)},
       {{"transB", int64_t{1}}}},
      {"B packed once", "MatMul", random_floats({30, 100}), {random_floats({100, 90})}},
      {"rows", "Softmax", random_floats({3, 4})},
      {"columns", "Softmax", random_floats({3, 4}), {}, {{"axis", int64_t{0}}}},
      {"columns", "LogSoftmax", convert(random_floats({3, 4}), DType::Float16)},
      {"lines", "MaxPool", random_floats({1, 1, 4, 4}), {}, pool},
      {"lines", "MaxPool", random_floats({1, 1, 4, 4}), {}, pool, 2},
      {"walk", "MaxPool", volume, {}, {{"kernel_shape", Dims{2, 2, 2}}}},
      {"walk", "MaxPool", convert(random_floats({1, 1, 4, 4}), DType::Int8), {}, pool, 2},
      {"rows", "ReduceSum", random_floats({3, 4}), {Tensor::of<int64_t>({1}, {1})}},
      {"columns", "ReduceMax", random_floats({3, 4}), {Tensor::of<int64_t>({1}, {0})}},
      {"pieces of rows", "ReduceMean", random_floats({100'000})},
      {"places", "Resize", list, {none, scales}},
      {"sums along axes", "Resize", list, {none, scales}, linear},
      {"R packed once",
       "RNN",
       random_floats({3, 1, 2}),
       {random_floats({1, 2, 2}), random_floats({1, 2, 2})},
       hidden},
      {"matrix", "Conv", random_floats({1, 200, 7, 7}), {random_floats({9, 200, 1, 1})}},
      {"flat", "Conv", random_floats({1, 3, 9, 9}), {random_floats({5, 3, 3, 3})}},
      {"depthwise",
       "Conv",
       random_floats({1, 3, 16, 16}),
       {random_floats({3, 1, 3, 3})},
       {{"group", int64_t{3}}}},
  };
}

std::string kernel_name_of(const KernelNameRow& row) {
  Graph graph(builtin_ops());
  std::vector<ValueId> inputs{graph.add_input("x", type_of_tensor(row.x))};
  for (const Tensor& t : row.constants) {
    inputs.push_back(graph.add_initializer("c" + std::to_string(inputs.size()), t));
  }
  graph.outputs =
      GraphBuilder(graph).add_n(row.op, inputs, row.outputs, {.attributes = row.attributes});
  auto plan = Plan::compile(graph, std::vector<Type>{type_of_tensor(row.x)});
  EXPECT_NE(plan->to_string().find(std::string("  by ") + row.kernel + "\n"), std::string::npos);
  return std::string(plan->steps()[0].state->kernel());
}

TEST(KernelNames, AreThoseThatThePlanPrints) {
  for (const KernelNameRow& row : kernel_name_rows()) {
    EXPECT_EQ(kernel_name_of(row), row.kernel) << row.op << " of " << row.x.type_text();
  }
}

TEST(KernelNames, RecurrencesThatAreNoConstant) {
  for (const auto& [steps, kernel] : std::vector<std::pair<int64_t, std::string>>{
           {1, "R where it lies"}, {4, "R packed every run"}}) {
    Graph graph(builtin_ops());
    const Tensor x = random_floats({steps, 1, 2}), w = random_floats({1, 8, 2});
    std::vector<ValueId> inputs;
    for (const auto& [name, t] :
         std::vector<std::pair<std::string, Tensor>>{{"x", x}, {"w", w}, {"r", w}}) {
      inputs.push_back(graph.add_input(name, type_of_tensor(t)));
    }
    graph.outputs =
        GraphBuilder(graph).add_n("LSTM", inputs, 1, {.attributes = {{"hidden_size", int64_t{2}}}});
    auto plan = Plan::compile(
        graph, std::vector<Type>{type_of_tensor(x), type_of_tensor(w), type_of_tensor(w)});
    EXPECT_EQ(plan->steps()[0].state->kernel(), kernel);
  }
}

}  // namespace

}  // namespace onnxrun::testing
