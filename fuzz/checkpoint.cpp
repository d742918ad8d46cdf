// Any bytes as the checkpoint that a training goes on from; what is taken must be able to go on.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "guarded.h"
#include "zip_sums.h"

using namespace onnxrun;

namespace {

struct Training {
  Training() : path("/dev/shm/onnxrun-checkpoint-" + std::to_string(getpid())) {
    std::filesystem::create_directories(path);
  }
  ~Training() { std::filesystem::remove_all(path); }

  // One that has not begun. A file that is refused leaves it so; to make one takes milliseconds.
  Fit& fresh() {
    if (!fit) {
      FitOptions options;
      options.trainer.optimizer = "adam";
      options.trainer.lr = 0.01;
      options.trainer.max_memory = fuzz::most_memory;
      options.epochs = 3;
      options.feed.batch_size = 2;
      const NamedTensors arrays = {{"x", Tensor::of<float>({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1})},
                                   {"target", Tensor::of<float>({4, 1}, {0, 1, 1, 0})}};
      fit = std::make_unique<Fit>(model, arrays, options);
    }
    return *fit;
  }

  const std::string path;
  const Model model = Model::load(ONNXRUN_SOURCE "/examples/models/xor.onnx");
  std::unique_ptr<Fit> fit;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Training training;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  fuzz::mend_zip_sums(bytes);
  std::ofstream(training.path + "/step-000000004.npz", std::ios::binary) << bytes;
  bool resumed = false;
  fuzz::guarded([&] { resumed = Checkpoints::resume(training.path, training.fresh()); });
  if (!resumed) return 0;
  fuzz::guarded([&] { training.fresh().run(); });
  training.fit.reset();
  return 0;
}
