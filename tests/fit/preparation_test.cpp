// What a model's file remembers of the data of its training.
#include "onnxrun/preparation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "fit/class_data.h"
#include "fit/stored_preparation.h"
#include "model_editor.h"
#include "onnxrun/evaluate.h"
#include "onnxrun/fit.h"
#include "support/corpus.h"
#include "support/files.h"
#include "support/model_maker.h"

namespace onnxrun::testing {

namespace {

NamedTensors raw_data(int64_t samples) {
  Tensor x(DType::Float32, {samples, 16}), y(DType::Int64, {samples});
  for (int64_t i = 0; i < samples * 16; ++i) {
    x.data<float>()[i] = static_cast<float>((i * 37 + i / 16 * 5) % 101) * 3 + 700;
  }
  for (int64_t i = 0; i < samples; ++i) y.data<int64_t>()[i] = i * 5 % 8;
  return {{"x", x}, {"target", y}};
}

FitOptions preparation_options() {
  FitOptions o;
  o.feed.batch_size = 8;
  o.feed.scale = {{"x", 0.3}};
  o.feed.standardize = {"x"};
  o.validation = raw_data(24);
  return o;
}

double loss_of(const std::string& path, bool as_trained) {
  EvaluationOptions o;
  o.feed.as_trained = as_trained;
  o.feed.batch_size = 8;
  return evaluate(Model::load(path), raw_data(24), o).loss;
}

TEST(Preparation, ComesBackWithTheModel) {
  TempDir dir;
  Fit training = fit(classifier(), raw_data(40), preparation_options());
  training.save(dir / "m.onnx");
  Preparation stored = Preparation::of(Model::load(dir / "m.onnx"));
  const PreparedInput& x = stored.inputs.at("x");
  EXPECT_EQ(x.scale, 0.3);
  EXPECT_TRUE(identical(x.mean, training.standardization()[0].tensor));
  EXPECT_TRUE(identical(x.deviation, training.standardization()[1].tensor));
  double loss = training.history()[0].value("val_loss").value();
  EXPECT_NEAR(loss_of(dir / "m.onnx", true), loss, 1e-6 * loss);
  EXPECT_GT(std::abs(loss_of(dir / "m.onnx", false) - loss), 1e-3 * loss);
}

TEST(Preparation, IsSaidWhereItIsNotApplied) {
  TempDir dir;
  fit(classifier(), raw_data(40), preparation_options()).save(dir / "m.onnx");
  Model model = Model::load(dir / "m.onnx");
  auto warnings = [&](FeedOptions feed) {
    EvaluationOptions o;
    o.feed = std::move(feed);
    return Evaluator(model, raw_data(24), o).summary().warnings.size();
  };
  FeedOptions as_trained;
  as_trained.as_trained = true;
  EXPECT_EQ(warnings({}), 1U);
  EXPECT_EQ(warnings(as_trained), 0U);
  as_trained.scale = {{"x", 0.3}};
  EXPECT_THROW(warnings(as_trained), Error);
  FitOptions scaled = preparation_options();
  scaled.feed.standardize.clear();
  fit(classifier(), raw_data(40), scaled).save(dir / "s.onnx");
  model = Model::load(dir / "s.onnx");
  EXPECT_EQ(warnings({}), 1U);
  EXPECT_EQ(warnings(scaled.feed), 0U);
}

TEST(Preparation, BakedIntoTheGraph) {
  TempDir dir;
  FitOptions baked = preparation_options();
  baked.bake = true;
  Fit training = fit(classifier(), raw_data(40), baked);
  training.save(dir / "m.onnx");
  EXPECT_TRUE(Preparation::of(Model::load(dir / "m.onnx")).empty());
  EXPECT_NEAR(loss_of(dir / "m.onnx", false), *training.history()[0].value("val_loss"), 1e-5);
  // Constants, not parameters.
  Model model = Model::load(dir / "m.onnx");
  int constants = 0;
  for (const InitializerInfo& i : model.initializers()) {
    bool prepares = i.name.find("prepared") != std::string::npos;
    EXPECT_FALSE(prepares && i.trainable) << i.name;
    constants += prepares;
  }
  EXPECT_EQ(constants, 3);
}

TEST(Preparation, TrainsOnWithTheSameNumbers) {
  TempDir dir;
  Fit first = fit(classifier(), raw_data(40), preparation_options());
  first.save(dir / "m.onnx");
  FitOptions again = preparation_options();
  again.feed.scale.clear();
  again.feed.standardize.clear();
  again.feed.as_trained = true;
  Fit second = fit(Model::load(dir / "m.onnx"), raw_data(16), again);
  second.save(dir / "n.onnx");
  EXPECT_EQ(preparation_text(second.preparation()), preparation_text(first.preparation()));
  EXPECT_EQ(preparation_text(Preparation::of(Model::load(dir / "n.onnx"))),
            preparation_text(first.preparation()));
}

TEST(Preparation, IsPartOfAState) {
  Fit training(classifier(), raw_data(40), preparation_options());
  NamedTensors other = raw_data(40);
  other[0].tensor.data<float>()[5] = 1;
  Fit changed(classifier(), other, preparation_options());
  EXPECT_THROW(changed.set_state(training.state()), Error);
}

// The file written has the tensors that training told apart.
TEST(Preparation, StandsInWhatUnsharingMade) {
  TempDir dir;
  Model model = Model::load(CorpusCase("tenc_fresh_dyn").model_path());
  FitOptions o;
  o.max_steps = 1;
  o.trainer.loss.name = "mse";
  const Type& in = model.graph().value(model.graph().inputs[0]).type;
  const Type& out = model.graph().value(model.graph().outputs[0]).type;
  auto zeros = [](const Type& type) {
    Dims dims;
    for (const Dim& d : *type.shape) dims.push_back(d.is_known() ? d.value() : 2);
    Tensor t(DType::Float32, dims);
    std::fill_n(t.data<float>(), t.size(), 0.5F);
    return t;
  };
  const std::string& name = model.graph().name_of(model.graph().inputs[0]);
  o.feed.scale = {{name, 0.5}};
  Fit training = fit(model, {{name, zeros(in)}, {"target", zeros(out)}}, o);
  ASSERT_FALSE(training.trainer().unshared().empty());
  training.save(dir / "m.onnx");
  Model written = Model::load(dir / "m.onnx");
  EXPECT_EQ(Preparation::of(written).inputs.at(name).scale, 0.5);
  EXPECT_EQ(written.initializers().size(), training.trainer().model().initializers().size());
}

TEST(Preparation, NothingToBake) {
  FitOptions o;
  o.bake = true;
  EXPECT_THROW(Fit(classifier(), raw_data(16), o), Error);
}

// A batch, one sample, time-major batches.
TEST(Preparation, AppliesToSamplesAndBatches) {
  PreparedInput input{2, Tensor::of<double>({3}, {1, 2, 3}), Tensor::of<double>({3}, {1, 2, 4})};
  Tensor sample = input.apply(Tensor::of<float>({3}, {1, 2, 3}));
  EXPECT_TRUE(identical(sample, Tensor::of<double>({3}, {1, 1, 0.75})));
  Tensor batch = input.apply(Tensor::of<float>({2, 3}, {1, 2, 3, 0, 0, 0}));
  EXPECT_TRUE(identical(batch, Tensor::of<double>({2, 3}, {1, 1, 0.75, -1, -1, -0.75})));
  input.batch_axis = 1;
  batch = input.apply(Tensor::of<float>({3, 2}, {1, 0, 2, 0, 3, 0}));
  EXPECT_TRUE(identical(batch, Tensor::of<double>({3, 2}, {1, -1, 1, -1, 0.75, -0.75})));
  EXPECT_THROW(input.apply(Tensor::of<float>({4}, {1, 2, 3, 4})), Error);
}

class DamagedPreparation : public ::testing::TestWithParam<std::string> {};

TEST_P(DamagedPreparation, IsAnError) {
  ModelMaker model;
  model.input("x", {"n", "2"});
  model.node("Relu", {"x"}, {"y"});
  model.output("y");
  auto& entry = *model.model.add_metadata_props();
  entry.set_key("onnxrun.data");
  entry.set_value(GetParam());
  try {
    Preparation::of(Model::from_bytes(model.bytes()));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::BadModel) << e.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, DamagedPreparation,
    ::testing::Values("{", "[]", R"({"inputs": 3})", R"({"inputs": {"x": {"scale": "a"}}})",
                      R"({"inputs": {"x": {"mean": [1, 2]}}})",
                      R"({"inputs": {"x": {"shape": [2], "mean": [1], "deviation": [1, 2]}}})",
                      R"({"inputs": {"x": {"shape": [2], "mean": [1, 2], "deviation": [1, 0]}}})",
                      R"({"inputs": {"x": {"shape": [-1], "mean": [], "deviation": []}}})",
                      R"({"inputs": {"x": {"shape": [4294967296, 4294967296], "mean": [],
                          "deviation": []}}})",
                      R"({"inputs": {"x": {"batch_axis": -1}}})", R"({"classes": {"y": 3}})",
                      R"({"classes": {"y": [1]}})"));

