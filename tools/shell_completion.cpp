#include "shell_completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "command_list.h"

namespace onnxrun::tool {

namespace {

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.';
  });
}

bool is_lower_word(std::string_view text) {
  return is_word(text) &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return std::isupper(c); });
}

// "mean|sum" has two; a help that lists "name: what it is", a line each, has those names.
std::vector<std::string> choices_of(const Option& option) {
  std::vector<std::string> words = split_list(option.type_name(), '|');
  if (words.size() > 1 && std::all_of(words.begin(), words.end(), is_lower_word)) return words;
  words.clear();
  std::vector<std::string> lines = split_list(option.help(), '\n');
  for (size_t k = 1; k < lines.size(); ++k) {
    std::string name = lines[k].substr(0, lines[k].find(':'));
    if (is_word(name)) words.push_back(name);
  }
  return words;
}

bool takes_folder(const Option& option) { return option.type_name() == "DIR"; }
bool takes_file(const Option& option) {
  return option.type_name().find("FILE") != std::string::npos || option.type_name() == "SPEC" ||
         option.type_name() == "MODEL";
}

std::string joined(const std::vector<std::string>& words, const char* between = " ") {
  std::string text;
  for (const std::string& w : words) text += (text.empty() ? "" : between) + w;
  return text;
}

std::vector<std::string> names_of_options(const Options& options) {
  std::vector<std::string> names = {"--help"};
  for (const Option& option : options.all()) {
    if (option.is_argument()) continue;
    for (const std::string& name : split_list(option.names())) names.push_back(name);
  }
  return names;
}

// The first line of a help, short enough for a list.
std::string short_help(const Option& option) {
  std::string text = split_list(option.help() + "\n", '\n').front();
  constexpr size_t most = 60;
  if (text.size() <= most) return text;
  size_t end = text.rfind(' ', most);
  return text.substr(0, end == std::string::npos ? most : end) + " ...";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const CommandInfo* c : all_commands()) names.emplace_back(c->name);
  return names;
}

// Arguments that are no files.
std::vector<std::string> words_of_arguments(const Options& options) {
  std::vector<std::string> words;
  for (const Option& option : options.all()) {
    if (!option.is_argument()) continue;
    if (option.type_name() == "COMMAND") words = command_names();
    for (const std::string& word : choices_of(option)) words.push_back(word);
  }
  return words;
}

std::string bash_values(const Option& option) {
  std::string names = joined(split_list(option.names()), "|");
  if (std::vector<std::string> choices = choices_of(option); !choices.empty()) {
    return fmt::format("        {}) words=\"{}\" ;;\n", names, joined(choices));
  }
  if (takes_folder(option)) return fmt::format("        {}) kind=folder ;;\n", names);
  if (takes_file(option)) return fmt::format("        {}) kind=file ;;\n", names);
  return fmt::format("        {}) kind=other ;;\n", names);
}

}  // namespace

std::string bash_completion() {
  std::string cases;
  for (const CommandInfo* c : all_commands()) {
    DeclaredCommand d = declared(*c);
    std::string values;
    for (const Option& option : d.options.all()) {
      if (!option.is_argument() && !option.is_switch()) values += bash_values(option);
    }
    cases += fmt::format(
        "    {})\n      options=\"{}\"\n      arguments=\"{}\"\n      case $previous in\n{}"
        "      esac ;;\n",
        c->name, joined(names_of_options(d.options)), joined(words_of_arguments(d.options)),
        values);
  }
  std::string text =
      R"(# Completion of onnxrun for bash: source it, or put it where bash-completion looks.
_onnxrun() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local command=${COMP_WORDS[1]} options= arguments= words= kind=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "@COMMANDS@ --help --version" -- "$current")
    return
  fi
  case $command in
@CASES@  esac
  if [ -n "$words" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi
  if [[ -z $kind && $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    return
  fi
  if [[ -z $kind && -n $arguments ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$arguments" -- "$current")
    return
  fi
  compopt -o filenames 2>/dev/null
  case $kind in
    folder) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    other) ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "${current##*=}") ;;
  esac
}
complete -F _onnxrun onnxrun
)";
  return replaced(replaced(text, "@COMMANDS@", joined(command_names())), "@CASES@", cases);
}

