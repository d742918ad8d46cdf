#include <array>
#include <new>

#include "base/nearest.h"
#include "command.h"
#include "exit_code.h"
#include "interrupt.h"
#include "messages.h"

namespace onnxrun::tool {

namespace {

const std::array commands = {&run_command,     &train_command,   &eval_command,    &inspect_command,
                             &check_command,   &compare_command, &convert_command, &grad_command,
                             &test_command,    &ops_command,     &plot_command,    &bench_command,
                             &profile_command, &version_command};

void print_overview() {
  print(
      "onnxrun: runs, trains and re-exports ONNX models\n\nUsage: onnxrun COMMAND [options]\n\n"
      "Commands:\n");
  for (const CommandInfo* c : commands) print(fmt::format("  {:<9} {}\n", c->name, c->summary));
  print(
      "\n`onnxrun COMMAND --help` shows a command's options and examples.\n\n"
      "Exit codes: 0 ok, 1 a comparison or test failed, 2 usage, 3 bad model, 4 unsupported,\n"
      "5 bad input, 6 numeric failure, 7 limit hit, 8 cannot write, 70 internal, 124 timeout,\n"
      "130 interrupted\n");
}

const CommandInfo& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const CommandInfo* c : commands) {
    if (c->name == name) return *c;
    names.emplace_back(c->name);
  }
  if (std::string near = nearest(name, names); !near.empty()) {
    fail(ErrorKind::Usage, "there is no command '{}'; did you mean '{}'?", name, near);
  }
  fail(ErrorKind::Usage, "there is no command '{}'; there are {}", name, name_list(names));
}

int run_command_line(const CommandInfo& info, int argc, char** argv) {
  Options options;
  std::unique_ptr<Command> command = info.make();
  command->declare(options);
  add_common_options(options, command->common());
  if (parse_options(options, info.name, {argv + 2, argv + argc}) == Parsed::Help) {
    print(help_text(options, info.name, info.summary, info.examples));
    return exit_ok;
  }
  catch_interrupts(command->time_limit());
  return command->execute();
}

int dispatch(int argc, char** argv) {
  std::string first = argc > 1 ? argv[1] : "";
  if (first.empty()) fail(ErrorKind::Usage, "a command is missing (`onnxrun --help` lists them)");
  if (first == "--help" || first == "-h" || first == "help") {
    print_overview();
    return exit_ok;
  }
  if (first == "--version") first = "version";
  return run_command_line(find_command(first), argc, argv);
}

int fail_with(int code, std::string_view text) {
  print_error(text);
  return code;
}

int guarded_main(int argc, char** argv) {
  try {
    int code = dispatch(argc, argv);
    flush_output();
    return code;
  } catch (const Error& e) {
    std::fflush(stdout);
    if (e.kind() == ErrorKind::Cancelled) {
      return timed_out() ? fail_with(exit_timeout, "the time limit was hit")
                         : fail_with(exit_interrupted, "interrupted");
    }
    if (e.kind() == ErrorKind::Internal) {
      return fail_with(exit_internal, fmt::format("internal: {}", e.what()));
    }
    return fail_with(exit_code(e.kind()), e.what());
  } catch (const std::bad_alloc&) {
    return fail_with(exit_limit, "there is not enough memory");
  } catch (const std::exception& e) {
    return fail_with(exit_internal, fmt::format("internal: {}", e.what()));
  }
}

}  // namespace

}  // namespace onnxrun::tool

int main(int argc, char** argv) { return onnxrun::tool::guarded_main(argc, argv); }