// Bodies read the input, too.
TEST(PrepareInput, ReachesEveryReader) {
  ModelMaker maker;
  maker.input("x", {"2"});
  maker.input("c", {}, 9);
  onnx::NodeProto& branch = maker.node("If", {"c"}, {"y"});
  onnx::GraphProto& then = ModelMaker::body(branch, "then_branch");
  ModelMaker::add_node(*then.mutable_node(), "Relu", {"x"}, {"a"});
  then.add_output()->set_name("a");
  onnx::GraphProto& other = ModelMaker::body(branch, "else_branch");
  ModelMaker::add_node(*other.mutable_node(), "Add", {"x", "x"}, {"b"});
  other.add_output()->set_name("b");
  maker.output("y");
  ModelEditor editor(maker.bytes());
  editor.prepare_input("x", 2, Tensor::of<double>({2}, {1, 1}), Tensor::of<double>({2}, {1, 4}));
  Session session(Model::from_bytes(editor.bytes()));
  auto run = [&](bool c) {
    return session.run({{"x", Tensor::of<float>({2}, {3, 3})}, {"c", Tensor::scalar<bool>(c)}})[0]
        .second.tensor;
  };
  EXPECT_TRUE(identical(run(true), Tensor::of<float>({2}, {5, 1.25F})));
  EXPECT_TRUE(identical(run(false), Tensor::of<float>({2}, {10, 2.5F})));
}

