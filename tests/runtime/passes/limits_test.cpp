// Relu and Clip that became part of a product keep every bit.
#include "passes/fuse/limits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "base/threads.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "plan/plan.h"
#include "support/graph_tester.h"
#include "tensor/tensor.h"

namespace onnxrun::testing {

namespace {

struct ProductCase {
  std::string op;
  Dims x, w, bias;  // no bias where it has no axes
  Attributes attributes = {};
};

using Bounds = std::vector<double>;  // of Clip; none for Relu

// Numbers of which some are what comparisons treat apart, once in a while.
Tensor numbers(const Dims& dims, uint32_t seed, DType dtype) {
  Tensor t = random_tensor(dims, seed);
  const double special[] = {0.0, -0.0, INFINITY, -INFINITY, NAN};
  for (int64_t i = 7; i < t.size(); i += 211) t.data<double>()[i] = special[(i / 211) % 5];
  return convert(t, dtype);
}

// `p`, then a limit.
struct LimitedNet {
  Graph graph{builtin_ops()};
  GraphBuilder b{graph};
  ValueId product;

  LimitedNet(const ProductCase& p, DType dtype, const Bounds& bounds, bool symbolic = false) {
    Shape shape = to_shape(p.x);
    if (symbolic) shape[0] = Dim::symbol("n");
    std::vector<ValueId> inputs{graph.add_input("x", Type::tensor(dtype, shape)),
                                graph.add_initializer("w", convert(random_tensor(p.w, 1), dtype))};
    if (!p.bias.empty()) {
      inputs.push_back(graph.add_initializer("b", convert(random_tensor(p.bias, 2), dtype)));
    }
    product = b.add(p.op, inputs, p.attributes);
    graph.outputs = {limit(product, bounds)};
  }

  ValueId limit(ValueId v, const Bounds& bounds) {
    if (bounds.empty()) return b.add("Relu", {v});
    std::vector<ValueId> inputs{v};
    for (double bound : bounds) inputs.push_back(b.scalar(bound, b.dtype(v)));
    return b.add("Clip", std::move(inputs));
  }
};

size_t nodes_after_limits(Graph& graph) {
  fuse_limits(graph);
  verify(graph);
  return graph.nodes.size();
}

void expect_same_bits(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.dims(), b.dims());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())), 0);
}

std::string kernel_of(const Graph& graph) {
  std::vector<Type> types{graph.value(graph.inputs[0]).type};
  return std::string(Plan::compile(graph, types)->steps()[0].state->kernel());
}

// Every kernel, whole vectors and rests of them, one block of terms and several.
const std::vector<ProductCase>& products() {
  static const Attributes grouped{{"group", int64_t{4}}};
  static const Attributes pads{{"pads", std::vector<int64_t>{1, 1, 1, 1}}};
  static const Attributes depthwise{{"group", int64_t{4}},
                                    {"pads", std::vector<int64_t>{1, 1, 1, 1}}};
  static const Attributes transposed{{"transB", int64_t{1}}, {"alpha", 0.5f}};
  static const std::vector<ProductCase> list = {
      {"Conv", {1, 4, 9, 17}, {4, 1, 3, 3}, {4}, depthwise},
      {"Conv", {2, 4, 8, 14}, {4, 1, 5, 2}, {}, grouped},
      {"Conv", {2, 3, 11, 13}, {5, 3, 3, 3}, {5}, pads},
      {"Conv", {9, 3, 11, 13}, {20, 3, 3, 3}, {}, pads},
      {"Conv", {2, 200, 7, 7}, {9, 200, 1, 1}, {9}, {}},
      {"Conv", {6, 160, 5, 5}, {9, 160, 3, 3}, {9}, pads},
      {"Conv", {1, 150, 40, 40}, {3, 150, 3, 3}, {3}, {}},
      {"Conv", {1, 1, 3}, {2, 1, 3}, {2}, {}},
      {"Gemm", {1, 20}, {20, 50}, {50}, {}},
      {"Gemm", {3, 600}, {600, 70}, {}, {}},
      {"Gemm", {3, 600}, {70, 600}, {70}, transposed},
      {"Gemm", {70, 300}, {300, 1100}, {1100}, {}},
      {"Gemm", {40, 300}, {300, 1}, {1}, {}},
      {"Gemm", {130, 20}, {20, 30}, {30}, {}},
  };
  return list;
}

