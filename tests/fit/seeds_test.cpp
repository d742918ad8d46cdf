// The systems of the seed programs through the library, with the numbers that the pages of
// examples/ print for the command.
#include <gtest/gtest.h>

#include <iterator>
#include <string>
#include <vector>

#include "onnxrun/fit.h"
#include "onnxrun/session.h"
#include "support/files.h"
#include "support/thinning.h"

namespace onnxrun::testing {

namespace {

std::string example(const std::string& file) { return source_path("examples/" + file); }

struct SeedsRow {
  const char* model;
  const char* data;
  const char* target;
  const char* test;  // "" for a fifth of the data
  const char* loss;
  const char* optimizer;
  double lr;
  int64_t epochs, batch_size;
  double accuracy;  // on the test data at least
  double momentum = 0;
  bool standardize = false;
  const char* output = "";
};

const SeedsRow seeds_rows[] = {
    {"xor_and_digits/log_softmax.onnx", "xor_and_digits/classes.npz", "y", "", "nll", "sgd", 0.01,
     10, 32, 0.70},
    {"xor_and_digits/log_softmax.onnx", "xor_and_digits/classes.npz", "y", "", "nll", "nesterov",
     0.01, 10, 32, 0.87, 0.9},
    {"xor_and_digits/log_softmax.onnx", "xor_and_digits/classes.npz", "y", "", "nll", "adam", 0.01,
     10, 32, 0.87},
    {"xor_and_digits/softmax.onnx", "xor_and_digits/classes.npz", "y", "", "nll_probs", "adam",
     0.01, 10, 32, 0.87},
    {"recurrent_classifier/rnn_v2.onnx", "recurrent_classifier/train.npz", "y",
     "recurrent_classifier/test.npz", "nll", "adam", 0.005, 10, 10, 1, 0, false, "output"},
    {"recurrent_classifier/rnn.onnx", "recurrent_classifier/train.npz", "y",
     "recurrent_classifier/test.npz", "nll", "adam", 0.005, 10, 10, 1},
    {"recurrent_classifier/lstm.onnx", "recurrent_classifier/train.npz", "y",
     "recurrent_classifier/test.npz", "nll", "adam", 0.005, 10, 10, 1},
    {"recurrent_classifier/gru.onnx", "recurrent_classifier/train.npz", "y",
     "recurrent_classifier/test.npz", "nll", "adam", 0.005, 10, 10, 1},
    {"recurrent_classifier/lstm2.onnx", "recurrent_classifier/train.npz", "y",
     "recurrent_classifier/test.npz", "nll", "adam", 0.005, 10, 10, 1},
    {"recurrent_classifier/gru_bi.onnx", "recurrent_classifier/train.npz", "y",
     "recurrent_classifier/test.npz", "nll", "adam", 0.005, 10, 10, 1},
    {"recurrent_classifier/lstm_many_to_many.onnx", "recurrent_classifier/train.npz", "every",
     "recurrent_classifier/test.npz", "cross_entropy", "adam", 0.005, 5, 10, 1},
    {"keras/my_model.onnx", "keras/blobs.npz", "y", "", "nll_probs", "keras:momentum", 0.05, 10, 32,
     0.7, 0.9, true},
};

TEST(Seeds, Learn) {
  for (size_t r = 0; r < std::size(seeds_rows); r += thinning) {
    const SeedsRow& row = seeds_rows[r];
    SCOPED_TRACE(std::string(row.model) + " " + row.optimizer);
    FitOptions options;
    options.trainer.optimizer = row.optimizer;
    options.trainer.lr = row.lr;
    if (row.momentum > 0) options.trainer.momentum = row.momentum;
    options.trainer.loss.name = row.loss;
    options.trainer.loss.output = row.output;
    options.epochs = row.epochs;
    options.metrics = {"accuracy"};
    options.feed.batch_size = row.batch_size;
    options.feed.targets = {row.target};
    if (std::string(row.target) == "every") options.feed.batch_axes["target"] = 1;
    if (row.standardize) options.feed.standardize = {"x"};
    if (*row.test) {
      options.test = open_arrays({example(row.test)});
    } else {
      options.test_split = 0.2;
    }
    Fit training = fit(Model::load(example(row.model)), open_arrays({example(row.data)}), options);
    Evaluation test = training.evaluate(Fit::Part::Test);
    EXPECT_GE(test.metrics[0].second, row.accuracy);
    TempDir dir;
    training.trainer().save(dir / "trained.onnx");
    EXPECT_NO_THROW(Session{Model::load(dir / "trained.onnx")});
  }
}

// A class of RNN_V3 has probabilities that add up to 1 over the batch.
TEST(Seeds, TheSoftmaxOfV3RunsOverTheBatch) {
  Session session(Model::load(example("recurrent_classifier/rnn_v3.onnx")));
  Tensor x(DType::Float32, {4, 1, 100});
  for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] = static_cast<float>(i % 7);
  Tensor output = session.run({{"x", x}})[0].second.tensor;
  EXPECT_EQ(output.dims(), (Dims{1, 1, 2}));
  EXPECT_EQ(output.data<float>()[0], 0);
  EXPECT_EQ(output.data<float>()[1], 0);
}

TEST(Seeds, GatesAreRight) {
  Session session(Model::load(example("xor_and_digits/gates.onnx")));
  NamedValues gates = session.run({{"x", Tensor::of<float>({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1})}});
  const std::vector<std::vector<float>> wanted = {
      {0, 0, 0, 1}, {0, 1, 1, 1}, {1, 1, 0, 0}, {0, 1, 1, 0}};
  for (size_t k = 0; k < wanted.size(); ++k) {
    const Tensor& t = gates[k].second.tensor;
    EXPECT_EQ(std::vector<float>(t.data<float>(), t.data<float>() + t.size()), wanted[k])
        << gates[k].first;
  }
}

}  // namespace

}  // namespace onnxrun::testing
