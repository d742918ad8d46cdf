#include "options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/nearest.h"
#include "common_options.h"
#include "config_file.h"
#include "tensor/byte_source.h"

namespace onnxrun::tool {

namespace {

// The help's two columns.
constexpr size_t name_columns = 32, text_columns = 66;

// "--output" of "-o,--output".
std::string main_name(const Option& option) {
  return option.names().substr(option.names().rfind(',') + 1);
}

// The texts of each option, in the order of the table.
using Given = std::vector<std::vector<std::string>>;

// The program that the words are parsed by: values arrive at our own table as texts. What `there`
// has need not be given again.
void describe(CLI::App& app, const Options& options, Given* given, const Given* there = nullptr) {
  size_t place = 0;
  for (const Option& option : options.all()) {
    size_t k = place++;
    CLI::Option* described = nullptr;
    if (option.is_switch()) {
      described = app.add_flag_callback(
          option.names(),
          [given, k] {
            if (given) (*given)[k] = {"true"};
          },
          option.help());
    } else {
      CLI::callback_t take = [given, k](const CLI::results_t& texts) {
        if (given) (*given)[k].assign(texts.begin(), texts.end());
        return true;
      };
      described = app.add_option(option.names(), take, option.help());
      if (option.is_repeated()) {
        described->expected(1, CLI::detail::expected_max_vector_size)
            ->allow_extra_args(option.is_argument());
      } else {
        described->expected(1);
      }
      described->type_name(option.type_name());
    }
    described->group(option.group());
    bool is_there = there && !(*there)[k].empty();
    if (option.is_required() && !is_there) described->required();
  }
}

// Descriptions are broken where a terminal's line ends.
class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(name_columns); }

  std::string make_option_desc(const CLI::Option* option) const override {
    std::string text;
    for (const std::string& line : split_list(option->get_description(), '\n')) {
      std::string rest = line;
      while (rest.size() > text_columns) {
        size_t end = rest.rfind(' ', text_columns);
        if (end == std::string::npos) break;
        text += (text.empty() ? "" : "\n") + rest.substr(0, end);
        rest = "  " + rest.substr(end + 1);
      }
      text += (text.empty() ? "" : "\n") + rest;
    }
    return text;
  }
};

std::vector<std::string> long_names(const Options& options) {
  std::vector<std::string> names{"--help"};
  for (const Option& option : options.all()) {
    if (!option.is_argument()) names.push_back(main_name(option));
  }
  return names;
}

[[noreturn]] void reject_word(const Options& options, const std::string& command,
                              const std::string& word) {
  std::string name = word.substr(0, word.find('='));
  bool is_option = name.size() > 1 && name[0] == '-' && name != "-";
  std::string near = is_option ? nearest(name, long_names(options)) : "";
  if (!near.empty()) {
    fail(ErrorKind::Usage, "there is no option {}; did you mean {}?", name, near);
  }
  if (is_option) {
    fail(ErrorKind::Usage, "there is no option {} (`onnxrun {} --help` lists them)", name, command);
  }
  fail(ErrorKind::Usage, "'{}' was not expected (`onnxrun {} --help` explains)", word, command);
}

}  // namespace

void Option::take(const std::string& text) const {
  for (const ValueCheck& check : checks_) {
    std::string wrong = check(text);
    if (!wrong.empty()) fail(ErrorKind::Usage, "{}: {}", main_name(*this), wrong);
  }
  take_(text);
}

Option& Options::insert(std::string names, std::string help, Option::Kind kind,
                        std::function<void(const std::string&)> take) {
  Option& option = options_.emplace_back();
  option.names_ = std::move(names);
  option.help_ = std::move(help);
  option.kind_ = kind;
  option.take_ = std::move(take);
  return option;
}

Option& Options::add(std::string names, std::function<void(const std::string&)> take,
                     std::string help) {
  return insert(std::move(names), std::move(help), Option::Kind::Single, std::move(take));
}

