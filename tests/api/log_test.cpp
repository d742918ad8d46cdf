// Who hears what the library has to say.
#include "onnxrun/log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "onnxrun/onnxrun.h"
#include "support/files.h"

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
