// What main.cpp knows of a subcommand.
#pragma once

#include <memory>
#include <string>

#include "common_options.h"
#include "options.h"

namespace onnxrun::tool {

class Command {
 public:
  explicit Command(CommonOptions common) : common_(std::move(common)) {}
  virtual ~Command() = default;

  // Declares what belongs to this command alone.
  virtual void declare(Options& options) = 0;
  // Does the work after parsing; returns the exit code. Errors are exceptions.
  virtual int execute() = 0;

  // When main ends the command.
  virtual std::optional<double> time_limit() const { return common_.timeout_seconds; }

  CommonOptions& common() { return common_; }

 protected:
  CommonOptions common_;
};

struct CommandInfo {
  const char* name;
  const char* summary;
  const char* examples;  // one command line each, indented by two spaces
  std::unique_ptr<Command> (*make)();
};

// Each command's file defines its own.
extern const CommandInfo bench_command;
extern const CommandInfo check_command;
extern const CommandInfo compare_command;
extern const CommandInfo completion_command;
extern const CommandInfo convert_command;
extern const CommandInfo doctor_command;
extern const CommandInfo eval_command;
extern const CommandInfo grad_command;
extern const CommandInfo help_command;
extern const CommandInfo inspect_command;
extern const CommandInfo ops_command;
extern const CommandInfo plot_command;
extern const CommandInfo profile_command;
extern const CommandInfo run_command;
extern const CommandInfo step_command;
extern const CommandInfo test_command;
extern const CommandInfo train_command;
extern const CommandInfo version_command;

template <typename T>
std::unique_ptr<Command> make_command() {
  return std::make_unique<T>();
}

}  // namespace onnxrun::tool
