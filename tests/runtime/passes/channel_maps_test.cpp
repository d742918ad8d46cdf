// Normalisations folded into weights compute what they did after the product.
#include "passes/fuse/channel_maps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "builtin_ops.h"
#include "graph/builder.h"
#include "passes/lower.h"
#include "support/graph_tester.h"

namespace onnxrun::testing {

namespace {

struct Product {
  std::string op;
  Dims x, w, bias;  // no bias where it has no axes
  Attributes attributes = {};
  int64_t channels = 0;
};

// The graph of `p`, then a BatchNormalization of constants, `maps` times.
struct Net {
  Graph graph{builtin_ops()};
  GraphBuilder b{graph};
  ValueId x, product;

  explicit Net(const Product& p, int maps = 1, double variance = 0.5) {
    x = graph.add_input("x", Type::tensor(DType::Float64, to_shape(p.x)));
    std::vector<ValueId> inputs{x, constant("w", p.w, 1)};
    if (!p.bias.empty()) inputs.push_back(constant("b", p.bias, 2));
    product = b.add(p.op, inputs, p.attributes);
    ValueId y = product;
    for (int i = 0; i < maps; ++i) y = normalise(y, p.channels, variance);
    graph.outputs = {y};
  }

  ValueId constant(const char* name, const Dims& dims, uint32_t seed) {
    return graph.add_initializer(name, random_tensor(dims, seed));
  }

  ValueId normalise(ValueId y, int64_t channels, double variance) {
    std::vector<double> spread(static_cast<size_t>(channels), variance);
    for (size_t i = 0; i < spread.size(); ++i) spread[i] += static_cast<double>(i);
    ValueId deviation = graph.add_initializer("v", Tensor::of<double>({channels}, spread));
    return b.add("BatchNormalization",
                 {y, constant("s", {channels}, 3), constant("c", {channels}, 4),
                  constant("m", {channels}, 5), deviation},
                 {{"epsilon", 0.125f}});
  }
};

void expect_close(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.dims(), b.dims());
  for (int64_t i = 0; i < a.size(); ++i) {
    const double expected = b.data<double>()[i];
    ASSERT_NEAR(a.data<double>()[i], expected, 1e-12 * std::max(1.0, std::abs(expected))) << i;
  }
}

size_t nodes_after(Graph& graph) {
  fuse_channel_maps(graph, INT64_MAX);
  verify(graph);
  return graph.nodes.size();
}

TEST(FuseChannelMaps, ComputeTheSameInOneNode) {
  const Attributes grouped{{"group", int64_t{2}}};
  const Product rows[] = {
      {"Conv", {2, 3, 5, 4}, {4, 3, 2, 3}, {}, {}, 4},
      {"Conv", {1, 4, 6}, {6, 2, 3}, {6}, grouped, 6},
      {"ConvTranspose", {2, 3, 4}, {3, 5, 2}, {5}, {}, 5},
      {"ConvTranspose", {1, 4, 3, 3}, {4, 3, 2, 2}, {}, grouped, 6},
      {"Gemm", {3, 4}, {4, 5}, {5}, {{"alpha", 0.5f}}, 5},
      {"Gemm", {4, 3}, {5, 4}, {1, 5}, {{"transA", int64_t{1}}, {"transB", int64_t{1}}}, 5},
      {"Gemm", {3, 4}, {4, 5}, {}, {}, 5},
  };
  for (const Product& row : rows) {
    for (int maps : {1, 2}) {
      SCOPED_TRACE(row.op + " " + to_string(row.w) + " " + std::to_string(maps));
      const Net net(row, maps);
      Graph fused = net.graph;
      EXPECT_EQ(nodes_after(fused), 1u);
      EXPECT_EQ(fused.outputs, net.graph.outputs);
      const std::vector<Tensor> inputs{random_tensor(row.x, 9)};
      expect_close(run_graph(fused, inputs)[0], run_graph(net.graph, inputs)[0]);
    }
  }
}

const Product convolution{"Conv", {1, 2, 5}, {3, 2, 2}, {3}, {}, 3};

TEST(FuseChannelMaps, LeavesProductsThatOthersRead) {
  Net read(convolution), given(convolution);
  read.graph.outputs.push_back(read.b.add("Neg", {read.product}));
  EXPECT_EQ(nodes_after(read.graph), 3u);
  given.graph.outputs.push_back(given.product);
  EXPECT_EQ(nodes_after(given.graph), 2u);
}

TEST(FuseChannelMaps, LeavesWhatIsNotConstant) {
  for (const char* name : {"w", "b", "s", "v"}) {
    Graph graph = Net(convolution).graph;
    const ValueId v = graph.find(name);
    graph.initializers.erase(v);
    graph.inputs.push_back(v);
    EXPECT_EQ(nodes_after(graph), 2u) << name;
  }
}

TEST(FuseChannelMaps, LeavesBiasesOfAnotherForm) {
  // One a row, where there are as many rows as columns; a bias that is scaled.
  Net rows({"Gemm", {5, 4}, {4, 5}, {5, 1}, {}, 5});
  EXPECT_EQ(nodes_after(rows.graph), 2u);
  Net scaled({"Gemm", {3, 4}, {4, 5}, {5}, {{"beta", 2.0f}}, 5});
  EXPECT_EQ(nodes_after(scaled.graph), 2u);
}

// 0 * infinity would turn up where the unfused graph has none.
TEST(FuseChannelMaps, LeavesFactorsThatAreNotFinite) {
  Net net(convolution, 1, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(nodes_after(net.graph), 2u);
  Net zero(convolution, 1, -0.125);
  EXPECT_EQ(nodes_after(zero.graph), 2u);
}

TEST(FuseChannelMaps, CountWhatTheyAdd) {
  const Graph graph = Net(convolution).graph;
  const int64_t bytes = (3 * 2 * 2 + 3) * 8;
  EXPECT_EQ(lower(graph)->added_bytes(), bytes);
  EXPECT_EQ(lower(graph, {.max_memory = bytes})->graph().nodes.size(), 1u);
  auto machine = lower(graph, {.max_memory = bytes - 1});
  EXPECT_EQ(machine->added_bytes(), 0);
  EXPECT_EQ(machine->graph().nodes.size(), 2u);
}

}  // namespace

}  // namespace onnxrun::testing
