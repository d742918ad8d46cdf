// The training step as a file of standard operators, run by the library itself, makes the same
// steps as the Trainer that wrote it. (tests/interop/test_corpus_step.py has other runtimes run
// it.)
#include <gtest/gtest.h>

#include <filesystem>

#include "formats/source.h"
#include "onnxrun/session.h"
#include "support/corpus.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

std::vector<std::string> trainable_cases() {
  std::vector<std::string> names = supported_cases();
  std::erase_if(names, [](const std::string& n) { return !CorpusCase(n).has("train/train.json"); });
  return names;
}

class ExportedStep : public ::testing::TestWithParam<std::string> {};

TEST_P(ExportedStep, StepsAsItsTrainer) {
  CorpusCase reference(GetParam());
  Model model = Model::load(reference.model_path());
  TrainerOptions options = reference.trainer_options();
  options.double_precision = true;
  std::vector<CorpusCase::Batch> batches = reference.batches(model);
  if (batches[0].target.defined()) options.target_dims["target"] = batches[0].target.dims();
  Trainer trainer(model, options);
  std::string path = ::testing::TempDir() + "step_" + GetParam() + ".onnx";
  trainer.export_step(path);

  Model step = Model::load(path);
  std::map<std::string, RuntimeValue> state;
  std::string initial = path.substr(0, path.size() - 5) + ".init.npz";
  for (NamedTensor& t : read_arrays(initial)) state[t.name] = std::move(t.tensor);
  Session session(step, {.optimize = false});
  auto in_type_of = [&](const std::string& name, const Tensor& t) {
    const Type& type = step.graph().value(step.graph().find(name)).type;
    return t.dtype() == type.dtype ? t : convert(t, type.dtype);
  };
  for (size_t k = 0; k < 4; ++k) {
    const CorpusCase::Batch& batch = batches[k % batches.size()];
    NamedValues feeds;
    for (const auto& [name, value] : state) feeds.emplace_back(name, value);
    for (const auto& [name, value] : batch.inputs)
      feeds.emplace_back(name, in_type_of(name, value.tensor));
    if (batch.target.defined()) feeds.emplace_back("target", in_type_of("target", batch.target));
    NamedValues results = session.run(feeds);
    ASSERT_EQ(results[0].first, "loss");
    double loss = trainer.step(batch.inputs, batch.target);
    EXPECT_NEAR(to_doubles(results[0].second.tensor)[0], loss,
                1e-10 * std::max(1.0, std::abs(loss)))
        << "step " << k;
    for (size_t i = 1; i < results.size(); ++i) {
      const std::string& name = results[i].first;
      ASSERT_TRUE(name.ends_with("::next")) << name;
      state[name.substr(0, name.size() - 6)] = results[i].second;
    }
  }
  std::filesystem::remove(path);
  std::filesystem::remove(initial);
}

INSTANTIATE_TEST_SUITE_P(Models, ExportedStep, ::testing::ValuesIn(trainable_cases()),
                         [](const auto& test) { return test.param; });

}  // namespace

}  // namespace onnxrun::testing