namespace {

// In single quotes, inside the brackets of _arguments.
std::string zsh_text(const std::string& text) {
  std::string escaped;
  for (char c : text) {
    if (c == '\'') {
      escaped += "'\\''";
    } else if (c == '[' || c == ']' || c == ':' || c == '\\') {
      escaped += std::string("\\") + c;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string zsh_action(const Option& option) {
  std::vector<std::string> choices = choices_of(option);
  if (option.type_name() == "COMMAND") choices = command_names();
  if (!choices.empty()) return "(" + joined(choices) + ")";
  if (takes_folder(option)) return "_files -/";
  return takes_file(option) || option.is_argument() ? "_files" : " ";
}

std::string zsh_option(const Option& option) {
  std::string text;
  std::vector<std::string> names = split_list(option.names());
  for (const std::string& name : names) {
    std::string others = names.size() > 1 && !option.is_repeated() ? joined(names) : "";
    std::string exclusive = others.empty() ? "" : "(" + others + ")";
    std::string again = option.is_repeated() ? "*" : "";
    std::string value = option.is_switch() ? ""
                                           : fmt::format(":{}:{}", zsh_text(option.type_name()),
                                                         zsh_action(option));
    text += fmt::format("        '{}{}{}[{}]{}' \\\n", exclusive, again, name,
                        zsh_text(short_help(option)), value);
  }
  return text;
}

}  // namespace

std::string zsh_completion() {
  std::string commands, cases;
  for (const CommandInfo* c : all_commands()) {
    commands += fmt::format("    '{}:{}'\n", c->name, zsh_text(c->summary));
    DeclaredCommand d = declared(*c);
    cases += fmt::format("    {})\n      _arguments -s \\\n", c->name);
    for (const Option& option : d.options.all()) {
      if (!option.is_argument()) cases += zsh_option(option);
    }
    for (const Option& option : d.options.all()) {
      if (!option.is_argument()) continue;
      cases += fmt::format("        '{}:{}:{}' \\\n", option.is_repeated() ? "*" : "1",
                           zsh_text(option.names()), zsh_action(option));
    }
    cases += "        '--help[options and examples]' ;;\n";
  }
  std::string text = R"(#compdef onnxrun
# Completion of onnxrun for zsh: put it into a folder of $fpath as _onnxrun.
_onnxrun() {
  local -a commands
  commands=(
@COMMANDS@  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
@CASES@  esac
}
if [ "$funcstack[1]" = _onnxrun ]; then
  _onnxrun "$@"
else
  compdef _onnxrun onnxrun
fi
)";
  return replaced(replaced(text, "@COMMANDS@", commands), "@CASES@", cases);
}

namespace {

std::string fish_text(const std::string& text) {
  return "'" + replaced(replaced(text, "\\", "\\\\"), "'", "\\'") + "'";
}

std::string fish_option(const CommandInfo& info, const Option& option) {
  std::string text =
      fmt::format("complete -c onnxrun -n '__fish_seen_subcommand_from {}'", info.name);
  for (const std::string& name : split_list(option.names())) {
    text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (!option.is_switch()) {
    std::vector<std::string> choices = choices_of(option);
    if (!choices.empty()) {
      text += " -x -a " + fish_text(joined(choices));
    } else if (takes_folder(option)) {
      text += " -x -a '(__fish_complete_directories)'";
    } else {
      text += takes_file(option) ? " -r -F" : " -x";
    }
  }
  return text + " -d " + fish_text(short_help(option)) + "\n";
}

}  // namespace

std::string fish_completion() {
  std::string text =
      "# Completion of onnxrun for fish: put it into ~/.config/fish/completions as onnxrun.fish.\n";
  for (const CommandInfo* c : all_commands()) {
    text += fmt::format("complete -c onnxrun -n __fish_use_subcommand -f -a {} -d {}\n", c->name,
                        fish_text(c->summary));
  }
  for (const CommandInfo* c : all_commands()) {
    DeclaredCommand d = declared(*c);
    for (const Option& option : d.options.all()) {
      if (!option.is_argument()) text += fish_option(*c, option);
    }
    std::vector<std::string> words = words_of_arguments(d.options);
    if (words.empty()) continue;
    text += fmt::format("complete -c onnxrun -n '__fish_seen_subcommand_from {}' -f -a {}\n",
                        c->name, fish_text(joined(words)));
  }
  return text;
}

}  // namespace onnxrun::tool
