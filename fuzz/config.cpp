// Options in a file, as --config reads them, the first byte says of which command; what is taken is
// written and read again. The same entries are then what a program gives by the C interface.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "command_list.h"
#include "config_file.h"
#include "guarded.h"
#include "onnxrun.h"

using namespace onnxrun;

namespace {

struct Places {
  Places() : folder("/dev/shm/onnxrun-config-" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder);
    for (const tool::CommandInfo* c : tool::all_commands()) commands.emplace_back(c->name);
  }
  ~Places() { std::filesystem::remove_all(folder); }

  // The words of a command that reads its options from a file with this text.
  std::vector<std::string> words(const std::string& text) const {
    const std::string path = folder + "/run.toml";
    std::ofstream(path, std::ios::binary) << text;
    return {"--config", path};
  }

  const std::string folder;
  std::vector<std::string> commands;
};

void require(bool holds, const char* what) {
  if (!holds) fail(ErrorKind::Internal, "{}", what);
}

void read_as_command(const Places& places, const tool::CommandInfo& info, const std::string& text) {
  auto [command, options] = tool::declared(info);
  const std::vector<std::string> words = places.words(text);
  tool::parse_options(options, info.name, words, places.commands);
  const std::string written = tool::config_of(options, info.name, words, places.commands);

  const std::vector<std::string> again = places.words(written);
  bool same = false;
  try {
    auto [second, fresh] = tool::declared(info);
    tool::parse_options(fresh, info.name, again, places.commands);
    same = tool::config_of(fresh, info.name, again, places.commands) == written;
  } catch (const Error& e) {
    fail(ErrorKind::Internal, "options are not read back: {}", e.what());
  }
  require(same, "options are read back as others");
}

void check_status(onnxrun_status status) {
  if (status == ONNXRUN_OK) return;
  const std::string text = onnxrun_error();
  require(status != ONNXRUN_INTERNAL && !text.empty() && text.find('\n') == std::string::npos,
          text.c_str());
}

void read_by_c(const std::vector<tool::ConfigEntry>& entries) {
  static onnxrun_model* model = nullptr;
  if (!model) {
    check_status(onnxrun_model_load(ONNXRUN_SOURCE "/examples/models/xor.onnx", &model));
  }
  const std::unique_ptr<onnxrun_options, decltype(&onnxrun_options_free)> options(
      onnxrun_options_new(), onnxrun_options_free);
  for (const tool::ConfigEntry& entry : entries) {
    std::string name = entry.name;
    std::replace(name.begin(), name.end(), '-', '_');
    for (const std::string& value : entry.values) {
      check_status(onnxrun_options_set(options.get(), name.c_str(), value.c_str()));
    }
  }
  onnxrun_session* session = nullptr;
  check_status(onnxrun_session_new(model, options.get(), &session));
  onnxrun_session_free(session);
  onnxrun_trainer* trainer = nullptr;
  check_status(onnxrun_trainer_new(model, options.get(), &trainer));
  onnxrun_trainer_free(trainer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const Places places;
  const auto commands = tool::all_commands();
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  fuzz::guarded([&] { read_as_command(places, *commands[data[0] % commands.size()], text); });
  fuzz::guarded([&] { read_by_c(tool::parse_config(text)); });
  return 0;
}
