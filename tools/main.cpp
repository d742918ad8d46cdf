#include <memory>
#include <new>

#include "base/work.h"
#include "command_list.h"
#include "exit_code.h"
#include "interrupt.h"
#include "kernels/draws.h"
#include "messages.h"

namespace onnxrun::tool {

namespace {

int run_command_line(const CommandInfo& info, int argc, char** argv) {
  auto [command, options] = declared(info);
  std::vector<std::string> words(argv + 2, argv + argc), commands;
  for (const CommandInfo* c : all_commands()) commands.emplace_back(c->name);
  switch (parse_options(options, info.name, words, commands)) {
    case Parsed::Help:
      print(help_text(options, info.name, info.summary, info.examples));
      return exit_ok;
    case Parsed::PrintConfig:
      print(config_of(options, info.name, words, commands));
      return exit_ok;
    case Parsed::Run:
      break;
  }
  show_library_messages();
  catch_interrupts(command->time_limit());
  seed_draws(command->common().seed);
  // What all tensors of the process take together, whichever part of the command they are for.
  const CommonOptions& common = command->common();
  const auto memory = std::make_shared<MemoryAccount>(common.max_memory);
  const Work work{.memory = memory.get(), .max_tensor = common.max_tensor};
  WorkScope scope(&work);
  return command->execute();
}

int dispatch(int argc, char** argv) {
  std::string first = argc > 1 ? argv[1] : "";
  if (first.empty()) fail(ErrorKind::Usage, "a command is missing (`onnxrun --help` lists them)");
  if (first == "--help" || first == "-h") {
    print(overview());
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
