// The options of a command, declared once: the parser, the help, and what else lists options read
// the same table.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace onnxrun::tool {

// Says what is wrong with the text of a value; "" if nothing is.
using ValueCheck = std::function<std::string(const std::string&)>;

// Checks of option values, with texts for people.
ValueCheck at_least(double low);
ValueCheck between(int64_t low, int64_t high);
ValueCheck one_of(std::vector<std::string> choices);

// One option, switch or argument.
class Option {
 public:
  // What stands for the value in the help: FILE, N, mean|sum.
  Option& type_name(std::string name) {
    type_name_ = std::move(name);
    return *this;
  }
  Option& check(ValueCheck check) {
    checks_.push_back(std::move(check));
    return *this;
  }
  // The heading of the help it stands under.
  Option& group(std::string name) {
    group_ = std::move(name);
    return *this;
  }
  // The command cannot be without it.
  Option& required() {
    required_ = true;
    return *this;
  }

  // "-o,--output" for an option, "model" for an argument.
  const std::string& names() const { return names_; }
  const std::string& help() const { return help_; }
  const std::string& type_name() const { return type_name_; }
  const std::string& group() const { return group_; }
  bool is_argument() const { return names_.front() != '-'; }
  bool is_switch() const { return kind_ == Kind::Switch; }
  bool is_repeated() const { return kind_ == Kind::Repeated; }
  bool is_required() const { return required_; }

  // Checks a value and hands it to the command. Throws Usage naming the option.
  void take(const std::string& text) const;

 private:
  friend class Options;
  enum class Kind : uint8_t { Single, Repeated, Switch };

  std::string names_, help_, type_name_, group_ = "Options";
  Kind kind_ = Kind::Single;
  bool required_ = false;
  std::vector<ValueCheck> checks_;
  std::function<void(const std::string&)> take_;
};

class Options {
 public:
  // An option with one value, or, where the name has no dash, an argument. The variable must
  // outlive parse(); it is written only if the option is given. Its kind says what values may be.
  Option& add(std::string names, std::string& value, std::string help);
  Option& add(std::string names, int& value, std::string help);
  Option& add(std::string names, int64_t& value, std::string help);
  Option& add(std::string names, double& value, std::string help);
  Option& add(std::string names, std::optional<std::string>& value, std::string help);
  Option& add(std::string names, std::optional<int64_t>& value, std::string help);
  Option& add(std::string names, std::optional<double>& value, std::string help);
  Option& add(std::string names, std::function<void(const std::string&)> take, std::string help);
  // May be given again and again, one value each; an argument takes all that are left.
  Option& add_repeated(std::string names, std::vector<std::string>& values, std::string help);
  // Without a value.
  Option& add_switch(std::string names, bool& value, std::string help);
  Option& add_switch(std::string names, std::function<void()> set, std::string help);

  // In the order of their declaration.
  const std::deque<Option>& all() const { return options_; }

 private:
  Option& insert(std::string names, std::string help, Option::Kind kind,
                 std::function<void(const std::string&)> take);

  std::deque<Option> options_;
};

// What a command line asks for.
enum class Parsed : uint8_t { Run, Help, PrintConfig };

// Reads the words behind the command's name, and before them the file that --config names, as far
// as the words do not give the same option. A table of the file that is called like another of
// `commands` is for that one. Throws Usage, with the nearest name for an option that is not there.
Parsed parse_options(const Options& options, const std::string& command,
                     const std::vector<std::string>& words,
                     const std::vector<std::string>& commands = {});

// All options that the words and the file of --config give, as such a file.
std::string config_of(const Options& options, const std::string& command,
                      const std::vector<std::string>& words,
                      const std::vector<std::string>& commands = {});

// The text of `onnxrun COMMAND --help`.
std::string help_text(const Options& options, const std::string& command,
                      const std::string& summary, const std::string& examples);

}  // namespace onnxrun::tool
