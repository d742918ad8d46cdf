// The XOR net of PyTorch's default exporter: 50,000 epochs of four single samples.
//
//   example_xor_and_digits [examples/xor_and_digits/xor.onnx [trained.onnx]]
#include <array>
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>

#include <onnxrun/onnxrun.h>

namespace {

using onnxrun::Tensor;

const std::array<std::array<float, 2>, 4> cases = {{{0, 0}, {0, 1}, {1, 0}, {1, 1}}};

float answer(const std::array<float, 2>& bits) { return bits[0] == bits[1] ? 0.0F : 1.0F; }

void train(const std::string& from, const std::string& to) {
  onnxrun::TrainerOptions options;
  options.loss.name = "bce";
  options.lr = 0.03;
  onnxrun::Trainer trainer(onnxrun::Model::load(from), options);
  // Bound once, and written to before every step: no allocation, no copy.
  Tensor x(onnxrun::DType::Float32, {2}), target(onnxrun::DType::Float32, {1});
  trainer.bind_input("x", x);
  trainer.bind_target(target);
  for (int epoch = 0; epoch < 50000; ++epoch) {
    double loss = 0;
    for (const auto& bits : cases) {
      x.data<float>()[0] = bits[0];
      x.data<float>()[1] = bits[1];
      target.data<float>()[0] = answer(bits);
      loss += trainer.step();
    }
    if (epoch % 10000 == 0) std::printf("%d\t%.6f\n", epoch, loss);
  }
  trainer.save(to);
}

bool is_right(const std::string& path) {
  onnxrun::Session net(onnxrun::Model::load(path));
  bool right = true;
  for (const auto& bits : cases) {
    float y = *net.run({{"x", Tensor::of<float>({2}, bits)}})[0].second.tensor.data<float>();
    std::printf("%g xor %g = %.4f\n", bits[0], bits[1], y);
    right &= std::abs(y - answer(bits)) < 0.01F;
  }
  return right;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::string to = argc > 2 ? argv[2] : "xor-trained.onnx";
    train(argc > 1 ? argv[1] : "examples/xor_and_digits/xor.onnx", to);
    return is_right(to) ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
