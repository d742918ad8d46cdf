// Derivatives without a training: the rows of a Jacobian, a Hessian times vectors, and gradients in
// memory of one's own, again and again, as a fitting program wants them.
//     example_derivatives ../models/xor.onnx
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <onnxrun/onnxrun.h>

namespace {

using onnxrun::Model;
using onnxrun::Session;
using onnxrun::Tensor;

// How the second hidden layer moves with the input: a row for each cotangent that has a single 1.
void jacobian(const Model& model, const Tensor& x) {
  Session rows(onnxrun::gradient_model(model, {"tanh_1"}, {"x"}, true));
  const int64_t units = 4;
  const Tensor probe = Session(model, {.outputs = {"tanh_1"}}).run({{"x", x}})[0].second.tensor;
  Tensor cotangent(onnxrun::DType::Float32, probe.dims());
  rows.bind_input("x", x);
  rows.bind_input("tanh_1::cotangent", cotangent);
  for (int64_t k = 0; k < units; ++k) {
    std::fill_n(cotangent.data<float>(), cotangent.size(), 0.0F);
    cotangent.data<float>()[k] = 1;
    rows.run();
    const float* row = rows.output("x::gradient").tensor.data<float>();
    std::printf("d unit %lld / d x = %8.5f %8.5f\n", static_cast<long long>(k), row[0], row[1]);
  }
}

// d (gradient . v) / dx = H v, with v as the cotangent of the gradient; in double.
void hessian(const Model& model, const Tensor& x) {
  const Model slope = onnxrun::gradient_model(model, {"y"}, {"x"}, false, true);
  Session products(onnxrun::gradient_model(slope, {"x::gradient"}, {"x"}, true));
  for (const std::vector<double>& v : {std::vector<double>{1, 0}, {0, 1}}) {
    const Tensor product =
        products.run({{"x", x}, {"x::gradient::cotangent", Tensor::of<double>({1, 2}, v)}})[0]
            .second.tensor;
    std::printf("H (%g, %g) = %9.6f %9.6f\n", v[0], v[1], product.data<double>()[0],
                product.data<double>()[1]);
  }
}

// The gradients of all weights for a batch, into memory that a fitting program owns.
void many_gradients(const Model& model) {
  std::vector<std::string> weights;
  for (const onnxrun::InitializerInfo& i : model.initializers()) {
    if (i.trainable) weights.push_back(i.name);
  }
  Session session(onnxrun::gradient_model(model, {"y"}, weights));
  Tensor x(onnxrun::DType::Float32, {1, 2}), bias(onnxrun::DType::Float32, {1});
  session.bind_input("x", x);
  session.bind_output("out.bias::gradient", bias);
  const int calls = 20'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) {
    x.data<float>()[0] = std::sin(static_cast<float>(i));
    session.run();  // allocates nothing
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::printf("more than 10000 gradients a second: %s\n",
              calls > 10'000 * time.count() ? "yes" : "no");
  std::fprintf(stderr, "%.0f gradients of %zu tensors a second\n", calls / time.count(),
               weights.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const Model model = Model::load(argv[1]);
    jacobian(model, Tensor::of<float>({1, 2}, {0.25F, 0.5F}));
    hessian(model, Tensor::of<double>({1, 2}, {0.25, 0.5}));
    many_gradients(model);
    return 0;
  } catch (const onnxrun::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
