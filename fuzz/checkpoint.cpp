// Any bytes as the checkpoint that a training goes on from; what is taken must be able to go on.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "guarded.h"

using namespace onnxrun;

namespace {

struct Training {
  Training() : path("/dev/shm/onnxrun-checkpoint-" + std::to_string(getpid())) {
    std::filesystem::create_directories(path);
  }
  ~Training() { std::filesystem::remove_all(path); }
  const std::string path;
  const Model model = Model::load(ONNXRUN_SOURCE "/examples/models/xor.onnx");
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Training training;
  std::ofstream(training.path + "/step-000000004.npz", std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  fuzz::guarded([&] {
    FitOptions options;
    options.trainer.optimizer = "adam";
    options.trainer.lr = 0.01;
    options.trainer.max_memory = fuzz::most_memory;
    options.epochs = 3;
    options.feed.batch_size = 2;
    const NamedTensors arrays = {{"x", Tensor::of<float>({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1})},
                                 {"target", Tensor::of<float>({4, 1}, {0, 1, 1, 0})}};
    Fit fit(training.model, arrays, options);
    if (Checkpoints::resume(training.path, fit)) fit.run();
  });
  return 0;
}
