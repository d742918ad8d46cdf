// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, the integer products, and gradients
// through quantization.
#include <cmath>

#include "builtin_ops.h"
#include "passes/gradient.h"
#include "passes/join_quantization.h"
#include "support/decomposition.h"
#include "support/graph_tester.h"
#include "support/tested_operators.h"

namespace onnxrun::testing {

namespace {

template <typename T>
Tensor list(std::vector<T> values) {
  return Tensor::of<T>({static_cast<int64_t>(values.size())}, values);
}
Tensor one(float v) { return Tensor::scalar(v); }

// The gradients of the sum of the output with respect to x and the scale.
std::vector<Tensor> slopes(const OpRun& run) {
  record(Tried::Gradient, run.op);
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  std::vector<ValueId> inputs;
  for (const Tensor& t : run.inputs) {
    std::string name = "in" + std::to_string(inputs.size());
    inputs.push_back(graph.add_input(name, Type::tensor(t.dtype(), to_shape(t.dims()))));
  }
  ValueId y = b.add(run.op, inputs, run.attributes);
  ValueId ones = b.add("Expand", {b.scalar_like(1, y), b.shape_of(y)});
  graph.outputs = gradient(graph, {{y, ones}}, {inputs[0], inputs[1]});
  return run_graph(graph, run.inputs);
}

TEST(QuantizeLinear, RoundsAndSaturates) {
  Tensor x = list<float>({0.5f, 1.5f, -0.5f, 1000, -1000, INFINITY, -INFINITY});
  OpRun run{"QuantizeLinear", {x, one(1), Tensor::scalar<int8_t>(1)}};
  EXPECT_TRUE(identical(run_op(run)[0], list<int8_t>({1, 3, 1, 127, -128, 127, -128})));
  expect_decomposes(run);
  EXPECT_TRUE(identical(run_op({"QuantizeLinear", {x, one(1)}})[0],
                        list<uint8_t>({0, 2, 0, 255, 0, 255, 0})));
  Tensor y = run_op({"QuantizeLinear", {x, one(1)}, {{"output_dtype", int64_t{22}}}})[0];
  EXPECT_EQ(values_of(y), (std::vector<double>{0, 2, 0, 7, -8, 7, -8}));
}

// Scales along each axis, with and without zero points, of both kinds of bytes.
TEST(QuantizeLinear, AlongAnAxis) {
  const Tensor x = convert(random_tensor({3, 5, 37}, 1, -20, 20), DType::Float32);
  for (int64_t axis : {0, 1, 2, -3}) {
    const int64_t n = x.dims()[static_cast<size_t>(axis < 0 ? axis + 3 : axis)];
    const Tensor scale = convert(random_tensor({n}, 2, 0.05, 0.2), DType::Float32);
    for (DType type : {DType::UInt8, DType::Int8}) {
      Tensor zero = convert(convert(random_tensor({n}, 3, 0, 90), DType::Int32), type);
      const Attributes a{{"axis", axis}};
      const OpRun down{"QuantizeLinear", {x, scale, zero}, a};
      expect_decomposes(down, 0, std::vector<size_t>{});
      const Tensor q = run_op(down)[0];
      expect_decomposes({"DequantizeLinear", {q, scale, zero}, a}, 0, std::vector<size_t>{});
      expect_decomposes({"DequantizeLinear", {q, scale}, a}, 0, std::vector<size_t>{});
    }
    expect_decomposes({"QuantizeLinear", {x, scale}, {{"axis", axis}}}, 0, std::vector<size_t>{});
  }
  const Tensor empty(DType::Float32, {0, 3}), three = list<float>({1, 2, 3});
  EXPECT_EQ(run_op({"QuantizeLinear", {empty, three}})[0].dims(), (Dims{0, 3}));
}

TEST(QuantizeLinear, BlocksNeedNotFillTheAxis) {
  Tensor x = Tensor::of<float>({1, 5}, {1, 2, 3, 4, 5}),
         scale = Tensor::of<float>({1, 3}, {1, 2, 5});
  Attributes a{{"axis", int64_t{1}}, {"block_size", int64_t{2}}};
  EXPECT_EQ(values_of(run_op({"QuantizeLinear", {x, scale}, a})[0]),
            (std::vector<double>{1, 2, 2, 2, 1}));
  Tensor q = Tensor::of<int8_t>({1, 5}, {1, 2, 3, 4, 5});
  EXPECT_EQ(values_of(run_op({"DequantizeLinear", {q, scale}, a})[0]),
            (std::vector<double>{1, 2, 6, 8, 25}));
  expect_decomposes({"DequantizeLinear", {q, scale}, a}, 1e-6, std::vector<size_t>{});
}

TEST(QuantizeLinear, Rejects) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6}), three = list<float>({1, 1, 1});
  expect_error({"QuantizeLinear", {x, list<float>({1, 1})}}, "does not fit");
  expect_error({"QuantizeLinear", {x, three, list<int8_t>({0, 0})}}, "differ in shape");
  expect_error({"QuantizeLinear", {x, three}, {{"axis", int64_t{2}}}}, "axis 2");
  expect_error({"QuantizeLinear", {x, three}, {{"block_size", int64_t{-1}}}}, "'block_size' is -1");
  expect_error({"QuantizeLinear", {x, three}, {{"block_size", int64_t{2}}}}, "does not fit");
  expect_error({"QuantizeLinear", {x, one(1)}, {{"output_dtype", int64_t{1}}}},
               "'output_dtype' is float");
  expect_error(
      {"QuantizeLinear", {x, one(1), Tensor::scalar<int8_t>(0)}, {{"output_dtype", int64_t{2}}}},
      "'output_dtype' is uint8");
  expect_error({"DequantizeLinear", {convert(x, DType::Int8), list<float>({1, 1})}},
               "does not fit");
  expect_error({"DequantizeLinear", {convert(x, DType::Int8), three, list<int8_t>({0})}},
               "differ in shape");
  expect_error({"DequantizeLinear", {convert(x, DType::Int8), three}, {{"axis", int64_t{-3}}}},
               "axis -3");
  expect_error({"DynamicQuantizeLinear", {Tensor(DType::Float32, {0})}, {}, 3}, "no elements");
}

