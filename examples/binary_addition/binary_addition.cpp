// Learns to add bit by bit, one random sample a step, and tries every pair whose sum fits 8 bits.
//
//   example_binary_addition [examples/binary_addition/adder.onnx [trained.onnx]]
#include <cstdio>
#include <exception>
#include <random>
#include <string>

#include <onnxrun/onnxrun.h>

namespace {

// The bits of two numbers as [bits, 1, 2], the least significant first.
onnxrun::Tensor digits(unsigned a, unsigned b, int bits) {
  onnxrun::Tensor x(onnxrun::DType::Float32, {bits, 1, 2});
  for (int k = 0; k < bits; ++k) {
    x.data<float>()[2 * k] = static_cast<float>(a >> k & 1);
    x.data<float>()[2 * k + 1] = static_cast<float>(b >> k & 1);
  }
  return x;
}

unsigned add(onnxrun::Session& net, unsigned a, unsigned b, int bits) {
  onnxrun::NamedValues outputs = net.run({{"x", digits(a, b, bits)}});
  unsigned sum = 0;
  for (int k = 0; k < bits; ++k) {
    if (outputs[0].second.tensor.data<float>()[k] > 0.5F) sum |= 1U << k;
  }
  return sum;
}

void train(const std::string& from, const std::string& to) {
  onnxrun::TrainerOptions options;
  options.loss.name = "sum_squared";
  options.optimizer = "adam";
  options.lr = 0.01;
  onnxrun::Trainer trainer(onnxrun::Model::load(from), options);
  std::mt19937 random(1);
  onnxrun::Tensor target(onnxrun::DType::Float32, {8, 1, 1});
  for (int step = 0; step < 50000; ++step) {
    unsigned a = random() % 256, b = random() % (256 - a);
    for (int k = 0; k < 8; ++k) target.data<float>()[k] = static_cast<float>((a + b) >> k & 1);
    double loss = trainer.step({{"x", digits(a, b, 8)}}, target);
    if (step % 10000 == 0) std::printf("step %5d: loss %.5f\n", step, loss);
  }
  trainer.save(to);
}

int try_all(const std::string& path) {
  onnxrun::Session net(onnxrun::Model::load(path));
  int pairs = 0, wrong = 0;
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; a + b < 256; ++b, ++pairs) wrong += add(net, a, b, 8) != a + b;
  }
  std::printf("%d pairs, %d wrong\n", pairs, wrong);
  unsigned large = add(net, 1234567890, 987654321, 32);
  std::printf("1234567890 + 987654321 = %u\n", large);
  return wrong == 0 && large == 1234567890U + 987654321U ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::string to = argc > 2 ? argv[2] : "adder-trained.onnx";
    train(argc > 1 ? argv[1] : "examples/binary_addition/adder.onnx", to);
    return try_all(to);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
