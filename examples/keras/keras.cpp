// Gradients of functions, and the linear-regression loop of a TensorFlow program: 25 steps of
// gradient descent at 0.05.
//
//   example_keras [examples/keras [trained.onnx]]
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>

#include <onnxrun/onnxrun.h>

namespace {

using onnxrun::Model;
using onnxrun::Tensor;

bool differentiate(const std::string& folder) {
  Model square = Model::load(folder + "/square.onnx");
  onnxrun::Session slope(onnxrun::gradient_model(square, {"Identity:0"}, {"x"}));
  Tensor at_two = slope.run({{"x", Tensor::of<float>({}, {2})}})[0].second.tensor;
  std::printf("d(x^2)/dx at 2: %g\n", at_two.data<float>()[0]);

  // z = sin(y), y = sum(x^2).
  Model sine = Model::load(folder + "/sine.onnx");
  onnxrun::Session tape(onnxrun::gradient_model(sine, {"Identity_1:0"}, {"Identity:0", "x"}));
  onnxrun::NamedValues found = tape.run({{"x", Tensor::of<float>({4}, {0, 1, 2, 3})}});
  std::printf("dz/dy %.6f, dz/dx", found[0].second.tensor.data<float>()[0]);
  bool right = at_two.data<float>()[0] == 4;
  for (int i = 0; i < 4; ++i) {
    float dx = found[1].second.tensor.data<float>()[i];
    std::printf(" %.6f", dx);
    right &= std::abs(dx - std::cos(14.0F) * static_cast<float>(2 * i)) < 1e-6F;
  }
  std::printf("\n");
  return right;
}

bool train(const std::string& folder, const std::string& to) {
  onnxrun::NamedTensors data = onnxrun::open_arrays({folder + "/line.npz"});
  onnxrun::TrainerOptions options;
  options.loss.name = "mse";
  options.lr = 0.05;
  onnxrun::Trainer trainer(Model::load(folder + "/linear_regression.onnx"), options);
  double loss = 0;
  for (int step = 0; step < 25; ++step) {
    loss = trainer.step({{"x", data[0].tensor}}, data[1].tensor);
    if (step % 6 == 0) std::printf("Step %d, Loss %f\n", step, loss);
  }
  trainer.save(to);
  return loss < 0.5;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::string folder = argc > 1 ? argv[1] : "examples/keras";
    bool right = differentiate(folder);
    return train(folder, argc > 2 ? argv[2] : "line-trained.onnx") && right ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
