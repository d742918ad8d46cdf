// The options of the train command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data_options.h"
#include "onnxrun/fit.h"
#include "onnxrun/model.h"
#include "options.h"
#include "training_options.h"

namespace onnxrun::tool {

struct TrainChoice {
  std::string model_path, output, unshare = "auto", new_classes, log, plot, tensorboard, best,
                                  monitor, early_stop, checkpoints, save_every;
  bool in_place = false, resume = false, head_only = false, find_lr = false;
  int64_t log_every = 0;
  std::optional<int64_t> patience, keep;
  std::optional<double> min_delta;
  DataOptions data;
  std::vector<std::string> val_data, test_data, augment;
  LossChoice loss;
  OptimizerChoice optimizer;
  ParameterChoice parameters;
  ModeChoice modes;
  FitOptions fit;  // what options say of it without more ado

  void declare(Options& options);

  // Throws Usage for options that contradict each other, CannotWrite for files that cannot be
  // written.
  void check_usage() const;
  // Throws Usage where a file would be written that is read, or two to one place.
  void check_files(const Model& model) const;

  const std::string& written_path() const { return in_place ? model_path : output; }
  // "dir/net.standardize.npz" for "dir/net.onnx".
  std::string standardization_path() const;
  bool writes_standardization() const { return !data.standardize.empty() && !fit.bake; }
  bool validates() const { return fit.validation_split || !val_data.empty() || fit.folds > 0; }

 private:
  void declare_parts(Options& options);
  void declare_loop(Options& options);
  void declare_records(Options& options);
  void take_fold(const std::string& text);
  void take_metrics(const std::string& text);
  void check_sweep_usage() const;
  void check_formats() const;
};

}  // namespace onnxrun::tool
