// Trainings that files describe themselves.
#include "onnxrun/stored_training.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "builtin_ops.h"
#include "model_check.h"
#include "support/model_maker.h"

namespace onnxrun::testing {

namespace {

constexpr const char* training_domain = "ai.onnx.preview.training";

// y = x w; the algorithm takes w - dw, where loss = (y - t)^2 / 4 for one sample, and counts.
struct TrainedFile : ModelMaker {
  onnx::TrainingInfoProto* info;

  TrainedFile() : ModelMaker(17) {
    auto* import = model.add_opset_import();
    import->set_domain(training_domain);
    import->set_version(1);
    input("x", {"1"});
    node("Mul", {"x", "w"}, {"y"});
    output("y");
    initializer("w", {3});
    info = model.add_training_info();
    onnx::GraphProto& algorithm = *info->mutable_algorithm();
    algorithm.set_name("algorithm");
    *algorithm.add_input() = graph().input(0);
    algorithm.mutable_input(0)->set_name("t");
    add("Sub", {"y", "t"}, {"d"});
    add("Mul", {"d", "d"}, {"square"});
    add("Mul", {"square", "quarter"}, {"loss"});
    add_initializer(algorithm, "quarter", {0.25f});
    onnx::NodeProto& gradient = add("Gradient", {"w", "x", "t"}, {"dw"});
    gradient.set_domain(training_domain);
    attribute(gradient, "xs", onnx::AttributeProto::STRINGS).add_strings("w");
    auto& others = attribute(gradient, "zs", onnx::AttributeProto::STRINGS);
    for (const char* name : {"x", "t"}) others.add_strings(name);
    attribute(gradient, "y", onnx::AttributeProto::STRING).set_s("loss");
    add("Sub", {"w", "dw"}, {"new_w"});
    add_initializer(algorithm, "count", {0});
    add_initializer(algorithm, "one", {1});
    add("Add", {"count", "one"}, {"new_count"});
    algorithm.add_output()->set_name("loss");
    bind("w", "new_w");
    bind("count", "new_count");
  }

  onnx::NodeProto& add(const std::string& op, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs) {
    return add_node(*info->mutable_algorithm()->mutable_node(), op, inputs, outputs);
  }

  static void fill(onnx::StringStringEntryProto& binding, const char* key, const char* value) {
    binding.set_key(key);
    binding.set_value(value);
  }
  void bind(const char* key, const char* value) { fill(*info->add_update_binding(), key, value); }

  // w begins with a number from [0, 1).
  void initialize() {
    onnx::GraphProto& graph = *info->mutable_initialization();
    graph.set_name("initialization");
    onnx::NodeProto& draw = add_node(*graph.mutable_node(), "RandomUniform", {}, {"drawn"});
    attribute(draw, "shape", onnx::AttributeProto::INTS).add_ints(1);
    graph.add_output()->set_name("drawn");
    fill(*info->add_initialization_binding(), "w", "drawn");
  }

