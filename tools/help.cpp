#include <filesystem>
#include <system_error>

#include "base/atomic_file.h"
#include "base/error.h"
#include "command.h"
#include "command_list.h"
#include "exit_code.h"
#include "help_documents.h"
#include "messages.h"
#include "shell_completion.h"

namespace onnxrun::tool {

namespace {

namespace fs = std::filesystem;

class Help final : public Command {
 public:
  Help() : Command({}) {}

  void declare(Options& options) override {
    options.add("command", command_, "the command to explain (default: an overview)")
        .type_name("COMMAND");
    options.add_switch("--man", man_, "a manual page, for `man -l`");
    options.add_switch("--markdown", markdown_, "all commands as docs/cli.md");
    options
        .add("--install", folder_,
             "write all manual pages and completions below a folder, as in /usr/share")
        .type_name("DIR");
  }

  int execute() override {
    if (man_ + markdown_ + !folder_.empty() > 1) {
      fail(ErrorKind::Usage, "give one of --man, --markdown and --install");
    }
    if ((markdown_ || !folder_.empty()) && !command_.empty()) {
      fail(ErrorKind::Usage, "--markdown and --install are about all commands");
    }
    if (!folder_.empty()) {
      install();
    } else {
      print(text());
    }
    return exit_ok;
  }

 private:
  std::string text() const {
    if (markdown_) return markdown();
    if (command_.empty()) return man_ ? man_page() : overview();
    const CommandInfo& info = find_command(command_);
    if (man_) return man_page(info);
    return help_text(declared(info).options, info.name, info.summary, info.examples);
  }

  void write(const std::string& path, const std::string& text) const {
    fs::path file = fs::path(folder_) / path;
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    if (error) {
      fail(ErrorKind::CannotWrite, "{}: {}", file.parent_path().string(), error.message());
    }
    write_file(file.string(), text);
  }

  void install() const {
    write("man/man1/onnxrun.1", man_page());
    for (const CommandInfo* c : all_commands()) {
      write(fmt::format("man/man1/onnxrun-{}.1", c->name), man_page(*c));
    }
    write("bash-completion/completions/onnxrun", bash_completion());
    write("zsh/site-functions/_onnxrun", zsh_completion());
    write("zsh/vendor-completions/_onnxrun", zsh_completion());  // where Debian's zsh looks
    write("fish/vendor_completions.d/onnxrun.fish", fish_completion());
  }

  std::string command_, folder_;
  bool man_ = false, markdown_ = false;
};

class Completion final : public Command {
 public:
  Completion() : Command({}) {}

  void declare(Options& options) override {
    options.add("shell", shell_, "the shell whose script is printed")
        .type_name("bash|zsh|fish")
        .check(one_of({"bash", "zsh", "fish"}))
        .required();
  }

  int execute() override {
    print(shell_ == "bash"  ? bash_completion()
          : shell_ == "zsh" ? zsh_completion()
                            : fish_completion());
    return exit_ok;
  }

 private:
  std::string shell_;
};

}  // namespace

const CommandInfo help_command = {"help", "explains a command; manual pages",
                                  "  onnxrun help\n"
                                  "  onnxrun help train\n"
                                  "  onnxrun help --man train | man -l -\n"
                                  "  onnxrun help --markdown > docs/cli.md\n"
                                  "  onnxrun help --install ~/.local/share",
                                  make_command<Help>};

const CommandInfo completion_command = {
    "completion", "prints the completion script of a shell",
    "  source <(onnxrun completion bash)\n"
    "  onnxrun completion zsh > ~/.zfunc/_onnxrun\n"
    "  onnxrun completion fish > ~/.config/fish/completions/onnxrun.fish",
    make_command<Completion>};

}  // namespace onnxrun::tool