TEST(FuseLimits, KeepEveryBitInOneNode) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Bounds> limits = {{}, {0, 0.75}, {-0.25}, {nan, 0.5}, {0.5, -0.5}, {nan, nan}};
  std::set<std::string> kernels;
  for (const ProductCase& p : products()) {
    for (DType dtype : {DType::Float32, DType::Float64}) {
      const Tensor x = numbers(p.x, 3, dtype);
      for (const Bounds& bounds : limits) {
        SCOPED_TRACE(p.op + " " + to_string(p.x) + " " + to_string(p.w) + " " +
                     std::string(to_string(dtype)));
        const LimitedNet net(p, dtype, bounds);
        Graph fused = net.graph;
        ASSERT_EQ(nodes_after_limits(fused), 1u);
        EXPECT_EQ(fused.outputs, net.graph.outputs);
        kernels.insert(kernel_of(fused));
        const Tensor expected = run_graph(net.graph, {x})[0];
        for (int threads : {1, 3}) {
          ThreadScope scope(threads);
          expect_same_bits(run_graph(fused, {x})[0], expected);
        }
      }
    }
  }
  EXPECT_EQ(kernels, (std::set<std::string>{"B packed once", "B where it lies", "as one row",
                                            "depthwise", "flat", "matrix"}));
}

TEST(FuseLimits, TakeSumsOfNothing) {
  const ProductCase rows[] = {{"Gemm", {2, 0}, {0, 3}, {3}},
                              {"Conv", {1, 0, 4, 4}, {2, 0, 3, 3}, {2}},
                              {"Conv", {0, 2, 4, 4}, {2, 2, 3, 3}, {2}}};
  for (const ProductCase& p : rows) {
    SCOPED_TRACE(p.op);
    const LimitedNet net(p, DType::Float32, {-0.01, 0.01});
    Graph fused = net.graph;
    ASSERT_EQ(nodes_after_limits(fused), 1u);
    const Tensor x(DType::Float32, p.x);
    expect_same_bits(run_graph(fused, {x})[0], run_graph(net.graph, {x})[0]);
  }
}

TEST(FuseLimits, ShortFloatsAndLengthsThatAreKnownLater) {
  for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32}) {
    for (const ProductCase& p : {products()[2], products()[11]}) {
      const LimitedNet net(p, dtype, {0, 0.7}, true);
      Graph fused = net.graph;
      ASSERT_EQ(nodes_after_limits(fused), 1u);
      for (int64_t n : {1, 2, 5}) {
        Dims dims = p.x;
        dims[0] = n;
        const Tensor x = numbers(dims, 3, dtype);
        expect_same_bits(run_graph(fused, {x})[0], run_graph(net.graph, {x})[0]);
      }
    }
  }
}

TEST(FuseLimits, BoundsMayBeComputed) {
  LimitedNet net(products()[2], DType::Float64, {});
  const ValueId low = net.graph.add_input("low", Type::tensor(DType::Float64, Shape{}));
  const ValueId clipped =
      net.b.add("Clip", {net.product, net.b.add("Neg", {low}), net.b.add("Exp", {low})});
  net.graph.outputs = {clipped};
  std::erase_if(net.graph.nodes, [](const Node& n) { return n.info->spec.name == "Relu"; });
  Graph fused = net.graph;
  EXPECT_EQ(nodes_after_limits(fused), 3u);
  const std::vector<Tensor> inputs{random_tensor(products()[2].x, 3), Tensor::scalar(0.3)};
  expect_same_bits(run_graph(fused, inputs)[0], run_graph(net.graph, inputs)[0]);
}

TEST(FuseLimits, LeaveProductsThatOthersRead) {
  LimitedNet read(products()[2], DType::Float32, {}), given(products()[2], DType::Float32, {});
  read.graph.outputs.push_back(read.b.add("Neg", {read.product}));
  EXPECT_EQ(nodes_after_limits(read.graph), 3u);
  given.graph.outputs.push_back(given.product);
  EXPECT_EQ(nodes_after_limits(given.graph), 2u);
}

TEST(FuseLimits, LeaveIntegersOtherProductsAndSecondLimits) {
  LimitedNet integers({"Gemm", {2, 3}, {3, 2}, {}}, DType::Int32, {0, 5});
  EXPECT_EQ(nodes_after_limits(integers.graph), 2u);
  LimitedNet transposed({"ConvTranspose", {1, 2, 4}, {2, 3, 2}, {}}, DType::Float32, {});
  EXPECT_EQ(nodes_after_limits(transposed.graph), 2u);
  LimitedNet twice(products()[2], DType::Float32, {});
  twice.graph.outputs = {twice.limit(twice.graph.outputs[0], {0.1, 0.2})};
  const Graph whole = twice.graph;
  EXPECT_EQ(nodes_after_limits(twice.graph), 2u);
  const Tensor x = numbers(products()[2].x, 3, DType::Float32);
  expect_same_bits(run_graph(twice.graph, {x})[0], run_graph(whole, {x})[0]);
}

}  // namespace

}  // namespace onnxrun::testing
