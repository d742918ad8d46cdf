// RandomNormal, RandomUniform, their Like forms, Bernoulli, Multinomial.
#include <cmath>

#include "base/threads.h"
#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

const std::vector<int64_t> shape = {40, 500};

std::vector<OpRun> seeded() {
  Tensor like(DType::Float32, {40, 500}),
      p = convert(random_tensor({40, 500}, 1, 0, 1), DType::Float32);
  return {{"RandomNormal", {}, {{"shape", shape}, {"mean", 1.0f}, {"scale", 2.0f}}},
          {"RandomUniform", {}, {{"shape", shape}, {"low", -1.0f}, {"high", 3.0f}}},
          {"RandomNormalLike", {like}, {{"mean", 1.0f}, {"scale", 2.0f}}},
          {"RandomUniformLike", {like}, {{"low", -1.0f}, {"high", 3.0f}}},
          {"Bernoulli", {p}, {{"dtype", int64_t{1}}}},
          {"Multinomial", {p}, {{"sample_size", int64_t{500}}}}};
}

TEST(RandomNumbers, ASeedDecidesThem) {
  for (OpRun run : seeded()) {
    SCOPED_TRACE(run.op);
    run.attributes["seed"] = 3.0f;
    ThreadScope many(4);
    Tensor first = run_op(run)[0];
    ThreadScope one(1);
    EXPECT_TRUE(identical(run_op(run)[0], first));
    run.attributes["seed"] = 4.0f;
    EXPECT_FALSE(identical(run_op(run)[0], first));
    run.attributes.erase("seed");
    EXPECT_FALSE(identical(run_once(run)[0], run_once(run)[0]));
  }
}

TEST(RandomNumbers, StepsAreRepeatable) {
  for (OpRun run : seeded()) {
    SCOPED_TRACE(run.op);
    run.op = "onnxrun." + run.op + "Step";
    run.attributes["seed"] = int64_t{7};
    run.attributes["node"] = int64_t{3};
    run.inputs.push_back(Tensor::scalar<int64_t>(5));
    Tensor first = run_op(run)[0];
    run.inputs.back() = Tensor::scalar<int64_t>(6);
    EXPECT_FALSE(identical(run_op(run)[0], first));
  }
}

// Other runtimes draw numbers of their own, of the same type and shape.
TEST(RandomNumbers, StepsArePlainOperatorsToOthers) {
  constexpr double any_number_drawn = 1000;
  for (OpRun run : seeded()) {
    run.op = "onnxrun." + run.op + "Step";
    run.inputs.push_back(Tensor::scalar<int64_t>(5));
    expect_decomposes(run, any_number_drawn);
  }
}

double mean(const Tensor& t) {
  double sum = 0;
  for (double v : to_doubles(t)) sum += v;
  return sum / static_cast<double>(t.size());
}

// Of 20000 numbers; the limits are four standard deviations.
TEST(RandomNumbers, Distributions) {
  std::vector<OpRun> runs = seeded();
  std::vector<double> expected = {1, 1, 1, 1}, limit = {0.057, 0.033, 0.057, 0.033};
  for (size_t i = 0; i < 4; ++i) {
    runs[i].attributes["seed"] = 1.0f;
    Tensor y = run_op(runs[i])[0];
    EXPECT_NEAR(mean(y), expected[i], limit[i]) << runs[i].op;
  }
  runs[4].attributes["seed"] = 1.0f;
  EXPECT_NEAR(mean(run_op(runs[4])[0]), mean(runs[4].inputs[0]), 0.012);
  Tensor logits = Tensor::of<float>({1, 3}, {std::log(2.0f) + 90, 90, std::log(5.0f) + 90});
  Tensor drawn =
      run_op({"Multinomial", {logits}, {{"sample_size", int64_t{20000}}, {"seed", 1.0f}}})[0];
  EXPECT_NEAR(mean(drawn), (0 * 2 + 1 * 1 + 2 * 5) / 8.0, 0.025);
}

TEST(RandomNumbers, Rejects) {
  Tensor p = Tensor::of<float>({1, 2}, {0.5f, 1.5f}), none(DType::Float32, {2, 0});
  expect_error({"RandomNormal", {}, {{"shape", std::vector<int64_t>{2, -1}}}}, "negative length");
  expect_error({"RandomUniform", {}, {{"shape", std::vector<int64_t>{INT64_MAX, 8}}}}, "");
  expect_error({"RandomUniform", {}}, "shape");
  expect_error({"RandomNormalLike", {Tensor::of<int64_t>({1}, {1})}}, "the output would be int64");
  expect_error({"Bernoulli", {p}}, "a probability is 1.5");
  expect_error({"Bernoulli", {Tensor::of<float>({1}, {NAN})}}, "a probability is nan");
  expect_error({"Multinomial", {none}}, "has no classes");
  expect_error({"Multinomial", {p}, {{"sample_size", int64_t{-1}}}}, "'sample_size' is -1");
  expect_error({"Multinomial", {p}, {{"dtype", int64_t{1}}}}, "'dtype' is float");
  expect_error({"Multinomial", {Tensor::of<float>({2}, {1, 1})}}, "expected rows");
  expect_error({"Multinomial", {Tensor::of<float>({1, 2}, {NAN, 1})}}, "not finite");
  EXPECT_EQ(run_op({"RandomNormal", {}, {{"shape", std::vector<int64_t>{0, 2}}, {"seed", 1.0f}}})[0]
                .dims(),
            (Dims{0, 2}));
}

}  // namespace

}  // namespace onnxrun::testing
