// Runs, differentiates and trains models of real exporters against their frameworks' results. The
// tolerances are those of tests/data/corpus/README.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "graph/graph.h"
#include "kernels/openblas.h"
#include "passes/gradient.h"
#include "passes/widen.h"
#include "plan/execution.h"
#include "support/corpus.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

using nlohmann::json;

std::vector<Type> types_of(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<Type> types;
  for (ValueId v : ids) types.push_back(graph.value(v).type);
  return types;
}

std::vector<SessionOptions> ways_to_run() {
  std::vector<SessionOptions> ways = {{.optimize = true}, {.optimize = false}};
  if (has_openblas()) ways.push_back({.products = Products::OpenBlas});
  return ways;
}

class Corpus : public ::testing::TestWithParam<std::string> {
 protected:
  Corpus() : reference_(GetParam()), model_(Model::load(reference_.model_path())) {}

  bool is_double() const { return reference_.training()["dtype"] == "float64"; }

  CorpusCase reference_;
  Model model_;
};

TEST_P(Corpus, RunsAsItsFrameworkDid) {
  json random = reference_.facts()["nondeterministic_outputs"];
  for (int set = 0; reference_.has("test_data_set_" + std::to_string(set)); ++set) {
    std::string folder = "test_data_set_" + std::to_string(set);
    const Graph& graph = model_.graph();
    auto inputs = reference_.values(folder, "input", types_of(graph, graph.inputs));
    auto outputs = reference_.values(folder, "output", types_of(graph, graph.outputs));
    ASSERT_EQ(outputs.size(), graph.outputs.size());
    NamedValues feeds;
    for (size_t i = 0; i < inputs.size(); ++i)
      feeds.emplace_back(graph.name_of(graph.inputs[i]), inputs[i]);
    const OpenBlasFrom all(1);
    for (const SessionOptions& options : ways_to_run()) {
      NamedValues results = Session(model_, options).run(feeds);
      for (size_t k = 0; k < outputs.size(); ++k) {
        if (std::find(random.begin(), random.end(), results[k].first) != random.end()) continue;
        expect_close(results[k].second.tensor, outputs[k].tensor, reference_.facts()["rtol"],
                     reference_.facts()["atol"], folder + " " + results[k].first);
      }
    }
  }
}

// The vector-Jacobian products of the whole graph, in double.
TEST_P(Corpus, HasTheGradientsOfItsFramework) {
  if (!reference_.has("grad/vjp_f64.npz")) GTEST_SKIP() << "no gradients are stored";
  std::map<std::string, Tensor> expected = reference_.arrays("grad/vjp_f64.npz");
  Graph graph = model_.graph();
  widen_to_double(graph);
  std::vector<RuntimeValue> feeds =
      reference_.values("test_data_set_0", "input", types_of(graph, graph.inputs));
  for (size_t i = 0; i < feeds.size(); ++i) {
    DType wanted = graph.value(graph.inputs[i]).type.dtype;
    if (feeds[i].tensor.dtype() != wanted) feeds[i] = convert(feeds[i].tensor, wanted);
  }
  std::vector<Seed> seeds;
  std::vector<ValueId> wrt;
  std::vector<std::string> differentiated = reference_.facts()["grad"]["outputs"];
  for (const std::string& name : differentiated) {
    Type type = Type::tensor(DType::Float64);
    auto output = std::find(graph.outputs.begin(), graph.outputs.end(), graph.find(name));
    auto at = static_cast<size_t>(output - graph.outputs.begin());
    Tensor cotangent =
        reference_.values("grad", "cotangent", std::vector<Type>(at + 1, type))[at].tensor;
    cotangent = convert(cotangent, DType::Float64);
    ValueId id = graph.add_initializer(graph.unique_name("cotangent"), cotangent);
    seeds.push_back({graph.find(name), id});
  }
  // It is multiplied with random numbers.
  if (GetParam() == "vae_elbo_dyn") expected.erase("temperature");
  for (const auto& [name, value] : expected) {
    ASSERT_NE(graph.find(name), no_value) << name;
    wrt.push_back(graph.find(name));
  }
  graph.outputs = gradient(graph, seeds, wrt);
  verify(graph);
  std::vector<Type> types;
  for (const RuntimeValue& v : feeds)
    types.push_back(Type::tensor(v.tensor.dtype(), to_shape(v.tensor.dims())));
  Execution execution(Plan::compile(graph, types));
  for (size_t i = 0; i < feeds.size(); ++i) execution.bind_input(i, feeds[i]);
  RunControl control;
  execution.run(control);
  // What is zero in theory (a bias before a norm) is rounding noise of the others in both.
  double largest = 0;
  for (const auto& [name, value] : expected) {
    for (double x : to_doubles(value)) largest = std::max(largest, std::abs(x));
  }
  size_t k = 0;
  for (const auto& [name, value] : expected) {
    const Tensor& actual = execution.output(k++).tensor;
    EXPECT_EQ(actual.dims(), value.dims()) << name;
    std::vector<double> a = to_doubles(actual), e = to_doubles(value);
    if (largest_difference(a, e) <= 1e-14 * largest) continue;
    EXPECT_LE(relative_difference(a, e), 1e-9) << name;
  }
}

