// Loads a net, runs it, trains it, writes it back: all of it through the public headers.
//
//   example_train_xor [examples/models/xor.onnx [xor-trained.onnx]]
#include <cstdio>
#include <exception>
#include <string>

#include <onnxrun/onnxrun.h>

namespace {

void print_answers(const onnxrun::Model& model, const onnxrun::Tensor& cases) {
  onnxrun::Session session(model);
  onnxrun::NamedValues outputs = session.run({{"x", cases}});
  const onnxrun::Tensor& answers = outputs.front().second.tensor;
  for (int64_t i = 0; i < answers.size(); ++i) {
    const float* bits = cases.data<float>() + 2 * i;
    std::printf("  %g xor %g = %.3f\n", bits[0], bits[1], answers.data<float>()[i]);
  }
}

void train(const std::string& from, const std::string& to) {
  auto cases = onnxrun::Tensor::of<float>({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1});
  auto target = onnxrun::Tensor::of<float>({4, 1}, {0, 1, 1, 0});

  onnxrun::Model model = onnxrun::Model::load(from);
  std::printf("before:\n");
  print_answers(model, cases);

  onnxrun::TrainerOptions options;
  options.loss.name = "bce";
  options.optimizer = "sgd";
  options.lr = 0.5;
  onnxrun::Trainer trainer(model, options);
  for (int step = 0; step < 1000; ++step) {
    double loss = trainer.step({{"x", cases}}, target);
    if (step % 200 == 0) std::printf("step %4d: loss %.5f\n", step, loss);
  }
  trainer.save(to);

  std::printf("after:\n");
  print_answers(onnxrun::Model::load(to), cases);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    train(argc > 1 ? argv[1] : "examples/models/xor.onnx", argc > 2 ? argv[2] : "xor-trained.onnx");
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
