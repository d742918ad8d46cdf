// An operator of one's own, com.example.Squash: run, and trained through.
//     example_custom_operator squash.onnx
#include <cmath>
#include <cstdio>

#include <onnxrun/onnxrun.h>

using onnxrun::CustomAttributes;
using onnxrun::Tensor;
using onnxrun::TensorType;
using Tensors = onnxrun::CustomOperator::Tensors;

// y = scale atan(x)
static onnxrun::CustomOperator squash() {
  auto scale = [](const CustomAttributes& a) { return std::get<float>(a.at("scale")); };
  onnxrun::CustomOperator op{.domain = "com.example", .name = "Squash"};
  op.attributes = {{"scale", 1.0f}};
  op.infer = [](const std::vector<TensorType>& in, const CustomAttributes&) { return in; };
  op.run = [scale](const Tensors& in, Tensors& out, const CustomAttributes& a) {
    for (int64_t i = 0; i < in[0].size(); ++i) {
      out[0].data<float>()[i] = scale(a) * std::atan(in[0].data<float>()[i]);
    }
  };
  op.gradient = [scale](const Tensors& in, const Tensors&, const Tensors& dy, Tensors& dx,
                        const CustomAttributes& a) {
    for (int64_t i = 0; i < in[0].size(); ++i) {
      const float x = in[0].data<float>()[i];
      dx[0].data<float>()[i] = scale(a) * dy[0].data<float>()[i] / (1 + x * x);
    }
  };
  return op;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    onnxrun::LoadOptions load;
    load.operators.emplace().add(squash());
    const auto model = onnxrun::Model::load(argv[1], load);
    const Tensor x = Tensor::of<float>({2, 2}, {1, 0, 0, 1});
    const Tensor target = Tensor::of<float>({2, 3}, {1, 0, -1, 0, 1, 0});

    onnxrun::Session session(model);
    const Tensor y = session.run({{"x", x}})[0].second.tensor;
    std::printf("y[0] = %.4f %.4f %.4f\n", y.data<float>()[0], y.data<float>()[1],
                y.data<float>()[2]);

    onnxrun::TrainerOptions options;
    options.loss.name = "mse";
    options.lr = 0.2;
    onnxrun::Trainer trainer(model, options);
    const double first = trainer.step({{"x", x}}, target);
    double last = first;
    for (int i = 0; i < 200; ++i) last = trainer.step({{"x", x}}, target);
    std::printf("loss %.4f -> %.6f\n", first, last);
    return last < 1e-3 ? 0 : 1;
  } catch (const onnxrun::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
