// An optimizer of one's own between the two halves of a step: Rprop (torch.optim.Rprop), which goes
// by the signs of the gradients alone.
//     example_own_optimizer ../models/xor.onnx trained.onnx
#include <algorithm>
#include <cstdio>
#include <vector>

#include <onnxrun/onnxrun.h>

namespace {

using onnxrun::FlatTensors;
using onnxrun::Tensor;

class Rprop {
 public:
  explicit Rprop(int64_t size)
      : widths_(static_cast<size_t>(size), 0.01F), before_(static_cast<size_t>(size), 0) {}

  // Puts into each place of the gradients what is to be taken from its parameter.
  void step(float* gradients) {
    for (size_t i = 0; i < widths_.size(); ++i) {
      float g = gradients[i];
      if (g * before_[i] > 0) widths_[i] = std::min(1.2F * widths_[i], 50.0F);
      if (g * before_[i] < 0) {
        widths_[i] = std::max(0.5F * widths_[i], 1e-6F);
        g = 0;
      }
      before_[i] = g;
      gradients[i] = g > 0 ? widths_[i] : g < 0 ? -widths_[i] : 0;
    }
  }

 private:
  std::vector<float> widths_, before_;
};

void train(const char* from, const char* to) {
  const Tensor x = Tensor::of<float>({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1});
  const Tensor target = Tensor::of<float>({4, 1}, {0, 1, 1, 0});
  onnxrun::TrainerOptions options;
  options.loss.name = "bce";
  options.optimizer = "sgd";  // of rate 1: apply() subtracts what stands in the gradients
  options.lr = 1;
  onnxrun::Trainer trainer(onnxrun::Model::load(from), options);

  // All gradients lie in one buffer, and so do all parameters.
  FlatTensors gradients = trainer.gradient_buffer();
  for (const FlatTensors::Part& part : gradients.parts) {
    std::printf("%-14s from element %lld on\n", part.name.c_str(),
                static_cast<long long>(part.offset));
  }
  Rprop rprop(gradients.values.size());
  for (int i = 0; i <= 60; ++i) {
    const double loss = trainer.gradients({{"x", x}}, target);
    if (i % 15 == 0) std::printf("step %2d: loss %.5f\n", i, loss);
    rprop.step(gradients.values.data<float>());
    trainer.apply();
  }
  trainer.save(to);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    train(argv[1], argv[2]);
    return 0;
  } catch (const onnxrun::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