Option& Options::add(std::string names, std::string& value, std::string help) {
  return add(
      std::move(names), [&value](const std::string& text) { value = text; }, std::move(help));
}
Option& Options::add(std::string names, std::optional<std::string>& value, std::string help) {
  return add(
      std::move(names), [&value](const std::string& text) { value = text; }, std::move(help));
}
Option& Options::add(std::string names, int64_t& value, std::string help) {
  std::string name = names;
  return add(
      std::move(names),
      [&value, name](const std::string& text) { value = parse_integer(name, text); },
      std::move(help));
}
Option& Options::add(std::string names, std::optional<int64_t>& value, std::string help) {
  std::string name = names;
  return add(
      std::move(names),
      [&value, name](const std::string& text) { value = parse_integer(name, text); },
      std::move(help));
}
Option& Options::add(std::string names, int& value, std::string help) {
  std::string name = names;
  return add(
      std::move(names),
      [&value, name](const std::string& text) {
        int64_t number = parse_integer(name, text);
        if (number != static_cast<int>(number)) {
          fail(ErrorKind::Usage, "{}: {} is too large", name, text);
        }
        value = static_cast<int>(number);
      },
      std::move(help));
}
Option& Options::add(std::string names, double& value, std::string help) {
  std::string name = names;
  return add(
      std::move(names),
      [&value, name](const std::string& text) { value = parse_number(name, text); },
      std::move(help));
}
Option& Options::add(std::string names, std::optional<double>& value, std::string help) {
  std::string name = names;
  return add(
      std::move(names),
      [&value, name](const std::string& text) { value = parse_number(name, text); },
      std::move(help));
}

Option& Options::add_repeated(std::string names, std::vector<std::string>& values,
                              std::string help) {
  return insert(std::move(names), std::move(help), Option::Kind::Repeated,
                [&values](const std::string& text) { values.push_back(text); });
}

Option& Options::add_switch(std::string names, bool& value, std::string help) {
  return insert(std::move(names), std::move(help), Option::Kind::Switch,
                [&value](const std::string&) { value = true; });
}
Option& Options::add_switch(std::string names, std::function<void()> set, std::string help) {
  return insert(std::move(names), std::move(help), Option::Kind::Switch,
                [set = std::move(set)](const std::string&) { set(); });
}

namespace {

constexpr size_t no_option = SIZE_MAX;

// The place of the option or argument of this name, without dashes.
size_t place_of(const Options& options, const std::string& name) {
  size_t k = 0;
  for (const Option& option : options.all()) {
    std::string main = main_name(option);
    if (main.substr(option.is_argument() ? 0 : 2) == name) return k;
    ++k;
  }
  return no_option;
}

bool is_about_config(const Option& option) {
  return option.names() == "--config" || option.names() == "--print-config";
}

// The file that words name; "" if they name none.
std::string config_path(const std::vector<std::string>& words) {
  std::string path;
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    if (words[i] == "--config" && i + 1 < words.size()) path = words[i + 1];
    if (words[i].starts_with("--config=")) path = words[i].substr(9);
  }
  return path;
}

size_t named_option(const Options& options, const ConfigEntry& entry) {
  size_t k = place_of(options, entry.name);
  if (k != no_option && !is_about_config(options.all()[k])) return k;
  std::vector<std::string> names;
  for (const Option& option : options.all()) {
    if (!is_about_config(option)) {
      names.push_back(main_name(option).substr(option.is_argument() ? 0 : 2));
    }
  }
  std::string near = nearest(entry.name, names);
  fail(ErrorKind::Usage, "line {}: there is no option '{}'{}", entry.line, entry.name,
       near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
}

Given config_values(const Options& options, const std::string& command,
                    const std::vector<std::string>& commands, const std::string& text) {
  Given given(options.all().size());
  for (const ConfigEntry& entry : parse_config(text)) {
    if (!entry.section.empty() && entry.section != command) {
      if (std::find(commands.begin(), commands.end(), entry.section) != commands.end()) continue;
      std::string near = nearest(entry.section, commands);
      fail(ErrorKind::Usage, "line {}: there is no command '{}'{}", entry.line, entry.section,
           near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
    }
    size_t k = named_option(options, entry);
    const Option& option = options.all()[k];
    if (option.is_switch() != entry.is_boolean) {
      fail(ErrorKind::Usage, "line {}: '{}' {}", entry.line, entry.name,
           option.is_switch() ? "is true or false" : "needs a value, not true or false");
    }
    if (entry.values.size() != 1 && !option.is_repeated()) {
      fail(ErrorKind::Usage, "line {}: '{}' has {} values, but takes one", entry.line, entry.name,
           entry.values.size());
    }
    if (!entry.is_boolean || entry.values[0] == "true") given[k] = entry.values;
  }
  return given;
}

// Of the file that --config names; none without it.
Given read_config(const Options& options, const std::string& command,
                  const std::vector<std::string>& commands, const std::string& path) {
  if (path.empty()) return Given(options.all().size());
  constexpr int64_t longest = 1 << 20;
  try {
    MemoryBudget budget(longest);
    DataFile file = DataFile::open(path, budget);
    return config_values(options, command, commands, file.text(0, file.size(), budget));
  } catch (const Error& e) {
    throw Error(ErrorKind::Usage, fmt::format("--config {}: {}", path, e.what()));
  }
}

struct CommandLine {
  bool help = false;
  Given words, config;  // `config` without what the words give, too
};

CommandLine read_words(const Options& options, const std::string& command,
                       const std::vector<std::string>& words,
                       const std::vector<std::string>& commands) {
  CommandLine line;
  line.words.resize(options.all().size());
  bool asks_help = std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "--help" || word == "-h";
  });
  line.config = read_config(options, command, commands, asks_help ? "" : config_path(words));
  CLI::App app("", "onnxrun " + command);
  describe(app, options, &line.words, &line.config);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::CallForHelp&) {
    line.help = true;
  } catch (const CLI::ExtrasError&) {
    reject_word(options, command, app.remaining().front());
  } catch (const CLI::ParseError& e) {
    fail(ErrorKind::Usage, "{} (`onnxrun {} --help` explains)", e.what(), command);
  }
  for (size_t k = 0; k < line.words.size(); ++k) {
    if (!line.words[k].empty()) line.config[k].clear();
  }
  return line;
}

