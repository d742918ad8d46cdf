#include "help_documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

namespace onnxrun::tool {

namespace {

std::vector<std::string> lines_of(const std::string& text) { return split_list(text, '\n'); }

// Headings in the order in which their first options stand, common ones last.
std::vector<std::string> groups_of(const Options& options) {
  std::vector<std::string> groups;
  for (const Option& option : options.all()) {
    if (option.is_argument()) continue;
    if (std::find(groups.begin(), groups.end(), option.group()) == groups.end()) {
      groups.push_back(option.group());
    }
  }
  std::stable_partition(groups.begin(), groups.end(),
                        [](const std::string& g) { return g != common_group; });
  return groups;
}

// "MODEL [options]": what stands behind the command's name.
std::string arguments_text(const Options& options) {
  std::string text;
  for (const Option& option : options.all()) {
    if (!option.is_argument()) continue;
    std::string name = option.names();
    for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (option.is_repeated()) name += "...";
    text += option.is_required() ? " " + name : " [" + name + "]";
  }
  return text + " [options]";
}

// Troff reads a backslash, and a dot or an apostrophe at the beginning of a line, as its own.
std::string roff(const std::string& text) {
  std::string escaped;
  for (char c : text) {
    bool first = escaped.empty() || escaped.back() == '\n';
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else if (first && (c == '.' || c == '\'')) {
      escaped += std::string("\\&") + c;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string roff_names(const Option& option) {
  std::string text;
  for (const std::string& name : split_list(option.names())) {
    text += (text.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
  }
  if (!option.is_switch() && !option.type_name().empty()) {
    text += " \\fI" + roff(option.type_name()) + "\\fR";
  }
  return text + (option.is_repeated() ? " ..." : "");
}

std::string roff_help(const std::string& help) {
  std::string text;
  for (const std::string& line : lines_of(help)) {
    text += (text.empty() ? "" : ".br\n") + roff(line) + "\n";
  }
  return text;
}

std::string roff_options(const Options& options) {
  std::string text;
  for (const Option& option : options.all()) {
    if (!option.is_argument()) continue;
    if (text.empty()) text += ".SH ARGUMENTS\n";
    text += ".TP\n" + roff_names(option) + "\n" + roff_help(option.help());
  }
  text += ".SH OPTIONS\n";
  for (const std::string& group : groups_of(options)) {
    if (group != "Options") text += ".SS \"" + roff(group) + "\"\n";
    for (const Option& option : options.all()) {
      if (option.is_argument() || option.group() != group) continue;
      text += ".TP\n" + roff_names(option) + "\n" + roff_help(option.help());
    }
  }
  return text;
}

std::string roff_head(std::string title) {
  for (char& c : title) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return fmt::format(".TH {} 1 \"\" \"onnxrun {}\" \"onnxrun manual\"\n", roff(title),
                     ONNXRUN_VERSION);
}

std::string roff_exit_codes() {
  std::string text = ".SH \"EXIT STATUS\"\n";
  for (const ExitCodeInfo& e : exit_codes()) {
    text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", e.code, roff(e.meaning));
  }
  return text;
}

// A table's cell, or a line of a list: what Markdown takes as markup is escaped.
std::string plain(const std::string& text) {
  std::string escaped;
  for (char c : text) {
    if (std::string_view("\\`*_[]<>|#").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string markdown_option(const Option& option) {
  std::string names;
  for (const std::string& name : split_list(option.names())) {
    names += (names.empty() ? "" : ", ") + name;
  }
  if (!option.is_switch() && !option.type_name().empty()) names += " " + option.type_name();
  std::string text;
  for (const std::string& line : lines_of(option.help())) {
    text += (text.empty() ? "" : "\n  - ") + plain(line);
  }
  return fmt::format("- `{}{}`{}: {}\n", names, option.is_repeated() ? " ..." : "",
                     option.is_required() ? " (required)" : "", text);
}

std::string markdown_group(const Options& options, const std::string& group) {
  std::string text;
  for (const Option& option : options.all()) {
    if (!option.is_argument() && option.group() == group) text += markdown_option(option);
  }
  return text;
}

std::string markdown_command(const CommandInfo& info) {
  DeclaredCommand d = declared(info);
  std::string text = fmt::format("## onnxrun {}\n\n{}.\n\n    onnxrun {}{}\n\n", info.name,
                                 plain(info.summary), info.name, arguments_text(d.options));
  std::string arguments;
  for (const Option& option : d.options.all()) {
    if (option.is_argument()) arguments += markdown_option(option);
  }
  if (!arguments.empty()) text += arguments + "\n";
  for (const std::string& group : groups_of(d.options)) {
    if (group == common_group) continue;
    if (group != "Options") text += group + ":\n\n";
    text += markdown_group(d.options, group) + "\n";
  }
  text += "Examples:\n\n";
  for (const std::string& line : lines_of(info.examples)) text += "  " + line + "\n";
  return text + "\n";
}

}  // namespace

std::string man_page() {
  std::string text = roff_head("onnxrun");
  text += ".SH NAME\nonnxrun \\- runs, trains and re\\-exports ONNX models\n";
  text += ".SH SYNOPSIS\n.B onnxrun\n\\fICOMMAND\\fR [\\fIoptions\\fR]\n.SH COMMANDS\n";
  std::string see;
  for (const CommandInfo* c : all_commands()) {
    text += fmt::format(".TP\n\\fBonnxrun\\-{}\\fR(1)\n{}\n", roff(c->name), roff(c->summary));
    see += fmt::format("{}.BR onnxrun\\-{} (1)", see.empty() ? "" : " ,\n", roff(c->name));
  }
  text += ".SH \"COMMON OPTIONS\"\n";
  DeclaredCommand any = declared(version_command);
  for (const Option& option : any.options.all()) {
    if (option.group() != common_group) continue;
    text += ".TP\n" + roff_names(option) + "\n" + roff_help(option.help());
  }
  return text + roff_exit_codes() + ".SH \"SEE ALSO\"\n" + see + "\n";
}

std::string man_page(const CommandInfo& info) {
  DeclaredCommand d = declared(info);
  std::string name = std::string("onnxrun-") + info.name;
  std::string text = roff_head(name);
  text += fmt::format(".SH NAME\n{} \\- {}\n", roff(name), roff(info.summary));
  text += fmt::format(".SH SYNOPSIS\n.B onnxrun {}\n{}\n", roff(info.name),
                      roff(arguments_text(d.options).substr(1)));
  text += roff_options(d.options);
  text += ".SH EXAMPLES\n.nf\n" + roff(info.examples) + "\n.fi\n";
  return text + roff_exit_codes() + ".SH \"SEE ALSO\"\n.BR onnxrun (1)\n";
}

std::string markdown() {
  std::string text =
      "# The command\n\n"
      "`onnxrun help --markdown` writes this page from the tables of options.\n\n"
      "Data goes to standard output, messages to standard error. A model `-` is standard input.\n\n"
      "| command | |\n|---|---|\n";
  for (const CommandInfo* c : all_commands()) {
    text += fmt::format("| [{}](#onnxrun-{}) | {} |\n", c->name, c->name, plain(c->summary));
  }
  text += "\nOptions of all commands:\n\n";
  DeclaredCommand any = declared(version_command);
  text += markdown_group(any.options, common_group);
  text +=
      "\nExit codes ([errors.md](errors.md) has an example of each):\n\n| code | |\n|---|---|\n";
  for (const ExitCodeInfo& e : exit_codes()) {
    text += fmt::format("| {} | {} |\n", e.code, plain(e.meaning));
  }
  text += "\n";
  for (const CommandInfo* c : all_commands()) text += markdown_command(*c);
  while (text.ends_with("\n\n")) text.pop_back();
  return text;
}

}  // namespace onnxrun::tool
