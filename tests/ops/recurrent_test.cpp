#include "ops/recurrent_layers.h"

namespace onnxrun::testing {

namespace {

TEST(Recurrent, FollowsTheStandardsEquations) {
  std::vector<Layer> all = layers(), more = activation_layers();
  all.insert(all.end(), more.begin(), more.end());
  for (const Layer& layer : all) {
    SCOPED_TRACE(describe(layer));
    OpRun run = layer.run();
    std::vector<Tensor> expected = Reference(layer, run).outputs,
                        actual = run_op(with_used_parameters(run));
    for (size_t i = 0; i < expected.size(); ++i) expect_close(actual[i], expected[i], 1e-12, 1e-14);
  }
}

TEST(Recurrent, ComputesInEveryFloat) {
  for (const char* op : {"RNN", "GRU", "LSTM"}) {
    Layer layer{
        .op = op, .attributes = {{"direction", std::string("bidirectional")}}, .lengths = true};
    OpRun run = layer.run();
    std::vector<Tensor> exact = run_op(run);
    for (auto [type, tolerance] :
         {std::pair(DType::Float32, 1e-6), {DType::Float16, 4e-3}, {DType::BFloat16, 3e-2}}) {
      OpRun other = run;
      for (Tensor& t : other.inputs) {
        if (t.defined() && t.dtype() == DType::Float64) t = convert(t, type);
      }
      std::vector<Tensor> results = run_op(other);
      for (size_t i = 0; i < exact.size(); ++i) {
        EXPECT_EQ(results[i].dtype(), type);
        expect_close(convert(results[i], DType::Float64), exact[i], tolerance, tolerance, op);
      }
    }
  }
}

Tensor steps_of(const Tensor& x, int64_t begin, int64_t end) {
  int64_t width = x.size() / x.dim(0);
  Dims dims = x.dims();
  dims[0] = end - begin;
  Tensor part(x.dtype(), dims);
  std::copy_n(x.data<double>() + begin * width, part.size(), part.data<double>());
  return part;
}

TEST(Recurrent, PiecesWithCarriedStateAreTheWhole) {
  for (const char* op : {"RNN", "GRU", "LSTM"}) {
    OpRun run =
        Layer{.op = op, .attributes = {}, .steps = 9, .batch = 3, .inputs = 20, .hidden = 33}.run();
    std::vector<Tensor> whole = run_op(run);
    Tensor x = run.inputs[X];
    int64_t done = 0;
    for (int64_t count : {1, 3, 1, 4}) {
      run.inputs[X] = steps_of(x, done, done + count);
      std::vector<Tensor> piece = run_op(run);
      EXPECT_TRUE(identical(piece[0], steps_of(whole[0], done, done + count))) << op << done;
      run.inputs[InitialH] = piece[1];
      if (run.outputs == 3) run.inputs[InitialC] = piece[2];
      done += count;
    }
    EXPECT_TRUE(identical(run.inputs[InitialH], whole[1]));
  }
}

TEST(Recurrent, OldOpsetsSayWhetherASequenceIsWanted) {
  OpRun run = Layer{"GRU"}.run();
  Tensor y = run_op(run)[0];
  run.attributes["output_sequence"] = int64_t{1};
  run.opset = 1;
  EXPECT_TRUE(identical(run_op(run)[0], y));
}

TEST(Recurrent, WhatDoesNotFitIsNamed) {
  auto with = [](Layer layer, size_t input, Tensor t) {
    OpRun run = layer.run();
    run.inputs[input] = t;
    return run;
  };
  expect_error(with({"LSTM"}, W, random_tensor({1, 9, 2}, 1)),
               "W 'in1' is double[1,9,2], expected [1,12,2]");
  expect_error(with({"GRU"}, B, random_tensor({1, 9}, 1)),
               "B 'in3' is double[1,9], expected [1,18]");
  expect_error(with({"RNN"}, InitialH, random_tensor({2, 3}, 1)),
               "initial_h 'in5' is double[2,3], expected [1,2,3]");
  expect_error(with({"RNN"}, Lengths, Tensor::of<int32_t>({2}, {3, 4})),
               "sequence_lens has 4, expected lengths from 0 to 3");
  expect_error(with({"RNN"}, Lengths, Tensor::of<int32_t>({2}, {3, -1})), "sequence_lens has -1");
  auto attribute = [](const char* op, const char* name, AttributeValue value) {
    return Layer{op, {{name, std::move(value)}}}.run();
  };
  expect_error(attribute("RNN", "hidden_size", int64_t{4}),
               "R 'in2' is double[1,3,3], expected [1,");
  expect_error(attribute("RNN", "direction", std::string("backward")), "direction is 'backward'");
  expect_error(attribute("GRU", "activations", std::vector<std::string>{"Tanh"}),
               "1 activations for direction 'forward', expected 2");
  expect_error(attribute("GRU", "activations", std::vector<std::string>{"Tanh", "Gelu"}),
               "activation 'Gelu' is not one of the standard's");
  expect_error(attribute("LSTM", "clip", -1.0f), "clip is -1, expected at least 0");
}

}  // namespace

}  // namespace onnxrun::testing
