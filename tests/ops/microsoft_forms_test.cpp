// Operators of domain com.microsoft that the standard has in another form. ONNX Runtime's numbers
// are in tests/interop/test_microsoft.py.
#include "builtin_ops.h"
#include "ops/type_rows.h"
#include "passes/gradient.h"
#include "support/decomposition.h"
#include "support/graph_tester.h"
#include "support/lists.h"
#include "support/tested_operators.h"

namespace onnxrun::testing {

namespace {

std::string microsoft(const char* name) { return std::string("com.microsoft.") + name; }

// The gradient of the sum of the first output with respect to an input, of nodes that know no
// double.
Tensor slope(const OpRun& run, size_t wrt) {
  record(Tried::Gradient, run.op);
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  std::vector<ValueId> inputs;
  for (const Tensor& t : run.inputs) {
    inputs.push_back(t.defined() ? graph.add_input("in" + std::to_string(inputs.size()),
                                                   Type::tensor(t.dtype(), to_shape(t.dims())))
                                 : no_value);
  }
  ValueId y = b.add(run.op, inputs, run.attributes);
  ValueId ones = b.add("Expand", {b.scalar_like(1, y), b.shape_of(y)});
  graph.outputs = gradient(graph, {{y, ones}}, {inputs[wrt]});
  std::vector<Tensor> given;
  for (const Tensor& t : run.inputs) {
    if (t.defined()) given.push_back(t);
  }
  return run_graph(graph, given)[0];
}

TEST(MicrosoftForms, CDist) {
  Tensor a = Tensor::of<double>({2, 2}, {0, 0, 3, 4}), b = Tensor::of<double>({1, 2}, {0, 0});
  expect_close(run_op({microsoft("CDist"), {a, b}})[0], Tensor::of<double>({2, 1}, {0, 25}));
  Attributes root{{"metric", std::string("euclidean")}};
  expect_close(run_op({microsoft("CDist"), {a, b}, root})[0], Tensor::of<double>({2, 1}, {0, 5}));
  for (const Attributes& metric : {Attributes{}, root}) {
    OpRun run{microsoft("CDist"), {random_tensor({3, 2}, 1), random_tensor({4, 2}, 2)}, metric};
    expect_decomposes(run);
    check_gradient(run);
  }
  expect_error({microsoft("CDist"), {a, random_tensor({1, 3}, 1)}}, "expected [");
  expect_error({microsoft("CDist"), {a, random_tensor({3}, 1)}}, "expected rank 2");
  expect_error({microsoft("CDist"), {a, b}, {{"metric", std::string("cosine")}}}, "'cosine'");
}

TEST(MicrosoftForms, SizesThatElementsSay) {
  Tensor x = Tensor::of<double>({1, 2}, {3, 4});
  OpRun pad{microsoft("Pad"), {x, int_list({1, 0, 0, 1}), Tensor::of<double>({1}, {9})}};
  expect_close(run_op(pad)[0], Tensor::of<double>({2, 3}, {9, 9, 9, 3, 4, 9}));
  expect_decomposes(pad, 0, std::vector<size_t>{});
  check_gradient(pad, {.wrt = {0}});
  pad.inputs[1] = int_list({1, 0, 0});
  expect_error(pad, "3");
  pad.inputs[1] = int_list({1, 0, 0, int64_t{1} << 62});
  expect_error(pad, "");
  expect_error({microsoft("Pad"), {x, int_list({0, 0, 0, 0})}, {{"mode", std::string("wrap")}}},
               "'wrap'");
  Tensor from = Tensor::scalar(1.0), to = Tensor::of<double>({1}, {6}), by = Tensor::scalar(2.0);
  expect_close(run_op({microsoft("Range"), {from, to, by}})[0], Tensor::of<double>({3}, {1, 3, 5}));
  EXPECT_EQ(run_op({microsoft("Range"), {from, to}})[0].size(), 5);
  expect_decomposes({microsoft("Range"), {from, to, by}}, 0, std::vector<size_t>{});
  expect_error({microsoft("Range"), {from, to, Tensor::scalar(0.0)}}, "0");
  expect_error({microsoft("Range"), {from, x}}, "expected one element");
  std::vector<Tensor> unique = run_op({microsoft("Unique"), {int_list({3, 1, 3, 2, 1, 1})}, {}, 3});
  expect_close(unique[0], int_list({3, 1, 2}));
  expect_close(unique[1], int_list({0, 1, 0, 2, 1, 1}));
  expect_close(unique[2], int_list({2, 3, 1}));
  expect_decomposes({microsoft("Unique"), {int_list({3, 1, 3, 2})}, {}, 3}, 0,
                    std::vector<size_t>{});
  expect_error({microsoft("Unique"), {x}}, "expected rank 1");
}

TEST(MicrosoftForms, Places) {
  Tensor x = random_tensor({2, 3}, 1);
  OpRun expand{microsoft("ExpandDims"), {x, Tensor::scalar(int32_t{-1})}};
  EXPECT_EQ(run_op(expand)[0].dims(), (Dims{2, 3, 1}));
  expect_decomposes(expand, 0, std::vector<size_t>{});
  check_gradient(expand);
  expect_error({microsoft("ExpandDims"), {x, Tensor::scalar(int32_t{3})}}, "axis 3");
  expect_error({microsoft("ExpandDims"), {x, Tensor::of<int32_t>({2}, {0, 1})}},
               "expected one element");
  OpRun lower{microsoft("Trilu"), {x, Tensor::of<int64_t>({1}, {-1})}, {{"upper", int64_t{0}}}};
  expect_close(run_op(lower)[0],
               run_op({"Trilu", {x, Tensor::scalar<int64_t>(-1)}, lower.attributes})[0]);
  expect_decomposes(lower, 0, std::vector<size_t>{});
  check_gradient(lower, {.wrt = {0}});
  expect_error({microsoft("Trilu"), {x, int_list({1, 2})}}, "expected one element");
  OpRun sample{microsoft("GridSample"),
               {random_tensor({1, 2, 3, 3}, 1), random_tensor({1, 2, 2, 2}, 2)},
               {{"align_corners", int64_t{1}}}};
  expect_close(run_op(sample)[0], run_op({"GridSample", sample.inputs, sample.attributes})[0]);
  expect_decomposes(sample, 0, std::vector<size_t>{});
  check_gradient(sample);
  sample.attributes = {{"mode", std::string("cubic")}};
  expect_error(sample, "'cubic'");
  sample.attributes = {};
  for (Tensor& t : sample.inputs) t = convert(t, DType::Int32);
  expect_error(sample, "would be rounded");
  expect_error({microsoft("GridSample"), {x, x}}, "expected rank 4");
}

// A table of two rows: 16 times 1, 16 times 2; then 3 and 4.
TEST(MicrosoftForms, GatherBlockQuantized) {
  Tensor bytes(DType::UInt8, {2, 16});
  for (int64_t i = 0; i < 32; ++i) {
    const uint8_t twice[] = {0x99, 0xAA, 0xBB, 0xCC};
    bytes.data<uint8_t>()[i] = twice[i / 8];
  }
  Tensor scales = Tensor::of<float>({2, 2}, {1, 1, 1, 0.5f}), rows = int_list({1, -2});
  Attributes a{{"block_size", int64_t{16}}};
  OpRun run{microsoft("GatherBlockQuantized"), {bytes, rows, scales}, a};
  Tensor y = run_op(run)[0];
  ASSERT_EQ(y.dims(), (Dims{2, 32}));
  const std::pair<int64_t, float> expected[] = {{0, 3}, {16, 2}, {32, 1}, {63, 2}};
  for (auto [at, value] : expected) EXPECT_EQ(y.data<float>()[at], value) << at;
  expect_decomposes(run, 0, std::vector<size_t>{});
  // Sixteen times what the codes stand for: the scales of both rows are read once.
  expect_close(slope(run, 2), Tensor::of<float>({2, 2}, {16, 32, 48, 64}));

  run.inputs[1] = int_list({2});
  expect_error(run, "2");
  run.inputs[1] = rows;
  run.inputs[2] = Tensor::of<float>({2, 1}, {1, 1});
  expect_error(run, "expected [2,2]");
  run.inputs[2] = scales;
  run.attributes = {{"block_size", int64_t{8}}};
  expect_error(run, "'block_size' is 8");
  run.attributes = {{"block_size", int64_t{16}}, {"bits", int64_t{3}}};
  expect_error(run, "'bits' is 3");
  run.attributes = {{"block_size", int64_t{16}}, {"gather_axis", int64_t{1}}};
  expect_error(run, "along axis 0");
  run.attributes = {{"block_size", int64_t{16}}, {"quantize_axis", int64_t{2}}};
  expect_error(run, "axis 2");
}

TEST(MicrosoftForms, GroupQueryAttention) {
  Attributes heads{{"num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}};
  Tensor q = random_tensor({1, 3, 8}, 1), k = random_tensor({1, 3, 4}, 2),
         v = random_tensor({1, 3, 4}, 3);
  Tensor last = Tensor::of<int32_t>({1}, {2}), total = Tensor::scalar(int32_t{3});
  OpRun run{microsoft("GroupQueryAttention"), {q, k, v, Tensor(), Tensor(), last, total}, heads, 3};
  Attributes standard{{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}};
  standard["is_causal"] = int64_t{1};
  expect_close(run_op(run)[0], run_op({"Attention", {q, k, v}, standard})[0], 1e-12);
  expect_decomposes(run, 1e-12, std::vector<size_t>{});
  check_gradient(run, {.wrt = {0, 1, 2}});
  auto rejects = [&](size_t input, const Tensor& t, const std::string& text) {
    OpRun bad = run;
    bad.inputs[input] = t;
    expect_error(bad, text);
  };
  rejects(0, random_tensor({1, 3, 7}, 1), "not divisible by 4 heads");
  rejects(1, random_tensor({1, 2, 4}, 1), "expected [1,3");
  rejects(2, Tensor(), "go together");
  rejects(3, random_tensor({1, 2, 3, 2}, 1), "go together");
  rejects(6, Tensor::of<int32_t>({2}, {3, 3}), "expected one element");
  run.attributes["kv_num_heads"] = int64_t{3};
  expect_error(run, "4 heads of queries for 3 of keys");
  run.attributes["kv_num_heads"] = int64_t{0};
  expect_error(run, "for 0 of keys");
}

// Weights of bytes, one scale for all or one for each row of gates.
TEST(MicrosoftForms, DynamicQuantizeLstm) {
  Tensor x = convert(random_tensor({3, 2, 2}, 1), DType::Float32);
  Tensor w(DType::Int8, {2, 2, 4}), r(DType::Int8, {2, 1, 4}), zero(DType::Int8, {2, 4});
  for (int64_t i = 0; i < 16; ++i) w.data<int8_t>()[i] = static_cast<int8_t>(7 * i - 50);
  for (int64_t i = 0; i < 8; ++i) r.data<int8_t>()[i] = static_cast<int8_t>(9 * i - 30);
  for (int64_t i = 0; i < 8; ++i) zero.data<int8_t>()[i] = static_cast<int8_t>(i);
  Tensor scale = Tensor::of<float>({2, 4}, {.01f, .02f, .03f, .04f, .02f, .01f, .02f, .03f});
  Attributes both{{"direction", std::string("bidirectional")}, {"hidden_size", int64_t{1}}};
  const Tensor none;
  OpRun run{microsoft("DynamicQuantizeLSTM"),
            {x, w, r, none, none, none, none, none, scale, zero, scale, zero},
            both,
            3};
  auto floats = [&](const Tensor& bytes) {
    Tensor y(DType::Float32, {2, 4, bytes.dim(1)});
    for (int64_t d = 0; d < 2; ++d) {
      for (int64_t i = 0; i < bytes.dim(1); ++i) {
        for (int64_t k = 0; k < 4; ++k) {
          int centred =
              bytes.data<int8_t>()[(d * bytes.dim(1) + i) * 4 + k] - zero.data<int8_t>()[d * 4 + k];
          y.data<float>()[(d * 4 + k) * bytes.dim(1) + i] =
              static_cast<float>(centred) * scale.data<float>()[d * 4 + k];
        }
      }
    }
    return y;
  };
  std::vector<Tensor> expected = run_op({"LSTM", {x, floats(w), floats(r)}, both, 3});
  std::vector<Tensor> actual = run_op(run);
  for (size_t i = 0; i < 3; ++i) expect_close(actual[i], expected[i], 1e-5);
  expect_decomposes(run, 1e-6, std::vector<size_t>{});
  expect_close(slope(run, 0), slope({"LSTM", {x, floats(w), floats(r)}, both, 3}, 0), 1e-5);
  run.inputs[8] = Tensor::of<float>({1}, {1});
  expect_error(run, "expected [2]");
  run.inputs[8] = Tensor::of<float>({2, 3}, {1, 1, 1, 1, 1, 1});
  expect_error(run, "expected [2,4]");
  run.inputs[1] = Tensor(DType::Int8, {2, 2});
  expect_error(run, "expected rank 3");
}

}  // namespace

std::vector<Row> microsoft_form_rows() {
  const In m({2, 3}), none;
  auto row = [](const char* name, std::vector<In> inputs, Attributes a = {}, size_t outputs = 1,
                bool compared = true) {
    return Row{microsoft(name), std::move(inputs), std::move(a), outputs, compared};
  };
  return {
      row("DynamicQuantizeLSTM",
          {{{2, 1, 3}},
           {{1, 3, 4}},
           {{1, 1, 4}},
           none,
           none,
           none,
           none,
           none,
           {{1}},
           {{1}},
           {{1}},
           {{1}}},
          {{"hidden_size", int64_t{1}}}),
      row("GatherBlockQuantized", {{{2, 16}, {1, 0}}, {{1}, {1}}, {{2, 1}}},
          {{"bits", int64_t{4}}, {"block_size", int64_t{32}}}, 1, false),
      row("GroupQueryAttention",
          {{{1, 2, 4}}, {{1, 2, 2}}, {{1, 2, 2}}, none, none, {{1}, {1}}, {{}, {2}}},
          {{"num_heads", int64_t{2}}, {"kv_num_heads", int64_t{1}}}),
      row("CDist", {m, {{2, 3}, {1, 3, 5, 2, 2, 1}}}),
      row("ExpandDims", {m, {{}, {1}}}),
      row("Pad", {m, {{4}, {1, 0, 0, 1}}}),
      row("Range", {{{}, {1}}, {{}, {7}}, {{}, {2}}}),
      row("Trilu", {m}),
      row("Unique", {{{4}, {2, 1, 2, 3}}}, {}, 3, false),
  };
}

}  // namespace onnxrun::testing
