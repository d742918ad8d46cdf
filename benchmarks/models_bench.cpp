// A run and a training step of whole models on one thread, on bound memory. peers.py times the same
// models in PyTorch and ONNX Runtime; the names here and there agree.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>

#include <onnxrun/onnxrun.h>

#include "fit_bench.h"

namespace {

using onnxrun::Dims;
using onnxrun::DType;
using onnxrun::Tensor;

struct Case {
  std::string name;
  std::string folder;
  std::string input;
  Dims input_dims;
  std::string output;
  Dims output_dims;
  std::string loss;
  DType target_type;
  Dims target_dims;
};

onnxrun::Model load(const Case& c) {
  return onnxrun::Model::load(ONNXRUN_MODELS "/" + c.folder + "/model.onnx");
}

Tensor zeros(DType dtype, const Dims& dims) {
  Tensor t(dtype, dims);
  std::fill_n(t.raw(), t.bytes(), std::byte{0});
  return t;
}

Tensor ramp(const Dims& dims) {
  Tensor t(DType::Float32, dims);
  for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = static_cast<float>(i % 7) / 7;
  return t;
}

void run_model(benchmark::State& state, const Case& c) {
  onnxrun::Session session(load(c));
  session.bind_input(c.input, ramp(c.input_dims));
  session.bind_output(c.output, zeros(DType::Float32, c.output_dims));
  session.run();
  for (auto _ : state) session.run();
}

// From the file, which has been read before, to a session that is ready.
void load_model(benchmark::State& state, const Case& c) {
  for (auto _ : state) {
    onnxrun::Session session(load(c));
    benchmark::DoNotOptimize(session);
  }
}

void train_model(benchmark::State& state, const Case& c) {
  onnxrun::TrainerOptions options;
  options.loss.name = c.loss;
  options.lr = 0.001;
  onnxrun::Trainer trainer(load(c), options);
  trainer.bind_input(c.input, ramp(c.input_dims));
  trainer.bind_target(zeros(c.target_type, c.target_dims));
  trainer.step();
  for (auto _ : state) benchmark::DoNotOptimize(trainer.step());
}

}  // namespace

int main(int argc, char** argv) {
  const Case cases[] = {
      {"xor", "s2_xor_bce_dyn", "x", {2}, "y", {1}, "bce", DType::Float32, {1}},
      {"mnist_mlp",
       "mlp_mnist_dyn",
       "image",
       {32, 28, 28},
       "logits",
       {32, 10},
       "cross_entropy",
       DType::Int64,
       {32}},
      {"cnn",
       "cnn_folded_dyn",
       "x",
       {16, 1, 28, 28},
       "y",
       {16, 10},
       "cross_entropy",
       DType::Int64,
       {16}},
      {"bilstm", "bilstm2_leg", "x", {8, 20, 5}, "y", {8, 3}, "cross_entropy", DType::Int64, {8}},
      {"transformer",
       "tenc_fresh_dyn",
       "x",
       {6, 5, 6},
       "y",
       {6, 3},
       "cross_entropy",
       DType::Int64,
       {6}},
  };
  for (const Case& c : cases) {
    benchmark::RegisterBenchmark((c.name + "/run").c_str(), run_model, c);
    benchmark::RegisterBenchmark((c.name + "/train").c_str(), train_model, c);
    benchmark::RegisterBenchmark((c.name + "/load").c_str(), load_model, c);
  }
  register_fit_benchmarks();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
