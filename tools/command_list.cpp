#include "command_list.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/error.h"
#include "base/name_list.h"
#include "base/nearest.h"
#include "exit_code.h"

namespace onnxrun::tool {

std::span<const CommandInfo* const> all_commands() {
  static const std::array commands = {
      &run_command,     &train_command,   &eval_command,      &inspect_command, &check_command,
      &compare_command, &convert_command, &grad_command,      &step_command,    &test_command,
      &bench_command,   &profile_command, &plot_command,      &ops_command,     &doctor_command,
      &version_command, &help_command,    &completion_command};
  return commands;
}

const CommandInfo& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const CommandInfo* c : all_commands()) {
    if (c->name == name) return *c;
    names.emplace_back(c->name);
  }
  if (std::string near = nearest(name, names); !near.empty()) {
    fail(ErrorKind::Usage, "there is no command '{}'; did you mean '{}'?", name, near);
  }
  fail(ErrorKind::Usage, "there is no command '{}'; there are {}", name, name_list(names));
}

DeclaredCommand declared(const CommandInfo& info) {
  DeclaredCommand d;
  d.command = info.make();
  d.command->declare(d.options);
  add_common_options(d.options, d.command->common());
  return d;
}

std::span<const ExitCodeInfo> exit_codes() {
  static constexpr std::array codes = {
      ExitCodeInfo{exit_ok, "all went well"},
      ExitCodeInfo{exit_failed, "a comparison, a test, a check or a threshold failed"},
      ExitCodeInfo{exit_usage, "wrong usage: options that are not there or contradict each other"},
      ExitCodeInfo{exit_bad_model, "the model cannot be read, or breaks the standard"},
      ExitCodeInfo{exit_unsupported, "an operator, opset or type that this build does not have"},
      ExitCodeInfo{exit_bad_input, "data that cannot be read, or do not fit the model"},
      ExitCodeInfo{exit_numeric, "NaN or infinity where a finite number is needed"},
      ExitCodeInfo{exit_limit, "a limit on memory, iterations or nesting was hit"},
      ExitCodeInfo{exit_cannot_write, "an output cannot be written"},
      ExitCodeInfo{exit_internal, "a fault of onnxrun itself"},
      ExitCodeInfo{exit_timeout, "--timeout was hit"},
      ExitCodeInfo{exit_interrupted, "interrupted; train writes what it has first"}};
  return codes;
}

std::string overview() {
  std::string text =
      "onnxrun: runs, trains and re-exports ONNX models\n\nUsage: onnxrun COMMAND [options]\n\n"
      "Commands:\n";
  for (const CommandInfo* c : all_commands()) {
    text += fmt::format("  {:<10} {}\n", c->name, c->summary);
  }
  text +=
      "\n`onnxrun COMMAND --help` shows a command's options and examples.\n\n"
      "Exit codes: 0 ok, 1 a comparison or test failed, 2 usage, 3 bad model, 4 unsupported,\n"
      "5 bad input, 6 numeric failure, 7 limit hit, 8 cannot write, 70 internal, 124 timeout,\n"
      "130 interrupted\n";
  return text;
}

}  // namespace onnxrun::tool
