// Results are the same to the bit for any number of threads: operators on tensors large enough for
// several pieces, and training steps of whole models.
#include "base/threads.h"

#include "onnxrun/trainer.h"
#include "support/corpus.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Tensor floats(Dims dims, uint32_t seed) {
  return convert(random_tensor(std::move(dims), seed), DType::Float32);
}

std::vector<OpRun> large_runs() {
  Tensor image = floats({4, 16, 40, 40}, 1), kernel = floats({24, 16, 3, 3}, 2);
  Tensor weight_shape = Tensor::of<int64_t>({4}, {24, 16, 3, 3});
  Tensor image_shape = Tensor::of<int64_t>({4}, {4, 16, 40, 40});
  Tensor cotangent = floats({4, 24, 38, 38}, 3), channel = floats({16}, 4);
  // More channels than FlatWindows takes.
  Tensor deep = floats({2, 160, 20, 20}, 8), deep_kernel = floats({160, 160, 3, 3}, 9);
  Tensor deep_shape = Tensor::of<int64_t>({4}, {2, 160, 20, 20});
  Tensor deep_weight_shape = Tensor::of<int64_t>({4}, {160, 160, 3, 3});
  Tensor deep_cotangent = floats({2, 160, 18, 18}, 10);
  Tensor labels(DType::Int64, {2000});
  for (int64_t i = 0; i < labels.size(); ++i) labels.data<int64_t>()[i] = i * i % 30;
  return {
      {"Tanh", {floats({300000}, 5)}},
      {"Add", {floats({300, 1000}, 5), floats({1000}, 6)}},
      {"MatMul", {floats({300, 400}, 5), floats({400, 500}, 6)}},
      {"MatMul", {floats({3, 3000}, 5), floats({3000, 5}, 6)}},
      {"Gemm",
       {floats({1000, 200}, 5), floats({300, 1000}, 6), floats({200, 300}, 7)},
       {{"transA", int64_t{1}}, {"transB", int64_t{1}}}},
      {"ReduceSum", {floats({1000, 300}, 5), Tensor::of<int64_t>({1}, {0})}},
      {"ReduceMean", {floats({300000}, 5)}},
      {"Softmax", {floats({700, 500}, 5)}},
      {"LayerNormalization", {floats({700, 500}, 5), floats({500}, 6)}},
      {"BatchNormalization",
       {image, channel, channel, channel, channel},
       {{"training_mode", int64_t{1}}},
       3},
      {"Conv", {image, kernel}},
      {"onnxrun.ConvInputGrad", {cotangent, kernel, image_shape}},
      {"onnxrun.ConvWeightGrad", {image, cotangent, weight_shape}},
      {"Conv", {deep, deep_kernel}},
      {"onnxrun.ConvInputGrad", {deep_cotangent, deep_kernel, deep_shape}},
      {"onnxrun.ConvWeightGrad", {deep, deep_cotangent, deep_weight_shape}},
      {"MaxPool", {image}, {{"kernel_shape", std::vector<int64_t>{3, 3}}}},
      {"AveragePool", {image}, {{"kernel_shape", std::vector<int64_t>{3, 3}}}},
      {"SoftmaxCrossEntropyLoss", {floats({2000, 30}, 5), labels}},
      {"Transpose", {floats({600, 700}, 5)}},
      {"Gather", {floats({500, 600}, 5), Tensor::of<int64_t>({3}, {7, -1, 7})}},
      {"LSTM",
       {floats({9, 32, 40}, 5), floats({1, 256, 40}, 6), floats({1, 256, 64}, 7)},
       {{"hidden_size", int64_t{64}}},
       3},
  };
}

TEST(Threads, OperatorsGiveTheSameBits) {
  for (const OpRun& run : large_runs()) {
    std::vector<Tensor> one = run_once(run);
    for (int threads : {2, 3, 8}) {
      ThreadScope scope(threads);
      std::vector<Tensor> many = run_once(run);
      for (size_t i = 0; i < one.size(); ++i) {
        EXPECT_TRUE(identical(many[i], one[i])) << run.op << " on " << threads << " threads";
      }
    }
  }
}

std::vector<Tensor> trained(const CorpusCase& reference, int threads) {
  Model model = Model::load(reference.model_path());
  TrainerOptions options = reference.trainer_options();
  options.threads = threads;
  Trainer trainer(model, options);
  std::vector<CorpusCase::Batch> batches = reference.batches(model);
  for (size_t k = 0; k < std::min<size_t>(3, batches.size()); ++k) {
    trainer.step(batches[k].inputs, batches[k].target);
  }
  std::vector<Tensor> weights;
  for (auto& [name, value] : trainer.weights()) weights.push_back(value.clone());
  return weights;
}

TEST(Threads, TrainingGivesTheSameBits) {
  for (const char* name : {"mlp_mnist_dyn", "k_cnn_bn", "resnet_bn_leg", "bilstm2_leg"}) {
    CorpusCase reference(name);
    std::vector<Tensor> one = trained(reference, 1);
    for (int threads : {2, 3, 8}) {
      std::vector<Tensor> many = trained(reference, threads);
      for (size_t i = 0; i < one.size(); ++i) {
        EXPECT_TRUE(identical(many[i], one[i])) << name << " on " << threads << " threads";
      }
    }
  }
}

}  // namespace

}  // namespace onnxrun::testing