struct Trained {
  std::vector<double> losses;
  std::map<std::string, Tensor> weights;
};

Trained train(const Model& model, const CorpusCase& reference, const TrainerOptions& options) {
  Trainer trainer(model, options);
  Trained result;
  for (const CorpusCase::Batch& batch : reference.batches(model)) {
    result.losses.push_back(trainer.step(batch.inputs, batch.target));
  }
  result.weights = trainer.weights();
  return result;
}

TEST_P(Corpus, TrainsAsItsFrameworkDid) {
  if (!reference_.has("train/train.json")) GTEST_SKIP() << "no training is stored";
  TrainerOptions options = reference_.trainer_options();
  json losses = json::parse(std::ifstream(reference_.file("train/losses.json")));
  Trained trained = train(model_, reference_, options);
  std::vector<double> expected = losses[is_double() ? "reference_f64" : "reference"];
  EXPECT_LE(relative_difference(trained.losses, expected), is_double() ? 1e-8 : 1e-4);
  auto final_weights = reference_.arrays("train/final_params.npz");
  json atol = reference_.training()["suggested_atol"];
  for (const auto& [name, value] : final_weights) {
    ASSERT_TRUE(trained.weights.count(name)) << name;
    double limit = atol.contains(name) ? atol[name].get<double>() : 1e-5;
    expect_close(trained.weights[name], value, 0, limit, name);
  }
}

TEST_P(Corpus, FollowsTheNetItWasMadeFromWhereTensorsWereMerged) {
  const std::string name = GetParam();
  if (name != "tenc_fresh_dyn" && name != "twins_merged_leg") {
    GTEST_SKIP() << "the exporter merged nothing";
  }
  TrainerOptions options = reference_.trainer_options();
  options.double_precision = true;
  options.trainable = std::nullopt;
  options.unshare = Unshare::Auto;
  json losses = json::parse(std::ifstream(reference_.file("train/losses.json")));
  Trained trained = train(model_, reference_, options);
  auto expected = losses["framework"]["f64"].get<std::vector<double>>();
  EXPECT_LE(relative_difference(trained.losses, expected), 1e-8);
}

TEST_P(Corpus, TrainsInDouble) {
  if (!reference_.has("train/train.json")) GTEST_SKIP() << "no training is stored";
  if (is_double()) GTEST_SKIP() << "the model is in double, and trained so above";
  TrainerOptions options = reference_.trainer_options();
  options.double_precision = true;
  json losses = json::parse(std::ifstream(reference_.file("train/losses.json")));
  Trained trained = train(model_, reference_, options);
  EXPECT_LE(relative_difference(trained.losses, losses["reference_f64"].get<std::vector<double>>()),
            1e-8);
  // A file of float32 can show no more of a run in double than its own rounding.
  for (const auto& [name, value] : reference_.arrays("train/final_params_f64.npz")) {
    ASSERT_TRUE(trained.weights.count(name)) << name;
    double largest = 1;
    for (double x : to_doubles(value)) largest = std::max(largest, std::abs(x));
    EXPECT_LE(largest_difference(to_doubles(trained.weights[name]), to_doubles(value)),
              1e-7 * largest)
        << name;
  }
}

// Tests that skip what is not stored would pass on nothing. These numbers only grow.
TEST(CorpusCases, HaveWhatIsCompared) {
  int runs = 0, gradients = 0, trainings = 0;
  for (const std::string& name : supported_cases()) {
    CorpusCase c(name);
    runs += c.has("test_data_set_0/output_0.pb");
    gradients += c.has("grad/vjp_f64.npz");
    trainings += c.has("train/train.json");
  }
  EXPECT_GE(runs, 42);
  EXPECT_GE(gradients, 41);
  EXPECT_GE(trainings, 39);
}

INSTANTIATE_TEST_SUITE_P(Models, Corpus, ::testing::ValuesIn(supported_cases()),
                         [](const auto& test) { return test.param; });

}  // namespace

}  // namespace onnxrun::testing
