// Trains a net that PyTorch wrote on real digits: load, open data, fit, look at the history, save.
//
//   example_train_digits [FOLDER [trained.onnx]]     FOLDER: examples
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include <onnxrun/onnxrun.h>

namespace {

void train(const std::string& folder, const std::string& to) {
  onnxrun::Model model = onnxrun::Model::load(folder + "/models/digits.onnx");
  const std::string mnist = folder + "/data/mnist/";
  onnxrun::NamedTensors data =
      onnxrun::open_arrays({"x=" + mnist + "train-images-idx3-ubyte.gz",
                            "target=" + mnist + "train-labels-idx1-ubyte.gz"});
  onnxrun::FitOptions options;
  options.feed.scale["x"] = 1 / 255.0;
  options.feed.batch_size = 64;
  options.trainer.optimizer = "adam";
  options.epochs = 12;
  options.validation_split = 0.1;
  options.test = onnxrun::open_arrays({"x=" + mnist + "t10k-images-idx3-ubyte.gz",
                                       "target=" + mnist + "t10k-labels-idx1-ubyte.gz"});
  options.metrics = {"accuracy"};
  options.callbacks = {std::make_shared<onnxrun::EarlyStopping>("val_loss", 3)};

  onnxrun::Fit training = onnxrun::fit(model, data, options);
  for (const onnxrun::EpochRecord& epoch : training.history()) {
    std::printf("epoch %2d: loss %.4f, val_accuracy %.4f\n", static_cast<int>(epoch.epoch),
                epoch.loss, epoch.value("val_accuracy").value_or(0));
  }
  onnxrun::Evaluation test = training.evaluate(onnxrun::Fit::Part::Test);
  std::printf("test: loss %.4f, accuracy %.4f\n", test.loss, test.metrics[0].second);
  training.trainer().save(to);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    train(argc > 1 ? argv[1] : "examples", argc > 2 ? argv[2] : "digits-trained.onnx");
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
