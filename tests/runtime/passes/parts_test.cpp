// Sums of parts that were joined keep every bit.
#include "passes/fuse/parts.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/threads.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "support/decomposition.h"
#include "support/graph_tester.h"

namespace onnxrun::testing {

namespace {

struct SlicedPart {
  int64_t start, end;
};

// The sum of an input for each slice of an axis, put back where the slice was.
struct SlicedSum {
  Graph graph{builtin_ops()};
  GraphBuilder b{graph};
  std::vector<Tensor> inputs;
  std::vector<ValueId> parts;

  SlicedSum(const Dims& whole, int64_t axis, const std::vector<SlicedPart>& slices,
            DType dtype = DType::Float32) {
    for (const SlicedPart& s : slices) {
      Dims dims = whole;
      dims[static_cast<size_t>(axis)] = s.end - s.start;
      add_input(dims, dtype);
      parts.push_back(
          b.add("onnxrun.SliceGrad", {graph.inputs.back(), b.ints(whole), b.ints({s.start}),
                                      b.ints({s.end}), b.ints({axis})}));
    }
    give_sum();
  }

  // The same of rows that were gathered.
  SlicedSum(const Dims& whole, int64_t axis, const std::vector<int64_t>& rows) {
    Dims dims = whole;
    dims.erase(dims.begin() + axis);
    for (int64_t row : rows) {
      add_input(dims, DType::Float64);
      parts.push_back(b.add("onnxrun.GatherGrad",
                            {graph.inputs.back(), b.int_scalar(row), b.ints(whole)},
                            {{"axis", axis}}));
    }
    give_sum();
  }

  void add_input(const Dims& dims, DType dtype) {
    Tensor x = random_tensor(dims, static_cast<uint32_t>(inputs.size()));
    for (int64_t i = 0; i < x.size(); i += 3) x.data<double>()[i] = -0.0;
    inputs.push_back(convert(x, dtype));
    graph.add_input("x" + std::to_string(inputs.size()), Type::tensor(dtype, to_shape(dims)));
  }

  void give_sum() {
    ValueId sum = parts[0];
    for (size_t i = 1; i < parts.size(); ++i) sum = b.add("Add", {sum, parts[i]});
    graph.outputs = {sum};
  }
};

size_t nodes_after_joining(Graph& graph) {
  fuse_parts(graph);
  verify(graph);
  return graph.nodes.size();
}

void expect_joined(const SlicedSum& sum) {
  Graph joined = sum.graph;
  EXPECT_EQ(nodes_after_joining(joined), 1u);
  EXPECT_EQ(joined.outputs, sum.graph.outputs);
  const Tensor expected = run_graph(sum.graph, sum.inputs)[0];
  for (int threads : {1, 3}) {
    ThreadScope scope(threads);
    const Tensor y = run_graph(joined, sum.inputs)[0];
    ASSERT_EQ(y.dims(), expected.dims());
    EXPECT_EQ(std::memcmp(y.raw(), expected.raw(), static_cast<size_t>(y.bytes())), 0);
  }
}

TEST(FuseParts, ComputeTheSameInOneNode) {
  for (DType dtype : {DType::Float32, DType::Float64, DType::Float16}) {
    expect_joined(SlicedSum({8, 3}, 0, {{0, 2}, {6, 8}, {2, 6}}, dtype));
    expect_joined(SlicedSum({3, 8, 5}, 1, {{3, 8}, {0, 3}}, dtype));
    expect_joined(SlicedSum({2, 3}, 1, {{0, 1}, {1, 1}, {1, 3}}, dtype));
  }
  expect_joined(SlicedSum({300, 400}, 0, {{0, 150}, {150, 300}}));
  expect_joined(SlicedSum({3, 4, 2}, 0, std::vector<int64_t>{2, 0, 1}));
  expect_joined(SlicedSum({4, 3, 2}, 1, std::vector<int64_t>{-1, -3, 1}));
  expect_joined(SlicedSum({4, 2}, -1 + 2, std::vector<int64_t>{1, 0}));
}

TEST(FuseParts, LeavesWhatIsNotAll) {
  for (const std::vector<SlicedPart>& slices :
       {std::vector<SlicedPart>{{0, 2}, {3, 8}}, {{0, 4}, {3, 8}}, {{0, 2}, {2, 7}}}) {
    SlicedSum sum({8, 3}, 0, slices);
    EXPECT_EQ(nodes_after_joining(sum.graph), 3u);
  }
}

TEST(FuseParts, LeavesWhatOthersRead) {
  SlicedSum read({8, 3}, 0, {{0, 2}, {2, 8}});
  read.graph.outputs.push_back(read.parts[1]);
  EXPECT_EQ(nodes_after_joining(read.graph), 3u);
  SlicedSum more({8, 3}, 0, {{0, 2}, {2, 8}});
  more.graph.outputs = {more.b.add("Add", {more.graph.outputs[0], more.parts[0]})};
  EXPECT_EQ(nodes_after_joining(more.graph), 4u);
}

// As many as a file may hold: neither recursion to the end nor a walk for each of them.
TEST(FuseParts, LongChainsOfSumsAreLeftAlone) {
  constexpr size_t sums = 100'000;
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  const ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{2}));
  ValueId sum = x;
  for (size_t k = 0; k < sums; ++k) sum = b.add("Add", {sum, x});
  graph.outputs = {sum};
  EXPECT_EQ(nodes_after_joining(graph), sums);
}

TEST(JoinParts, IsWhatItDecomposesInto) {
  const Attributes lengths{
      {"axis", int64_t{1}}, {"lengths", std::vector<int64_t>{2, 1}}, {"rank", int64_t{2}}};
  const OpRun columns{
      "onnxrun.JoinParts", {random_tensor({3, 2}, 1), random_tensor({3, 1}, 2)}, lengths};
  expect_decomposes(columns);
  check_gradient(columns);
  const Attributes rows{
      {"axis", int64_t{0}}, {"lengths", std::vector<int64_t>{1, 1}}, {"rank", int64_t{2}}};
  const OpRun vectors{"onnxrun.JoinParts", {random_tensor({3}, 1), random_tensor({3}, 2)}, rows};
  expect_decomposes(vectors);
  check_gradient(vectors);
  expect_error({"onnxrun.JoinParts", {random_tensor({3, 2}, 1)}, lengths}, "2 lengths");
}

}  // namespace

}  // namespace onnxrun::testing
