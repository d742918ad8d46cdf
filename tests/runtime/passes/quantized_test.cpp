// Products between DequantizeLinear and QuantizeLinear, fused and not.
#include "passes/fuse/quantized.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "builtin_ops.h"
#include "graph/builder.h"
#include "passes/lower.h"
#include "support/graph_tester.h"

namespace onnxrun::testing {

namespace {

// A graph as quantizers write it: bytes in, bytes or floats out.
struct QuantizedNet {
  Graph graph{builtin_ops()};
  GraphBuilder b{graph};
  ValueId x;
  float x_scale = 0.02F;

  explicit QuantizedNet(const Dims& dims) {
    x = graph.add_input("x", Type::tensor(DType::UInt8, to_shape(dims)));
  }

  ValueId bytes(DType type, const Dims& dims, uint32_t seed) {
    return b.constant(convert(convert(random_tensor(dims, seed, -120, 120), DType::Int32), type));
  }
  ValueId scale(float s) { return b.constant(Tensor::scalar(s)); }
  ValueId list(std::vector<float> s) {
    return b.constant(Tensor::of<float>({static_cast<int64_t>(s.size())}, s));
  }
  ValueId zero(uint8_t z) { return b.constant(Tensor::scalar<uint8_t>(z)); }

  ValueId input(float s, uint8_t z) { return b.add("DequantizeLinear", {x, scale(s), zero(z)}); }
  ValueId input() { return input(x_scale, 117); }
  // Weights with a scale for each place of `axis`.
  ValueId weights(const Dims& dims, int64_t axis, std::vector<float> scales) {
    return b.add("DequantizeLinear", {bytes(DType::Int8, dims, 2), list(std::move(scales))},
                 {{"axis", axis}});
  }
  ValueId bias(std::vector<int32_t> values, std::vector<float> scales) {
    Tensor whole = Tensor::of<int32_t>({static_cast<int64_t>(values.size())}, values);
    for (float& s : scales) s *= x_scale;
    return b.add("DequantizeLinear", {b.constant(whole), list(std::move(scales))},
                 {{"axis", int64_t{0}}});
  }
  ValueId quantize(ValueId v, float s, uint8_t z) {
    return b.add("QuantizeLinear", {v, scale(s), zero(z)});
  }

  std::vector<std::string> operators_after() const {
    std::vector<std::string> names;
    const auto machine = lower(Graph(graph));
    for (const Node& node : machine->graph().nodes) {
      names.emplace_back(node.info->spec.name);
    }
    return names;
  }