TEST(PrepareInput, NeedsFloatsAndBroadcasting) {
  auto rejects = [](int64_t opset, int type, bool passes) {
    ModelMaker maker(opset);
    maker.input("x", {"2"}, type);
    maker.node("Relu", {"x"}, {"y"});
    maker.output("y");
    if (passes) maker.output("x");
    ModelEditor editor(maker.bytes());
    EXPECT_THROW(editor.prepare_input("x", 2, {}, {}), Error);
  };
  rejects(13, 2, false);
  rejects(6, 1, false);
  rejects(13, 1, true);
}

// Halves are computed in float.
TEST(PrepareInput, Halves) {
  ModelMaker maker(17);
  maker.input("x", {"2"}, 10);
  maker.node("Relu", {"x"}, {"y"});
  maker.output("y");
  ModelEditor editor(maker.bytes());
  editor.prepare_input("x", 0.5, {}, {});
  Session session(Model::from_bytes(editor.bytes()));
  Tensor x = convert(Tensor::of<float>({2}, {3, 5}), DType::Float16);
  EXPECT_TRUE(identical(session.run({{"x", x}})[0].second.tensor,
                        convert(Tensor::of<float>({2}, {1.5F, 2.5F}), DType::Float16)));
}

}  // namespace

}  // namespace onnxrun::testing
