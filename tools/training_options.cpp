#include "training_options.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/error.h"
#include "framework_names.h"
#include "top_classes.h"
#include "training/loss.h"
#include "training/optimizer.h"

namespace onnxrun::tool {

namespace {

template <typename List>
std::string names_and_formulas(const List& list) {
  std::string text;
  for (const auto& info : list) text += fmt::format("\n{}: {}", info.name, info.formula);
  return text;
}

std::string optimizers() {
  std::string text;
  for (const OptimizerInfo& info : optimizer_list()) {
    text += fmt::format("\n{}: {} (lr {}", info.name, info.formula, info.lr);
    for (const OptimizerInfo::Setting& s : info.settings) {
      text += fmt::format(", {} {}", s.name, s.value);
    }
    text += ")";
  }
  return text;
}

void add_number(Options& options, const std::string& name, std::optional<double>& value,
                const std::string& help) {
  options.add(name, value, help).type_name("X").check(at_least(0));
}

}  // namespace

void add_loss_options(Options& options, LossChoice& choice) {
  LossOptions& c = choice.common;
  options
      .add_repeated("--loss", choice.losses,
                    "default: chosen from the output and the target; of several, with outputs and "
                    "factors (a=mse, b=0.3*kl), the sum is minimised; FILE.onnx makes one number "
                    "of outputs and targets by their names" +
                        names_and_formulas(loss_list()))
      .type_name("[OUTPUT=][FACTOR*]NAME");
  options
      .add(
          "--reduction",
          [&c](const std::string& text) {
            c.reduction = text == "sum" ? onnxrun::Reduction::Sum : onnxrun::Reduction::Mean;
          },
          "mean or sum over the batch (default: the loss's own)")
      .type_name("mean|sum")
      .check(one_of({"mean", "sum"}));
  options
      .add("--class-axis", c.class_axis,
           "axis of the output that counts classes, may be negative (default: the axis that "
           "the target lacks)")
      .type_name("AXIS");
  options
      .add(
          "--class-weights",
          [&c](const std::string& text) {
            for (const std::string& piece : split_list(text)) {
              c.class_weights.push_back(parse_number("--class-weights", piece));
            }
          },
          "a weight for each class, with commas")
      .type_name("X,X,...");
  options.add("--ignore-index", c.ignore_index, "samples of this class do not count")
      .type_name("CLASS");
  options
      .add("--label-smoothing", c.label_smoothing,
           "this part of each sample is of all classes alike, with cross_entropy")
      .type_name("X");
  options.add_switch("--allow-broadcast", c.allow_broadcast,
                     "a target of another shape than the output broadcasts against it (without "
                     "this, only axes of length 1 may be more or less)");
}

namespace {

// "0.3*NAME"
void take_factor(LossOptions& loss, std::string& name) {
  size_t star = name.find('*');
  if (star == std::string::npos) return;
  loss.weight = parse_number("--loss", name.substr(0, star));
  name.erase(0, star + 1);
}

LossOptions loss_of(const Graph& model, const std::string& text, const LossOptions& common,
                    const LoadOptions& load) {
  LossOptions loss = common;
  auto [output, name] = split_output(model, text);
  take_factor(loss, name);
  if (name.ends_with(".onnx")) {
    loss.graph = Model::load(name, load).shared_graph();
    return loss;
  }
  loss.output = output;
  if (size_t equals = name.rfind('='); output.empty() && equals != std::string::npos) {
    loss.output = name.substr(0, equals);
    name.erase(0, equals + 1);
  }
  loss.name = loss_name(name);
  return loss;
}

}  // namespace

std::vector<LossOptions> loss_options(const Graph& model, const LossChoice& choice,
                                      const CommonOptions& common) {
  if (choice.losses.empty()) return {choice.common};
  std::vector<LossOptions> losses;
  for (const std::string& text : choice.losses) {
    losses.push_back(loss_of(model, text, choice.common, common.load_options()));
  }
  return losses;
}

bool is_own_output(const LossChoice& choice) {
  if (choice.losses.size() != 1) return false;
  const std::string& text = choice.losses[0];
  return text == "output" || text.ends_with("=output");
}

void add_optimizer_options(Options& options, OptimizerChoice& c) {
  options
      .add(
          "--optimizer", [&c](const std::string& text) { c.name = optimizer_name(text); },
          "default: sgd" + optimizers())
      .type_name("NAME");
  add_number(options, "--lr", c.lr, "learning rate (default: the optimizer's)");
  add_number(options, "--momentum", c.momentum, "of sgd, momentum, nesterov, rmsprop");
  add_number(options, "--weight-decay", c.weight_decay, "L2 penalty; decoupled in adamw");
  add_number(options, "--beta1", c.beta1, "of adam and adamw");
  add_number(options, "--beta2", c.beta2, "of adam and adamw");
  add_number(options, "--eps", c.eps, "added to the denominator");
  add_number(options, "--alpha", c.alpha, "smoothing of rmsprop and adadelta");
  add_number(options, "--clip-value", c.clip_value, "cut each number of the gradients to [-X, X]");
  add_number(options, "--clip-norm", c.clip_norm,
             "scale the gradients down where their common norm is above X");
}

void add_parameter_options(Options& options, ParameterChoice& c) {
  options
      .add_repeated(
          "--only", c.only,
          "train these initializers alone: names or globs with commas, or @FILE with a name a "
          "line (default: those that `onnxrun inspect --params` calls parameters)")
      .type_name("NAMES");
  options.add_repeated("--freeze", c.freeze, "do not train these").type_name("NAMES");
  options
      .add_repeated("--lr-mult", c.lr_mult,
                    "factor of the learning rate for parameters of these names: 'encoder.*=0.1'")
      .type_name("GLOB=X");
  options
      .add_repeated("--init", c.initial,
                    "start parameters of these names anew, by the seed: xavier, he, uniform:A:B, "
                    "normal:MEAN:DEVIATION, zeros")
      .type_name("GLOB=HOW");
  options
      .add("--ema", c.ema,
           "keep a moving average of the weights with this decay (0.999): it is what validation "
           "measures and the file gets")
      .type_name("DECAY");
}

void add_mode_options(Options& options, ModeChoice& c) {
  options
      .add("--batchnorm", c.batchnorm,
           "batch: normalise by the batch and move the running statistics (default); frozen: "
           "use the file's")
      .type_name("batch|frozen")
      .check(one_of({"batch", "frozen"}));
  options
      .add("--bn-variance", c.bn_variance,
           "running variance as PyTorch keeps it (unbiased) or as ONNX and Keras do (biased); "
           "default by producer")
      .type_name("unbiased|biased")
      .check(one_of({"unbiased", "biased"}));
  options.add("--dropout", c.dropout, "on (default) or off")
      .type_name("on|off")
      .check(one_of({"on", "off"}));
  options
      .add("--precision", c.precision,
           "float64 trains in double and writes the file's own type back; float32 takes the "
           "file's types, and float for float16 and bfloat16 (default)")
      .type_name("float64|float32")
      .check(one_of({"float64", "float32"}));
}

TrainerOptions trainer_options(const OptimizerChoice& optimizer, const ModeChoice& modes,
                               const CommonOptions& common) {
  TrainerOptions o;
  o.clip_value = optimizer.clip_value;
  o.clip_norm = optimizer.clip_norm;
  o.optimizer = optimizer.name;
  o.lr = optimizer.lr;
  o.momentum = optimizer.momentum;
  o.weight_decay = optimizer.weight_decay;
  o.beta1 = optimizer.beta1;
  o.beta2 = optimizer.beta2;
  o.eps = optimizer.eps;
  o.alpha = optimizer.alpha;
  o.batch_statistics = modes.batch_statistics();
  if (modes.bn_variance) o.unbiased_variance = *modes.bn_variance == "unbiased";
  o.dropout = modes.drops_out();
  o.seed = common.seed;
  o.optimize = common.optimize > 0;
  o.threads = common.threads;
  o.products = common.products;
  o.max_memory = common.max_memory;
  o.max_tensor_bytes = common.max_tensor;
  o.max_loop_iterations = common.max_loop_iterations;
  return o;
}

// "GLOB=REST", the last '=' counting, as names may have some.
static std::pair<std::string, std::string> cut_at_last(std::string_view option,
                                                       const std::string& text) {
  size_t at = text.rfind('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
    fail(ErrorKind::Usage, "{}: '{}' is not GLOB=VALUE", option, text);
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

void take_parameter_options(const ParameterChoice& choice, TrainerOptions& options) {
  for (const std::string& text : choice.lr_mult) {
    auto [glob, factor] = cut_at_last("--lr-mult", text);
    options.lr_multiples.emplace_back(glob, parse_number("--lr-mult", factor));
  }
  for (const std::string& text : choice.initial) {
    options.initial.push_back(cut_at_last("--init", text));
  }
  options.ema = choice.ema;
}

std::vector<std::string> match_names(std::string_view option, const std::string& text,
                                     const std::vector<std::string>& names,
                                     const std::vector<std::string>& in_glob) {
  auto is_there = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::string> pieces = {text};
  bool from_file = text.starts_with('@') && !is_there(text);
  if (from_file) {
    pieces = read_lines(text.substr(1));
    std::erase(pieces, "");
  } else if (!is_there(text)) {
    pieces = split_list(text);
  }
  std::vector<std::string> matched;
  for (const std::string& piece : pieces) {
    size_t before = matched.size();
    if (is_there(piece)) {
      matched.push_back(piece);
    } else if (!from_file) {
      std::copy_if(in_glob.begin(), in_glob.end(), std::back_inserter(matched),
                   [&](const std::string& n) { return fnmatch(piece.c_str(), n.c_str(), 0) == 0; });
    }
    if (matched.size() == before) {
      fail(ErrorKind::Usage, "{}: nothing is called '{}'; there are {}", option, piece,
           name_list(in_glob));
    }
  }
  return matched;
}

std::optional<std::vector<std::string>> chosen_parameters(const Model& model,
                                                          const ParameterChoice& choice) {
  if (choice.only.empty() && choice.freeze.empty()) return std::nullopt;
  std::vector<std::string> all, parameters;
  for (const InitializerInfo& i : model.initializers()) {
    all.push_back(i.name);
    if (i.trainable) parameters.push_back(i.name);
  }
  auto matches = [&](std::string_view option, const std::vector<std::string>& texts) {
    std::vector<std::string> result;
    for (const std::string& text : texts) {
      for (std::string& name : match_names(option, text, all, parameters)) {
        bool known = std::find(result.begin(), result.end(), name) != result.end();
        if (!known) result.push_back(std::move(name));
      }
    }
    return result;
  };
  std::vector<std::string> chosen =
      choice.only.empty() ? parameters : matches("--only", choice.only);
  std::vector<std::string> frozen = matches("--freeze", choice.freeze);
  std::erase_if(chosen, [&](const std::string& name) {
    return std::find(frozen.begin(), frozen.end(), name) != frozen.end();
  });
  return chosen;
}

}  // namespace onnxrun::tool
