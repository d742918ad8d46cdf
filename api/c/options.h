// Options that C gives as text.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "c/handles.h"
#include "onnxrun/learning_rate.h"

namespace onnxrun::c {

// Reads options by name. Throws Usage for a value that is none of its kind.
class OptionReader {
 public:
  explicit OptionReader(const onnxrun_options* options) : options_(options) {}

  void read(const std::string& name, std::string& value);
  void read(const std::string& name, double& value);
  void read(const std::string& name, int64_t& value);
  void read(const std::string& name, int& value);
  void read(const std::string& name, uint64_t& value);
  void read(const std::string& name, bool& value);  // 0 or 1
  template <typename T>
  void read(const std::string& name, std::optional<T>& value) {
    if (!has(name)) return;
    T given{};
    read(name, given);
    value = given;
  }
  // All that were given under the name.
  std::vector<std::string> list(const std::string& name);
  bool has(const std::string& name);

  // Throws Usage, naming those there are, if an option was given that nobody has asked for.
  void finish() const;

 private:
  // The one that was given last; null if there is none.
  const std::string* find(const std::string& name);

  const onnxrun_options* options_;
  std::set<std::string> known_;
};

// "auto", "never" or "always". Throws Usage for others.
Unshare to_unshare(const std::string& text);

void read_options(OptionReader& reader, LoadOptions& options);
void read_options(OptionReader& reader, SessionOptions& options);
// `model` is the one whose outputs losses name.
void read_options(OptionReader& reader, const Model& model, TrainerOptions& options);
// Makes the callbacks that the options ask for, too.
void read_options(OptionReader& reader, const Model& model, FitOptions& options);
void read_options(OptionReader& reader, const Model& model, EvaluationOptions& options);
void read_options(OptionReader& reader, SweepOptions& options);

}  // namespace onnxrun::c
