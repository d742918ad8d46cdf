#include "options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>

#include "base/error.h"
#include "base/nearest.h"
#include "common_options.h"

namespace onnxrun::tool {

namespace {

// The help's two columns.
constexpr size_t name_columns = 32, text_columns = 66;

// "--output" of "-o,--output".
std::string main_name(const Option& option) {
  return option.names().substr(option.names().rfind(',') + 1);
}

// The program that the words are parsed by: values arrive at our own table as texts.
void describe(CLI::App& app, const Options& options, bool taking) {
  for (const Option& option : options.all()) {
    CLI::Option* described = nullptr;
    if (option.is_switch()) {
      described = app.add_flag_callback(
          option.names(),
          [&option, taking] {
            if (taking) option.take("");
          },
          option.help());
    } else {
      CLI::callback_t take = [&option, taking](const CLI::results_t& texts) {
        for (const std::string& text : texts) {
          if (taking) option.take(text);
        }
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
    if (option.is_required()) described->required();
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

Parsed parse_options(const Options& options, const std::string& command,
                     const std::vector<std::string>& words) {
  CLI::App app("", "onnxrun " + command);
  describe(app, options, true);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::CallForHelp&) {
    return Parsed::Help;
  } catch (const CLI::ExtrasError&) {
    reject_word(options, command, app.remaining().front());
  } catch (const CLI::ParseError& e) {
    fail(ErrorKind::Usage, "{} (`onnxrun {} --help` explains)", e.what(), command);
  }
  return Parsed::Run;
}

std::string help_text(const Options& options, const std::string& command,
                      const std::string& summary, const std::string& examples) {
  CLI::App app(summary, "onnxrun " + command);
  app.footer("Examples:\n" + examples);
  app.formatter(std::make_shared<HelpFormatter>());
  describe(app, options, false);
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
