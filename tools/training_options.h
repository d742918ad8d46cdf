// Options of commands that have a loss and train.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common_options.h"
#include "fit/loss_choice.h"
#include "onnxrun/model.h"
#include "onnxrun/trainer.h"
#include "options.h"

namespace onnxrun::tool {

// --optimizer and the numbers that belong to it; unset ones are the optimizer's defaults.
struct OptimizerChoice {
  std::string name = "sgd";
  std::optional<double> lr, momentum, weight_decay, beta1, beta2, eps, alpha, clip_value, clip_norm;
};

// --only and --freeze: lists of names and globs, as match_names() takes them; --lr-mult and --init:
// "GLOB=VALUE"; --ema.
struct ParameterChoice {
  std::vector<std::string> only, freeze, lr_mult, initial;
  std::optional<double> ema;
};

// --batchnorm, --bn-variance, --dropout, --precision.
struct ModeChoice {
  std::optional<std::string> batchnorm, bn_variance, dropout;
  std::string precision;

  bool batch_statistics() const { return batchnorm != "frozen"; }
  bool drops_out() const { return dropout != "off"; }
};

// --loss and what belongs to all losses.
struct LossChoice {
  std::vector<std::string> losses;  // "[OUTPUT=][WEIGHT*]NAME" or "[WEIGHT*]FILE.onnx"
  LossOptions common;               // without name and output

  bool is_given() const { return !losses.empty(); }
};

void add_loss_options(Options& options, LossChoice& choice);
// What the options ask of a model's losses; one without a name if there is no --loss. Throws Usage.
std::vector<LossOptions> loss_options(const Graph& model, const LossChoice& choice,
                                      const CommonOptions& common);
// True if the only loss is the model's own output, which needs no target.
bool is_own_output(const LossChoice& choice);
void add_optimizer_options(Options& options, OptimizerChoice& choice);
void add_parameter_options(Options& options, ParameterChoice& choice);
void add_mode_options(Options& options, ModeChoice& choice);

// What these options say; the losses, the targets and the parameters are the caller's.
TrainerOptions trainer_options(const OptimizerChoice& optimizer, const ModeChoice& modes,
                               const CommonOptions& common);

// Puts --lr-mult, --init and --ema into the options.
void take_parameter_options(const ParameterChoice& choice, TrainerOptions& options);

// Names of the initializers that --only and --freeze leave; empty if neither was given. Throws
// Usage for a name that matches nothing, listing the names there are.
std::optional<std::vector<std::string>> chosen_parameters(const Model& model,
                                                          const ParameterChoice& choice);

// "a,b*,@FILE": exact names, globs, or a file with a name a line, all matched against `names`; a
// glob takes only those for which `in_glob` holds. Throws Usage if a piece matches nothing.
std::vector<std::string> match_names(std::string_view option, const std::string& text,
                                     const std::vector<std::string>& names,
                                     const std::vector<std::string>& in_glob);

}  // namespace onnxrun::tool
