// Learns NAND twice: with the target that broadcasts, as the program behind it has it, and put
// right.
//
//   example_nand [examples/nand/nand.onnx [trained.onnx]]
#include <cstdio>
#include <exception>
#include <string>

#include <onnxrun/onnxrun.h>

namespace {

onnxrun::Tensor inputs() { return onnxrun::Tensor::of<double>({4, 2}, {0, 0, 1, 1, 0, 1, 1, 0}); }

double train(const std::string& from, const std::string& to, bool broadcast) {
  onnxrun::TrainerOptions options;
  options.loss.name = "sum_squared";
  options.lr = 0.1;
  options.loss.allow_broadcast = broadcast;
  onnxrun::Model model = onnxrun::Model::load(from);
  onnxrun::Trainer trainer(model, options);
  auto target =
      onnxrun::Tensor::of<double>(broadcast ? onnxrun::Dims{4} : onnxrun::Dims{4, 1}, {1, 0, 1, 1});
  std::printf("target %s:\n", target.type_text().c_str());
  double loss = 0;
  for (int epoch = 0; epoch <= 1000; ++epoch) {
    loss = trainer.step({{"x", inputs()}}, target);
    if (epoch % 200 == 0) std::printf("  epoch %4d: loss %.6f\n", epoch, loss);
  }
  trainer.save(to);
  return loss;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::string from = argc > 1 ? argv[1] : "examples/nand/nand.onnx";
    std::string to = argc > 2 ? argv[2] : "nand-trained.onnx";
    bool stuck = train(from, to, true) > 3;
    bool learned = train(from, to, false) < 0.2;
    onnxrun::Session session(onnxrun::Model::load(to));
    onnxrun::NamedValues outputs = session.run({{"x", inputs()}});
    for (double y : outputs.front().second.tensor.span<double>()) {
      std::printf("  %.3f", y);
    }
    std::printf("\n");
    return stuck && learned ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
