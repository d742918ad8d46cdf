// Gradients by the library, without a trainer.
#include "onnxrun/gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "onnxrun/session.h"
#include "support/allocations.h"
#include "support/corpus.h"
#include "support/files.h"

namespace onnxrun::testing {

namespace {

Model example(const std::string& name) {
  return Model::load(source_path("examples/keras/" + name + ".onnx"));
}

std::vector<float> values_of(Session& session, const NamedValues& inputs, size_t k = 0) {
  Tensor t = session.run(inputs)[k].second.tensor;
  return {t.data<float>(), t.data<float>() + t.size()};
}

Tensor number(float x) { return Tensor::of<float>({}, {x}); }

TEST(GradientModel, OfASquareAndOfItsGradient) {
  Model slope = gradient_model(example("square"), {"Identity:0"}, {"x"});
  Session first(slope), second(gradient_model(slope, {"x::gradient"}, {"x"}));
  EXPECT_EQ(first.output_names(), std::vector<std::string>{"x::gradient"});
  EXPECT_EQ(values_of(first, {{"x", number(2)}}), std::vector<float>{4});
  EXPECT_EQ(values_of(second, {{"x", number(2)}}), std::vector<float>{2});
}

// z = sin(y), y = sum(x^2): with respect to the input and to what lies between.
TEST(GradientModel, ThroughInnerValuesAndBesideOthers) {
  Session session(gradient_model(example("sine"), {"Identity_1:0"}, {"Identity:0", "x"}),
                  {.outputs = {"Identity_1:0", "Identity:0::gradient", "x::gradient"}});
  NamedValues inputs = {{"x", Tensor::of<float>({4}, {0, 1, 2, 3})}};
  EXPECT_FLOAT_EQ(values_of(session, inputs, 0)[0], std::sin(14.0F));
  EXPECT_FLOAT_EQ(values_of(session, inputs, 1)[0], std::cos(14.0F));
  std::vector<float> dx = values_of(session, inputs, 2);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_FLOAT_EQ(dx[i], std::cos(14.0F) * 2 * static_cast<float>(i));
  }
}

TEST(GradientModel, OfParametersWithCotangents) {
  Model model = example("linear_map");  // x w
  std::string w = model.initializers()[0].name;
  Session session(gradient_model(model, {"Identity:0"}, {w}, true));
  EXPECT_EQ(session.input_names(), (std::vector<std::string>{"x", "Identity:0::cotangent"}));
  EXPECT_EQ(values_of(session, {{"x", Tensor::of<float>({1, 3}, {1, 2, 3})},
                                {"Identity:0::cotangent", Tensor::of<float>({1, 2}, {10, -1})}}),
            (std::vector<float>{10, -1, 20, -2, 30, -3}));
}

TEST(GradientModel, InDouble) {
  Model slope = gradient_model(example("sine"), {"Identity_1:0"}, {"x"}, false, true);
  Session session(slope);
  Tensor x = Tensor::of<double>({4}, {0.1, 1, 2, 3});
  Tensor dx = session.run({{"x", x}})[0].second.tensor;
  for (size_t i = 0; i < 4; ++i) {
    double v = x.data<double>()[i];
    EXPECT_NEAR(dx.data<double>()[i], std::cos(14.01) * 2 * v, 1e-13);
  }
}

// As a fitting program calls it.
TEST(GradientModel, AllocatesNothingWithBoundMemory) {
  if (!counts_allocations()) GTEST_SKIP() << "allocations are not counted";
  Model model = Model::load(source_path("examples/models/xor.onnx"));
  std::vector<std::string> weights;
  for (const InitializerInfo& i : model.initializers()) weights.push_back(i.name);
  Session session(gradient_model(model, {"y"}, weights, true));
  Tensor x(DType::Float32, {3, 2}), cotangent(DType::Float32, {3, 1}), bias(DType::Float32, {1});
  session.bind_input("x", x);
  session.bind_input("y::cotangent", cotangent);
  session.bind_output("out.bias::gradient", bias);
  std::fill_n(cotangent.data<float>(), 3, 1.0F);
  session.run();
  float before = bias.data<float>()[0];
  std::fill_n(cotangent.data<float>(), 3, 2.0F);
  int64_t count = allocations();
  for (int i = 0; i < 10; ++i) session.run();
  EXPECT_EQ(allocations(), count);
  EXPECT_FLOAT_EQ(bias.data<float>()[0], 2 * before);
}

TEST(GradientModel, NamesThatDoNotFit) {
  Model model = example("square");
  EXPECT_THROW(gradient_model(model, {"y"}, {"x"}), Error);
  EXPECT_THROW(gradient_model(model, {"Identity:0"}, {""}), Error);
  Model embedding = Model::load(CorpusCase("textclf_dyn").model_path());
  std::string output = embedding.outputs()[0].name, tokens = embedding.inputs()[0].name;
  try {
    gradient_model(embedding, {output}, {tokens});
    FAIL() << "tokens have no gradient";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::BadInput);
    EXPECT_NE(std::string(e.what()).find("which has no gradient"), std::string::npos) << e.what();
  }
}

}  // namespace

}  // namespace onnxrun::testing