  // Fused, an output of bytes differs by one level at most, one of floats by rounding.
  void expect_same(double tolerance) const {
    const Dims dims = to_dims(*graph.value(x).type.shape);
    Tensor in = convert(convert(random_tensor(dims, 1, 0, 255), DType::Int32), DType::UInt8);
    const Tensor plain = run_graph(graph, {in})[0];
    const Tensor fused = run_graph(lower(Graph(graph))->graph(), {in})[0];
    ASSERT_EQ(fused.type_text(), plain.type_text());
    const Tensor p = convert(plain, DType::Float64), f = convert(fused, DType::Float64);
    for (int64_t i = 0; i < p.size(); ++i) {
      ASSERT_NEAR(f.data<double>()[i], p.data<double>()[i], tolerance) << i;
    }
  }
};

using Names = std::vector<std::string>;

TEST(FuseQuantized, Convolution) {
  QuantizedNet net({2, 3, 7, 6});
  ValueId w = net.weights({4, 3, 3, 3}, 0, {0.01F, 0.02F, 0.005F, 0.03F});
  ValueId bias = net.bias({10, -2000, 300, 0}, {0.01F, 0.02F, 0.005F, 0.03F});
  ValueId y =
      net.b.add("Conv", {net.input(), w, bias}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  net.graph.outputs = {net.quantize(net.b.add("Relu", {y}), 0.05F, 0)};
  EXPECT_EQ(net.operators_after(), Names{"QLinearConv"});
  net.expect_same(1);
}

TEST(FuseQuantized, ReluThatTheZeroPointDoesNotDo) {
  QuantizedNet net({1, 2, 5});
  ValueId y = net.b.add("Conv", {net.input(), net.weights({2, 2, 3}, 0, {0.01F, 0.02F})});
  net.graph.outputs = {net.quantize(net.b.add("Relu", {y}), 0.05F, 3)};
  const Names names = net.operators_after();
  EXPECT_EQ(std::count(names.begin(), names.end(), "QLinearConv"), 0);
  net.expect_same(0);
}

TEST(FuseQuantized, MatricesOfBothKinds) {
  for (bool quantized : {false, true}) {
    QuantizedNet net({3, 2, 5});
    ValueId y = net.b.add("MatMul", {net.input(), net.weights({5, 2}, 1, {0.01F, 0.02F})});
    net.graph.outputs = {quantized ? net.quantize(y, 0.04F, 100) : y};
    EXPECT_EQ(net.operators_after(), Names{quantized ? "QLinearMatMul" : "MatMulIntegerToFloat"});
    net.expect_same(quantized ? 1 : 1e-5);
  }
}

TEST(FuseQuantized, Gemm) {
  for (bool quantized : {false, true}) {
    QuantizedNet net({3, 5});
    ValueId w = net.weights({4, 5}, 0, {0.01F, 0.02F, 0.005F, 0.03F});
    ValueId bias = net.bias({10, -2000, 300, 0}, {0.01F, 0.02F, 0.005F, 0.03F});
    ValueId y = net.b.add("Gemm", {net.input(), w, bias}, {{"transB", int64_t{1}}});
    net.graph.outputs = {quantized ? net.quantize(y, 0.1F, 90) : y};
    EXPECT_EQ(net.operators_after(), Names{"QGemm"});
    net.expect_same(quantized ? 1 : 1e-5);
  }
}

TEST(FuseQuantized, MovesBytesBetweenEqualScales) {
  QuantizedNet net({1, 2, 4, 6});
  ValueId y =
      net.b.add("MaxPool", {net.input(0.3F, 7)}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  y = net.b.add("DequantizeLinear", {net.quantize(y, 0.3F, 7), net.scale(0.3F), net.zero(7)});
  net.graph.outputs = {net.quantize(net.b.transpose(y, {0, 2, 3, 1}), 0.3F, 7)};
  EXPECT_EQ(net.operators_after(), (Names{"MaxPool", "Transpose"}));
  net.expect_same(0);
}

// What must stay as it is: a result that others read, biases and scales of another kind.
TEST(FuseQuantized, LeavesOthers) {
  auto products = [](const QuantizedNet& net) {
    const Names names = net.operators_after();
    return std::count(names.begin(), names.end(), "Conv");
  };
  const std::vector<float> scales{0.01F, 0.02F};
  {
    QuantizedNet net({1, 2, 5});
    ValueId y = net.b.add("Conv", {net.input(), net.weights({2, 2, 3}, 0, scales)});
    net.graph.outputs = {net.quantize(y, 0.05F, 3), y};
    EXPECT_EQ(products(net), 1);
  }
  {
    QuantizedNet net({1, 2, 5});
    ValueId bias = net.bias({5, 6}, {0.01F, 0.03F});
    ValueId y = net.b.add("Conv", {net.input(), net.weights({2, 2, 3}, 0, scales), bias});
    net.graph.outputs = {net.quantize(y, 0.05F, 3)};
    EXPECT_EQ(products(net), 1);
  }
  {
    QuantizedNet net({1, 2, 5});
    ValueId y = net.b.add("Conv", {net.input(), net.weights({2, 2, 3}, 1, scales)});
    net.graph.outputs = {net.quantize(y, 0.05F, 3)};
    EXPECT_EQ(products(net), 1);
  }
}

}  // namespace

}  // namespace onnxrun::testing