TEST(DequantizeLinear, GradientOfTheScale) {
  Tensor q = Tensor::of<int8_t>({2, 3}, {1, -2, 3, 4, 5, -6});
  check_gradient({"DequantizeLinear", {q, random_tensor({3}, 1), list<int8_t>({1, 2, 3})}});
  check_gradient({"DequantizeLinear", {q, Tensor::scalar(0.5)}});
  check_gradient({"DequantizeLinear",
                  {q, random_tensor({2, 2}, 1)},
                  {{"axis", int64_t{1}}, {"block_size", int64_t{2}}}});
}

TEST(DynamicQuantizeLinear, OfZerosAndDecomposed) {
  OpRun run{"DynamicQuantizeLinear", {list<float>({0, 0})}, {}, 3};
  expect_close(run_op(run)[1], one(1 / 255.0f));
  run.inputs = {list<float>({-1, 0.3f, 3})};
  expect_decomposes(run, 0, std::vector<size_t>{});
}

// PyTorch: torch.fake_quantize_per_tensor_affine(x, 0.5, 1, -128, 127) and its gradient.
TEST(FakeQuantize, PassesTheGradientInRange) {
  Tensor x = list<double>({-70, -0.3, 0.2, 1.1, 63.1, 64}), zero = Tensor::scalar<int8_t>(1);
  OpRun run{"onnxrun.FakeQuantize", {x, Tensor::scalar(0.5), zero}, {{"quantized", int64_t{3}}}};
  expect_close(run_op(run)[0], list<double>({-64.5, -0.5, 0, 1, 63, 63}));
  expect_decomposes(run, 0, std::vector<size_t>{});
  std::vector<Tensor> g = slopes(run);
  expect_close(g[0], list<double>({0, 1, 1, 1, 1, 0}));
  // Of the scale: -129, round(r) - r for r = -0.6, 0.4, 2.2, 126.2, and 126.
  expect_close(g[1], Tensor::scalar(-129 - 0.4 - 0.4 - 0.2 - 0.2 + 126), 1e-12);
}

