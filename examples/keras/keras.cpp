// The linear-regression loop of a TensorFlow program: 25 steps of gradient descent at 0.05.
//
//   example_keras [examples/keras/linear_regression.onnx [trained.onnx]]
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>

#include <onnxrun/onnxrun.h>

namespace {

int train(const std::string& from, const std::string& to) {
  constexpr int64_t samples = 64;
  onnxrun::Tensor x(onnxrun::DType::Float32, {samples}), y(onnxrun::DType::Float32, {samples});
  for (int64_t i = 0; i < samples; ++i) {
    float at = static_cast<float>(2 * i) / samples - 1;
    x.data<float>()[i] = at;
    y.data<float>()[i] = 3 * at + 2 + 0.1F * std::sin(static_cast<float>(7 * i));
  }
  onnxrun::TrainerOptions options;
  options.loss.name = "mse";
  options.lr = 0.05;
  onnxrun::Trainer trainer(onnxrun::Model::load(from), options);
  double first = 0, loss = 0;
  for (int step = 0; step < 25; ++step) {
    loss = trainer.step({{"x", x}}, y);
    if (step == 0) first = loss;
    if (step % 6 == 0) std::printf("Step %d, Loss %f\n", step, loss);
  }
  trainer.save(to);
  return loss < first / 10 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return train(argc > 1 ? argv[1] : "examples/keras/linear_regression.onnx",
                 argc > 2 ? argv[2] : "linear_regression-trained.onnx");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