  Model load() const { return Model::from_bytes(bytes()); }
};

Tensor one(float v) { return Tensor::of<float>({1}, {v}); }

float state_of(const StoredTraining& training, const std::string& name) {
  for (const NamedTensor& t : training.state()) {
    if (t.name == name) return t.tensor.data<float>()[0];
  }
  ADD_FAILURE() << "no state " << name;
  return 0;
}

float value_of(const NamedValues& values, const std::string& name) {
  for (const auto& [key, value] : values) {
    if (key == name) return value.tensor.data<float>()[0];
  }
  ADD_FAILURE() << "no output " << name;
  return 0;
}

TEST(StoredTraining, TakesTheStepsOfTheFile) {
  StoredTraining training(TrainedFile().load());
  EXPECT_EQ(training.output_names(), (std::vector<std::string>{"y", "loss"}));
  ASSERT_EQ(training.inputs().size(), 2u);
  EXPECT_EQ(training.inputs()[1].name, "t");
  // d = 2 * 3 - 5; dw = d x / 2.
  NamedValues first = training.step({{"x", one(2)}, {"t", one(5)}});
  EXPECT_EQ(value_of(first, "y"), 6);
  EXPECT_EQ(value_of(first, "loss"), 0.25f);
  EXPECT_EQ(state_of(training, "w"), 2);
  EXPECT_EQ(value_of(training.step({{"x", one(2)}, {"t", one(5)}}), "y"), 4);
  EXPECT_EQ(state_of(training, "w"), 3);
  EXPECT_EQ(state_of(training, "count"), 2);
  EXPECT_EQ(training.steps(), 2);
  training.set_state({{"w", one(7)}});
  EXPECT_EQ(value_of(training.step({{"x", one(1)}, {"t", one(7)}}), "y"), 7);
  training.initialize();
  EXPECT_EQ(state_of(training, "w"), 3);
  EXPECT_EQ(training.steps(), 0);
}

TEST(StoredTraining, WritesStateOfModelAndAlgorithm) {
  TempDir dir;
  TrainedFile file;
  dir.write("m.onnx", file.bytes());
  StoredTraining training(Model::load(dir.path("m.onnx")));
  training.step({{"x", one(2)}, {"t", one(5)}});
  training.save(dir.path("out.onnx"));
  StoredTraining again(Model::load(dir.path("out.onnx")));
  EXPECT_EQ(state_of(again, "w"), 2);
  EXPECT_EQ(state_of(again, "count"), 1);
  // Nothing else has changed.
  again.set_state({{"w", one(3)}, {"count", one(0)}});
  again.save(dir.path("back.onnx"));
  EXPECT_EQ(dir.read("back.onnx"), dir.read("m.onnx"));
}

// The second algorithm sees what the first one has changed.
TEST(StoredTraining, SeveralAlgorithmsAreOneStep) {
  TrainedFile file;
  onnx::TrainingInfoProto& second = *file.model.add_training_info();
  ModelMaker::add_node(*second.mutable_algorithm()->mutable_node(), "Add", {"w", "total"},
                       {"new_total"});
  ModelMaker::add_initializer(*second.mutable_algorithm(), "total", {100});
  TrainedFile::fill(*second.add_update_binding(), "total", "new_total");
  StoredTraining training(file.load());
  training.step({{"x", one(2)}, {"t", one(5)}});
  EXPECT_EQ(state_of(training, "total"), 102);
}

TEST(StoredTraining, InitializationFollowsTheSeed) {
  TrainedFile file;
  file.initialize();
  auto drawn = [&](uint64_t seed) {
    StoredTraining training(file.load(), {.seed = seed});
    EXPECT_EQ(state_of(training, "w"), 3);
    training.initialize();
    return state_of(training, "w");
  };
  EXPECT_EQ(drawn(1), drawn(1));
  EXPECT_NE(drawn(1), drawn(2));
  EXPECT_LT(drawn(1), 1);
}

// Noise without a seed of its own differs from step to step, and comes again in a new training.
TEST(StoredTraining, RandomNumbersGoOn) {
  TrainedFile file;
  onnx::NodeProto& noise = file.add("RandomUniform", {}, {"noise"});
  ModelMaker::attribute(noise, "shape", onnx::AttributeProto::INTS).add_ints(1);
  file.info->mutable_algorithm()->add_output()->set_name("noise");
  auto drawn = [&] {
    StoredTraining training(file.load());
    std::vector<float> list;
    for (int i = 0; i < 2; ++i) {
      list.push_back(value_of(training.step({{"x", one(2)}, {"t", one(5)}}), "noise"));
    }
    return list;
  };
  EXPECT_EQ(drawn(), drawn());
  EXPECT_NE(drawn()[0], drawn()[1]);
}

TEST(StoredTraining, WhatIsNotFiniteChangesNothing) {
  StoredTraining training(TrainedFile().load());
  try {
    training.step({{"x", one(3e38f)}, {"t", one(-3e38f)}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Numeric) << e.what();
  }
  EXPECT_EQ(state_of(training, "w"), 3);
  EXPECT_EQ(training.steps(), 0);
  training.cancel();
  EXPECT_THROW(training.step({{"x", one(2)}, {"t", one(5)}}), Error);
}

struct Mistake {
  const char* text;
  std::function<void(TrainedFile&)> make;
};

const Mistake mistakes[] = {
    {"describes no training", [](TrainedFile& m) { m.model.clear_training_info(); }},
    {"binding of 'v', which is no initializer", [](TrainedFile& m) { m.bind("v", "new_w"); }},
    {"binding of 'y', which is no initializer", [](TrainedFile& m) { m.bind("y", "new_w"); }},
    {"the binding of 'one' names 'nothing'", [](TrainedFile& m) { m.bind("one", "nothing"); }},
    {"two update bindings of 'w'", [](TrainedFile& m) { m.bind("w", "new_count"); }},
    {"'one', float[1], cannot become 'type', bool[1]",
     [](TrainedFile& m) {
       m.add("Greater", {"loss", "one"}, {"type"});
       m.bind("one", "type");
     }},
    {"the initialization has input 'i'",
     [](TrainedFile& m) {
       m.initialize();
       auto* input = m.info->mutable_initialization()->add_input();
       *input = m.graph().input(0);
       input->set_name("i");
     }},
    {"the name 'w' is given to two values",
     [](TrainedFile& m) { ModelMaker::add_initializer(*m.info->mutable_algorithm(), "w", {1}); }},
    {"nothing produces 'nothing'",
     [](TrainedFile& m) {
       m.add("Add", {"nothing", "one"}, {"z"});
     }},
};

TEST(StoredTraining, MistakesAreNamed) {
  for (const Mistake& mistake : mistakes) {
    TrainedFile file;
    mistake.make(file);
    try {
      StoredTraining training(file.load());
      ADD_FAILURE() << "no error, expected '" << mistake.text << "'";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(mistake.text), std::string::npos) << e.what();
    }
    if (file.model.training_info().empty()) continue;
    ModelCheck check = check_model_bytes(file.bytes(), builtin_ops());
    EXPECT_FALSE(check.graph) << mistake.text;
  }
  StoredTraining training(TrainedFile().load());
  EXPECT_THROW(training.step({{"x", one(2)}}), Error);
  EXPECT_THROW(training.step({{"x", one(2)}, {"t", one(5)}, {"u", one(5)}}), Error);
  EXPECT_THROW(training.step({{"x", Tensor::of<float>({2}, {1, 2})}, {"t", one(5)}}), Error);
  EXPECT_THROW(training.set_state({{"u", one(2)}}), Error);
  EXPECT_THROW(training.set_state({{"w", Tensor::scalar(1.0f)}}), Error);
}

}  // namespace

}  // namespace onnxrun::testing