void take(const Options& options, const Given& given) {
  size_t k = 0;
  for (const Option& option : options.all()) {
    for (const std::string& text : given[k]) option.take(text);
    ++k;
  }
}

}  // namespace

Parsed parse_options(const Options& options, const std::string& command,
                     const std::vector<std::string>& words,
                     const std::vector<std::string>& commands) {
  CommandLine line = read_words(options, command, words, commands);
  if (line.help) return Parsed::Help;
  try {
    take(options, line.config);
  } catch (const Error& e) {
    throw Error(e.kind(), fmt::format("--config {}: {}", config_path(words), e.what()));
  }
  take(options, line.words);
  size_t print = place_of(options, "print-config");
  bool prints = print != no_option && !line.words[print].empty();
  return prints ? Parsed::PrintConfig : Parsed::Run;
}

std::string config_of(const Options& options, const std::string& command,
                      const std::vector<std::string>& words,
                      const std::vector<std::string>& commands) {
  CommandLine line = read_words(options, command, words, commands);
  std::vector<ConfigEntry> entries;
  size_t k = 0;
  for (const Option& option : options.all()) {
    const auto& texts = line.words[k].empty() ? line.config[k] : line.words[k];
    ++k;
    if (texts.empty() || is_about_config(option)) continue;
    std::string name = main_name(option).substr(option.is_argument() ? 0 : 2);
    entries.push_back({"", name, texts, option.is_switch()});
  }
  return config_text(entries);
}

std::string help_text(const Options& options, const std::string& command,
                      const std::string& summary, const std::string& examples) {
  CLI::App app(summary, "onnxrun " + command);
  app.footer("Examples:\n" + examples);
  app.formatter(std::make_shared<HelpFormatter>());
  describe(app, options, nullptr);
  return app.help();
}

ValueCheck at_least(double low) {
  return [low](const std::string& text) {
    double value = 0;
    bool ok = CLI::detail::lexical_cast(text, value) && value >= low && std::isfinite(value);
    return ok ? std::string() : fmt::format("'{}' should be a number from {} on", text, low);
  };
}

ValueCheck between(int64_t low, int64_t high) {
  return [low, high](const std::string& text) {
    int64_t value = 0;
    bool ok = CLI::detail::lexical_cast(text, value) && value >= low && value <= high;
    return ok ? std::string()
              : fmt::format("'{}' should be an integer from {} to {}", text, low, high);
  };
}

ValueCheck one_of(std::vector<std::string> choices) {
  return [choices = std::move(choices)](const std::string& text) {
    for (const std::string& choice : choices) {
      if (choice == text) return std::string();
    }
    return fmt::format("'{}' should be one of {}", text, name_list(choices));
  };
}

}  // namespace onnxrun::tool
