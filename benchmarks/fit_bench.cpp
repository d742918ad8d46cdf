// What fit() adds to the steps it makes, where they are the smallest that people train: the XOR
// net, four samples one by one, with validation, a metric and a callback.
#include "fit_bench.h"

#include <benchmark/benchmark.h>

#include <memory>
#include <utility>

#include <onnxrun/onnxrun.h>

namespace {

using onnxrun::Tensor;

constexpr int64_t samples = 4;

onnxrun::NamedTensors xor_table() {
  return {{"x", Tensor::of<float>({samples, 2}, {0, 0, 0, 1, 1, 0, 1, 1})},
          {"target", Tensor::of<float>({samples, 1}, {0, 1, 1, 0})}};
}

onnxrun::TrainerOptions options() {
  onnxrun::TrainerOptions options;
  options.loss.name = "bce";
  options.lr = 0.03;
  return options;
}

class Counter final : public onnxrun::Callback {
 public:
  void step_end(onnxrun::Fit&, const onnxrun::StepRecord& record) override { sum_ += record.loss; }
  void epoch_end(onnxrun::Fit&, const onnxrun::EpochRecord& record) override {
    benchmark::DoNotOptimize(sum_ += record.loss);
  }

 private:
  double sum_ = 0;
};

// The same samples in turn.
void bare_step(benchmark::State& state) {
  onnxrun::Trainer trainer(onnxrun::Model::load(ONNXRUN_XOR), options());
  Tensor x(onnxrun::DType::Float32, {1, 2}), target(onnxrun::DType::Float32, {1, 1});
  trainer.bind_input("x", x);
  trainer.bind_target(target);
  int sample = 0;
  for (auto _ : state) {
    sample = (sample + 1) % 4;
    x.data<float>()[0] = static_cast<float>(sample & 1);
    x.data<float>()[1] = static_cast<float>(sample >> 1);
    target.data<float>()[0] = sample == 1 || sample == 2 ? 1 : 0;
    benchmark::DoNotOptimize(trainer.step());
  }
}

// An iteration is a step, so that its time compares with that of a bare one.
void step_of_fit(benchmark::State& state) {
  onnxrun::Model model = onnxrun::Model::load(ONNXRUN_XOR);
  constexpr int64_t steps = 200'000;
  while (state.KeepRunningBatch(steps)) {
    state.PauseTiming();
    onnxrun::FitOptions o;
    o.trainer = options();
    o.feed.batch_size = 1;
    o.epochs = steps / samples;
    o.validation = xor_table();
    o.metrics = {"accuracy"};
    o.callbacks = {std::make_shared<Counter>()};
    onnxrun::Fit fit(model, xor_table(), std::move(o));
    state.ResumeTiming();
    fit.run();
  }
}

}  // namespace

void register_fit_benchmarks() {
  benchmark::RegisterBenchmark("xor/bare_step", bare_step);
  benchmark::RegisterBenchmark("xor/step_of_fit", step_of_fit);
}
