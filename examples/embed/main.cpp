// Runs a model file, and says what went wrong if it does: embed MODEL, for a net of two float
// inputs.
#include <cstdio>

#include <onnxrun/onnxrun.h>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: embed MODEL\n");
    return 2;
  }
  try {
    onnxrun::Session session(onnxrun::Model::load(argv[1]));
    auto cases = onnxrun::Tensor::of<float>({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1});
    for (const auto& [name, value] : session.run({{"x", cases}})) {
      for (int64_t i = 0; i < value.tensor.size(); ++i) {
        std::printf("%s[%d] = %.4f\n", name.c_str(), static_cast<int>(i),
                    value.tensor.data<float>()[i]);
      }
    }
    return 0;
  } catch (const onnxrun::Error& e) {
    std::fprintf(stderr, "%s: %s\n", e.file().c_str(), e.message().c_str());
    return 1;
  }
}