TEST(FakeQuantize, ScaleOfChannelsAndBlocks) {
  Tensor x = Tensor::of<double>({2, 3}, {0.2, 0.7, 9, 0.4, -0.9, 0.1});
  OpRun run{"onnxrun.FakeQuantize", {x, list<double>({1, 0.5, 0.01})}, {{"quantized", int64_t{3}}}};
  expect_close(slopes(run)[1], list<double>({-0.2 - 0.4, (1 - 1.4) + (-2 + 1.8), 127 + 0}), 1e-9);
  run.inputs[1] = Tensor::of<double>({2, 2}, {1, 0.01, 1, 1});
  run.attributes = {{"quantized", int64_t{3}}, {"block_size", int64_t{2}}};
  expect_close(slopes(run)[1], Tensor::of<double>({2, 2}, {-0.2 + 0.3, 127, -0.4 - 0.1, -0.1}),
               1e-9);
}

// x -> QuantizeLinear -> DequantizeLinear, as a file has it.
TEST(FakeQuantize, TakesThePlaceOfAPair) {
  for (bool dynamic : {false, true}) {
    Graph graph(builtin_ops());
    GraphBuilder b(graph);
    ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{Dim(3)}));
    ValueId y = no_value;
    if (dynamic) {
      std::vector<ValueId> q = b.add_n("DynamicQuantizeLinear", {x}, 3);
      y = b.add("DequantizeLinear", {q[0], q[1], q[2]});
    } else {
      ValueId scale = b.scalar(0.5, DType::Float32), zero = b.constant(Tensor::scalar<int8_t>(1));
      y = b.add("DequantizeLinear", {b.add("QuantizeLinear", {x, scale, zero}), scale, zero});
    }
    Tensor values = list<float>({-0.3f, 0.2f, 1.1f});
    graph.outputs = {y};
    Tensor before = run_graph(graph, {values})[0];
    graph.outputs = gradient(graph, {{y, b.add("Mul", {y, b.scalar(0, DType::Float32)})}}, {x});
    graph.outputs = {y};
    EXPECT_TRUE(identical(run_graph(graph, {values})[0], before));
    ValueId ones = b.constant(list<float>({1, 2, 3}));
    graph.outputs = gradient(graph, {{y, ones}}, {x});
    expect_close(run_graph(graph, {values})[0], list<float>({1, 2, 3}));
  }
}

TEST(IntegerProducts, Decomposed) {
  Tensor a = Tensor::of<uint8_t>({2, 3}, {1, 2, 255, 0, 7, 9}),
         b = Tensor::of<int8_t>({3, 2}, {1, -128, 3, 127, -5, 6});
  OpRun product{"MatMulInteger", {a, b, list<uint8_t>({1, 2}), list<int8_t>({3, -4})}};
  EXPECT_EQ(values_of(run_op(product)[0]), (std::vector<double>{-2032, 2671, -52, 973}));
  expect_decomposes(product, 0, std::vector<size_t>{});
  OpRun quantized{"QLinearMatMul",
                  {a, one(0.5f), Tensor::scalar<uint8_t>(1), b, list<float>({0.1f, 0.2f}),
                   list<int8_t>({0, 1}), one(2), Tensor::scalar<int8_t>(3)}};
  expect_decomposes(quantized, 0, std::vector<size_t>{});
  Tensor image = Tensor::of<uint8_t>({1, 1, 4}, {1, 2, 3, 255}),
         w = Tensor::of<int8_t>({2, 1, 2}, {1, -2, 3, 4});
  OpRun conv{"ConvInteger",
             {image, w, Tensor::scalar<uint8_t>(1), list<int8_t>({0, 1})},
             {{"pads", std::vector<int64_t>{1, 0}}}};
  EXPECT_EQ(values_of(run_op(conv)[0]), (std::vector<double>{0, -2, -3, -506, 0, 3, 8, 766}));
  expect_decomposes(conv, 0, std::vector<size_t>{});
  OpRun whole{"QLinearConv",
              {image, one(0.5f), Tensor::scalar<uint8_t>(1), w, list<float>({0.1f, 0.2f}),
               list<int8_t>({0, 1}), one(2), Tensor::scalar<int8_t>(3), list<int32_t>({7, -7})}};
  expect_decomposes(whole, 0, std::vector<size_t>{});
}

