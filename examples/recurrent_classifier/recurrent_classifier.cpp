// Streams a sequence step by step through a GRU, its state read out and fed in again, and compares
// with the whole sequence at once: the bits are the same.
//
//   example_recurrent_classifier [examples/recurrent_classifier/gru_stream.onnx]
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>

#include <onnxrun/onnxrun.h>

namespace {

constexpr int64_t steps = 37, batch = 3, features = 100, hidden = 50, classes = 2;

bool same_bits(const float* a, const float* b, int64_t count) {
  return std::memcmp(a, b, static_cast<size_t>(count) * sizeof(float)) == 0;
}

int stream(const char* path) {
  onnxrun::Session net(onnxrun::Model::load(path));
  onnxrun::Tensor x(onnxrun::DType::Float32, {steps, batch, features});
  for (int64_t i = 0; i < x.size(); ++i) {
    x.data<float>()[i] = std::sin(static_cast<float>(i * i % 1009));
  }
  onnxrun::Tensor state(onnxrun::DType::Float32, {1, batch, hidden});
  std::memset(state.raw(), 0, static_cast<size_t>(state.bytes()));

  onnxrun::NamedValues whole = net.run({{"x", x}, {"h0", state}});
  const onnxrun::Tensor& answers = whole[0].second.tensor;
  bool same = true;
  for (int64_t t = 0; t < steps; ++t) {
    auto step = onnxrun::Tensor::wrap(x.data<float>() + t * batch * features,
                                      onnxrun::DType::Float32, {1, batch, features});
    onnxrun::NamedValues outputs = net.run({{"x", step}, {"h0", state}});
    same &= same_bits(outputs[0].second.tensor.data<float>(),
                      answers.data<float>() + t * batch * classes, batch * classes);
    state = outputs[1].second.tensor;
  }
  same &= same_bits(state.data<float>(), whole[1].second.tensor.data<float>(), state.size());
  std::printf("%d steps, one by one: %s\n", static_cast<int>(steps),
              same ? "the same bits as at once" : "DIFFERENT");
  return same ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return stream(argc > 1 ? argv[1] : "examples/recurrent_classifier/gru_stream.onnx");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
