// Who hears what the library has to say.
#include "onnxrun/log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "onnxrun/onnxrun.h"
#include "support/files.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

struct Heard {
  std::vector<std::pair<LogLevel, std::string>> messages;

  Heard() {
    set_log_sink([this](LogLevel level, std::string_view text) {
      messages.emplace_back(level, std::string(text));
    });
  }
  ~Heard() {
    set_log_sink({});
    set_log_level(LogLevel::Info);
  }
  bool has(LogLevel level, const std::string& part) const {
    for (const auto& [at, text] : messages) {
      if (at == level && text.find(part) != std::string::npos) return true;
    }
    return false;
  }
};

void begin_training() {
  const Model model = Model::load(testing::source_path("examples/models/xor.onnx"));
  const NamedTensors data = {{"x", Tensor::of<float>({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1})},
                             {"target", Tensor::of<float>({4, 1}, {0, 1, 1, 0})}};
  const Fit fit(model, data, {});
}

TEST(Log, TellsTheSinkWhatATrainingChose) {
  Heard heard;
  begin_training();
  EXPECT_TRUE(heard.has(LogLevel::Info, "loss: bce of output 'y' (chosen by output and target)"));
  EXPECT_TRUE(heard.has(LogLevel::Info, "training "));
  for (const auto& [level, text] : heard.messages) {
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

TEST(Log, TellsWhatWasLoaded) {
  Heard heard;
  set_log_level(LogLevel::Debug);
  const std::string path = testing::source_path("examples/models/xor.onnx");
  const Model model = Model::load(path);
  EXPECT_TRUE(heard.has(LogLevel::Debug, "loaded " + path +
                                             ": pytorch 2.13.0+cpu, IR version 10, "
                                             "opset 20; 6 nodes, 6 initializers of 1348 bytes"));
  EXPECT_FALSE(heard.has(LogLevel::Debug, "raised"));
}

// Names in a file may hold anything; a message is a line.
TEST(Log, TellsWhatWasRaised) {
  ModelMaker m = small_model();
  m.model.mutable_opset_import(0)->set_version(9);
  m.model.set_producer_name("two\nlines");
  m.node("Dropout", {"y"}, {"z"});
  m.node("Dropout", {"z"}, {"v"});
  m.graph().mutable_output(0)->set_name("v");
  Heard heard;
  static_cast<void>(Model::from_bytes(m.bytes()));
  EXPECT_TRUE(heard.messages.empty());
  set_log_level(LogLevel::Debug);
  static_cast<void>(Model::from_bytes(m.bytes()));
  EXPECT_TRUE(heard.has(LogLevel::Debug, "loaded a model in memory: two\\x0alines"));
  EXPECT_TRUE(heard.has(LogLevel::Debug, "2 Dropout from version 7"));
}

TEST(Log, KeepsToTheLevel) {
  Heard heard;
  for (LogLevel level : {LogLevel::Warning, LogLevel::Error, LogLevel::Off}) {
    set_log_level(level);
    EXPECT_EQ(log_level(), level);
    begin_training();
  }
  EXPECT_TRUE(heard.messages.empty());
  set_log_level(LogLevel::Info);
  begin_training();
  EXPECT_FALSE(heard.messages.empty());
}

}  // namespace
}  // namespace onnxrun
