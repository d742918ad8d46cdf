// Gradients that became one with those of the Relus before them keep every bit.
#include "passes/fuse/relu_gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "builtin_ops.h"
#include "graph/builder.h"
#include "passes/dead_nodes.h"
#include "support/graph_tester.h"
#include "tensor/tensor.h"

namespace onnxrun::testing {

namespace {

// The gradient of Relu and MaxPool as gradient() writes it.
struct PooledRelu {
  Graph graph{builtin_ops()};
  GraphBuilder b{graph};
  DType dtype;
  ValueId dy, x, zero, flow;

  PooledRelu(const Dims& pooled, const Dims& image, DType type, int64_t window = 2) : dtype(type) {
    dy = graph.add_input("dy", Type::tensor(dtype, to_shape(pooled)));
    x = graph.add_input("x", Type::tensor(dtype, to_shape(image)));
    zero = b.scalar(0, dtype);
    const std::vector<int64_t> lengths{window, window};
    flow = b.add("onnxrun.MaxPoolGrad", {dy, x}, {{"kernel_shape", lengths}, {"strides", lengths}});
    graph.outputs = {through(x, zero)};
  }

  ValueId through(ValueId gate, ValueId bound) {
    return b.add("Where", {b.add("LessOrEqual", {gate, bound}), zero, flow});
  }
};

size_t nodes_after(Graph& graph) {
  fuse_relu_gradients(graph);
  remove_dead_nodes(graph);
  verify(graph);
  return graph.nodes.size();
}

Tensor relu_numbers(const Dims& dims, DType dtype) {
  Tensor t = random_tensor(dims, 3);
  for (int64_t i = 0; i < t.size(); ++i) t.data<double>()[i] = std::fmax(0, t.data<double>()[i]);
  t.data<double>()[t.size() / 2] = NAN;
  return convert(t, dtype);
}

TEST(FuseReluGradients, KeepEveryBitInOneNode) {
  for (const Dims& image : {Dims{2, 3, 11, 11}, Dims{1, 2, 4, 70}}) {
    const Dims pooled{image[0], image[1], image[2] / 2, image[3] / 2};
    for (DType dtype : {DType::Float32, DType::Float64, DType::Float16, DType::BFloat16}) {
      SCOPED_TRACE(to_string(image) + " " + std::string(to_string(dtype)));
      const PooledRelu net(pooled, image, dtype);
      Graph fused = net.graph;
      ASSERT_EQ(nodes_after(fused), 1u);
      EXPECT_EQ(fused.outputs, net.graph.outputs);
      const std::vector<Tensor> inputs{convert(random_tensor(pooled, 4), dtype),
                                       relu_numbers(image, dtype)};
      const Tensor a = run_graph(fused, inputs)[0], e = run_graph(net.graph, inputs)[0];
      ASSERT_EQ(a.dims(), e.dims());
      EXPECT_EQ(std::memcmp(a.raw(), e.raw(), static_cast<size_t>(a.bytes())), 0);
    }
  }
}

TEST(FuseReluGradients, LeaveWhatIsNoRelusGradient) {
  const std::function<void(PooledRelu&)> changes[] = {
      [](PooledRelu& p) { p.graph.outputs.push_back(p.flow); },
      [](PooledRelu& p) { p.graph.outputs = {p.through(p.dy, p.zero)}; },
      [](PooledRelu& p) { p.graph.outputs = {p.through(p.x, p.b.scalar(0.5, p.dtype))}; },
      [](PooledRelu& p) {
        p.zero = p.b.scalar(-0.0, p.dtype);
        p.graph.outputs = {p.through(p.x, p.zero)};
      },
  };
  for (const auto& change : changes) {
    PooledRelu net({2, 3, 6, 6}, {2, 3, 6, 6}, DType::Float32, 1);
    change(net);
    EXPECT_EQ(nodes_after(net.graph), 3u);
  }
}

}  // namespace

}  // namespace onnxrun::testing
