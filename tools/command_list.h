// All commands, with their tables of options.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "command.h"

namespace onnxrun::tool {

// In the order of the overview.
std::span<const CommandInfo* const> all_commands();

// Throws Usage, with the nearest name, if there is none of this name.
const CommandInfo& find_command(const std::string& name);

// A command and all its options, common ones last.
struct DeclaredCommand {
  std::unique_ptr<Command> command;
  Options options;
};
DeclaredCommand declared(const CommandInfo& info);

inline constexpr const char* common_group = "Common options";

// What the exit codes mean, in their order.
struct ExitCodeInfo {
  int code;
  const char* meaning;
};
std::span<const ExitCodeInfo> exit_codes();

// The text of `onnxrun --help`.
std::string overview();

}  // namespace onnxrun::tool