// Zero points and scales of rows and of columns, in batches; what no list of rows or columns is.
TEST(IntegerProducts, OfBatches) {
  auto random = [](DType type, Dims dims) {
    return convert(convert(random_tensor(std::move(dims), 1, -128, 127), DType::Int32), type);
  };
  auto scales = [](int64_t n) { return convert(random_tensor({n}, 2, 0.01, 0.1), DType::Float32); };
  const DType u8 = DType::UInt8, s8 = DType::Int8;
  struct Row {
    Dims a, b, zero_a, zero_b;
  };
  for (const Row& r : {Row{{2, 3, 5}, {5, 7}, {3}, {7}}, Row{{2, 1, 3, 5}, {4, 5, 2}, {}, {2}},
                       Row{{5}, {5, 4}, {}, {4}}, Row{{3, 5}, {5}, {3}, {}},
                       Row{{2, 3, 5}, {2, 5, 3}, {2, 3, 1}, {2, 1, 3}},
                       Row{{4, 5}, {3, 5, 3}, {4, 1}, {1, 1, 3}}}) {
    for (DType left : {u8, s8}) {
      const Tensor a = random(left, r.a), b = random(s8, r.b);
      OpRun whole{"MatMulInteger", {a, b, random(left, r.zero_a), random(s8, r.zero_b)}};
      expect_decomposes(whole, 0, std::vector<size_t>{});
      whole.inputs.resize(2);
      expect_decomposes(whole, 0, std::vector<size_t>{});
      if (r.zero_a.size() > 1 || r.zero_b.size() > 1) continue;
      const int64_t rows = r.zero_a.empty() ? 1 : r.zero_a[0];
      const int64_t columns = r.zero_b.empty() ? 1 : r.zero_b[0];
      for (bool by_row : {false, true}) {
        expect_decomposes(
            {"QLinearMatMul",
             {a, scales(by_row ? rows : 1), random(left, by_row ? r.zero_a : Dims{}), b,
              scales(columns), random(s8, r.zero_b), one(0.2f), Tensor::scalar<uint8_t>(100)}},
            0, std::vector<size_t>{});
      }
    }
  }
}

TEST(IntegerProducts, VeryManyTermsOfOneColumn) {
  const int64_t k = (int64_t{1} << 22) + 1;
  Tensor a(DType::UInt8, {1, k}), b(DType::Int8, {k, 1});
  std::fill_n(a.data<uint8_t>(), k, uint8_t{2});
  std::fill_n(b.data<int8_t>(), k, int8_t{-3});
  EXPECT_EQ(values_of(run_op({"MatMulInteger", {a, b}})[0]),
            std::vector<double>{-6.0 * static_cast<double>(k)});
}

TEST(IntegerProducts, Rejects) {
  Tensor a(DType::UInt8, {2, 3}), b(DType::Int8, {3, 2});
  expect_error({"MatMulInteger", {a, a}}, "inner dimensions differ");
  expect_error({"MatMulInteger", {a, b, list<uint8_t>({1, 2, 3})}}, "does not fit");
  expect_error({"MatMulInteger", {a, Tensor(DType::Int8, {})}}, "a scalar is no matrix");
  Tensor x(DType::UInt8, {1, 2, 4}), w(DType::Int8, {2, 2, 3});
  expect_error({"ConvInteger", {x, Tensor(DType::Int8, {2, 1, 3})}}, "channels of X");
  expect_error({"ConvInteger", {x, w, list<uint8_t>({1, 2})}}, "expected one number");
  expect_error({"ConvInteger", {x, w, {}, list<int8_t>({1, 2, 3})}}, "expected one for each of 2");
  expect_error({"ConvInteger", {Tensor(DType::UInt8, {2}), w}}, "spatial axis");
  Tensor z = Tensor::scalar<uint8_t>(0), zw = Tensor::scalar<int8_t>(0);
  expect_error({"QLinearConv", {x, list<float>({1, 2}), z, w, one(1), zw, one(1), z}},
               "expected one number");
  expect_error({"QLinearConv", {x, one(1), z, w, list<float>({1, 2, 3}), zw, one(1), z}},
               "expected one for each of 2");
  expect_error({"QLinearConv", {x, one(1), z, w, one(1), zw, one(1), z, list<int32_t>({1})}},
               "length of the bias");
  expect_error({"QLinearMatMul", {a, one(1), z, a, one(1), z, one(1), z}},
               "inner dimensions differ");
  expect_error({"QLinearMatMul", {a, list<float>({1, 2, 3}), z, b, one(1), zw, one(1), z}},
               "does not fit");
  EXPECT_EQ(run_op({"MatMulInteger", {Tensor(DType::UInt8, {0, 3}), b}})[0].dims(), (Dims{0, 2}));
}

}  // namespace

}  // namespace onnxrun::testing
