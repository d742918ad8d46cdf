#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "command.h"
#include "data_options.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "fit/learning_task.h"
#include "formats/print.h"
#include "gradient_task.h"
#include "graph_view.h"
#include "inputs.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "onnxrun/trainer.h"
#include "passes/gradient.h"
#include "passes/widen.h"
#include "training/loss_sum.h"
#include "training_options.h"
#include "value_files.h"

namespace onnxrun::tool {

namespace {

class Grad final : public Command {
 public:
  Grad() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", path_, model_help).type_name("FILE").required();
    add_input_options(options, inputs_);
    add_as_trained(options, as_trained_);
    options
        .add("--of", of_, "outputs whose vector-Jacobian product is taken (default: all of floats)")
        .type_name("NAMES");
    options.add_repeated("--cotangent", cotangents_, "what flows into an output (default: ones)")
        .type_name("OUTPUT=FILE");
    options.add_repeated("--target", targets_, "with --loss: what the output should match")
        .type_name("[OUTPUT=]FILE");
    options
        .add_repeated(
            "--wrt", wrt_,
            "initializers and inputs, names or globs with commas, or @FILE (default: parameters)")
        .type_name("NAMES");
    options.add_switch("--double", double_, "compute in double");
    options.add_switch("--check", check_, "compare with finite differences in double");
    options.add("-o,--output", output_, "write gradients under the names of their tensors")
        .type_name("FILE");
    add_loss_options(options, loss_);
    add_mode_options(options, modes_);
    options
        .add("--emit", emit_,
             "with --loss: write the training step (forward, loss, backward, update) as a "
             "model of standard operators, its initial values beside it as .init.npz")
        .type_name("FILE");
    add_optimizer_options(options, optimizer_);
  }

  int execute() override {
    check_usage();
    Model model = load_model(path_, common_);
    check_files(model);
    const Graph& file = model.graph();
    if (!emit_.empty()) return emit(model);
    NamedValues inputs = gather_inputs(file, inputs_, common_, names_of(file, file.inputs));
    in_context(path_, [&] { prepare_as_trained(model, as_trained_, inputs); });
    bool doubles = in_double() || check_;
    Graph graph = file;
    if (doubles) widen_to_double(graph);
    for (auto& [name, value] : inputs) value = in_type_of(graph, name, value);

    GradientTask task(graph, wrt_names(graph), common_.seed);
    if (!loss_.is_given()) {
      add_outputs(task);
    } else {
      add_loss(task);
    }
    NamedValues feeds = inputs;
    feeds.insert(feeds.end(), extra_.begin(), extra_.end());
    NamedValues gradients = in_context(path_, [&] { return task.gradients(feeds, common_); });
    if (auto loss = task.loss()) info("loss {:.9g}", *loss);
    if (!output_.empty()) {
      UninterruptedScope hold;
      write_values(output_, gradients);
    }
    std::vector<GradientCheck> checks;
    if (check_) checks = in_context(path_, [&] { return task.check(feeds, gradients, common_); });
    if (common_.json) {
      print_json(gradients, checks);
    } else if (check_) {
      print_checks(checks);
    } else if (output_.empty()) {
      print(values_to_text(gradients));
    }
    return all_right(checks) ? exit_ok : exit_failed;
  }

 private:
  bool in_double() const { return double_ || modes_.precision == "float64"; }

  void check_usage() const {
    if (!emit_.empty()) {
      bool computes = check_ || !output_.empty() || !inputs_.inputs.empty() || inputs_.random;
      if (computes) fail(ErrorKind::Usage, "--emit takes no inputs and computes no gradients");
      if (!loss_.is_given()) fail(ErrorKind::Usage, "--emit needs a --loss");
      return;
    }
    if (!loss_.is_given()) {
      bool of_loss = !targets_.empty() || loss_.common.reduction || loss_.common.class_axis;
      if (of_loss)
        fail(ErrorKind::Usage, "--target, --reduction and --class-axis belong to --loss");
      // Without a loss it is the outputs of a run that are differentiated.
      if (modes_.batchnorm || modes_.bn_variance || modes_.dropout)
        fail(ErrorKind::Usage, "--batchnorm, --bn-variance and --dropout belong to --loss");
    } else if (!of_.empty() || !cotangents_.empty()) {
      fail(ErrorKind::Usage, "give --loss, or --of with --cotangent");
    } else if (targets_.empty() != is_own_output(loss_)) {
      throw Error(ErrorKind::Usage,
                  targets_.empty() ? "--loss needs a --target" : "loss 'output' has no --target");
    }
  }

  void check_files(const Model& model) const {
    FilesInUse files;
    files.read(model);
    for (const auto& specs : {inputs_.inputs, cotangents_, wrt_, targets_}) files.read(specs);
    files.write("-o", output_);
    files.write("--emit", emit_);
    if (!emit_.empty()) files.write("--emit", Trainer::initial_values_path(emit_));
  }

  int emit(const Model& model) {
    const Graph& graph = model.graph();
    LearningTask task = learning_task(graph);
    TrainerOptions options = trainer_options(optimizer_, modes_, common_);
    options.unshare = Unshare::Never;  // parameters go by the names of the file
    options.more_losses = task.loss_options();
    options.loss = options.more_losses[0];
    options.more_losses.erase(options.more_losses.begin());
    for (const FeedTarget& target : task.targets) {
      options.target_dims[target.name] = target_values({}, target, common_.max_memory).dims();
    }
    if (!wrt_.empty()) options.trainable = wrt_names(graph);
    options.double_precision = in_double();
    in_context(path_, [&] {
      Trainer trainer(model, options);
      UninterruptedScope hold;
      trainer.export_step(emit_);
    });
    info("loss: {}; written: {}", summary_of(task), emit_);
    return exit_ok;
  }

  static RuntimeValue in_type_of(const Graph& graph, const std::string& name,
                                 const RuntimeValue& value) {
    const Type& type = graph.value(graph.find(name)).type;
    bool converts = value.is_tensor() && type.is_tensor() && is_float(type.dtype) &&
                    is_float(value.tensor.dtype()) && value.tensor.dtype() != type.dtype;
    return converts ? RuntimeValue(convert(value.tensor, type.dtype)) : value;
  }

  std::vector<std::string> wrt_names(const Graph& graph) const {
    std::vector<std::string> all, floats, chosen;
    auto add = [&](ValueId v) {
      all.push_back(graph.name_of(v));
      if (is_differentiable(graph.value(v).type.dtype)) floats.push_back(all.back());
    };
    for (ValueId v : graph.inputs) add(v);
    for (const auto& [v, init] : graph.initializers) add(v);
    for (const std::string& text : wrt_) {
      for (std::string& name : match_names("--wrt", text, all, floats)) {
        if (std::find(chosen.begin(), chosen.end(), name) == chosen.end()) chosen.push_back(name);
      }
    }
    for (const std::string& name : chosen) {
      if (std::find(floats.begin(), floats.end(), name) != floats.end()) continue;
      fail(ErrorKind::Usage, "--wrt: '{}' is {}, which has no gradient", name,
           graph.value(graph.find(name)).type.to_string());
    }
    if (!wrt_.empty()) return chosen;
    for (const auto& [v, init] : graph.initializers) {
      if (init.role == Role::Parameter) chosen.push_back(graph.name_of(v));
    }
    if (chosen.empty()) fail(ErrorKind::Usage, "the model has no parameters; --wrt names tensors");
    return chosen;
  }

  std::vector<std::string> outputs_of(const Graph& graph) const {
    std::vector<std::string> outputs = names_of(graph, graph.outputs);
    if (!of_.empty()) {
      std::vector<std::string> chosen = match_names("--of", of_, outputs, outputs);
      for (const std::string& name : chosen) {
        const Type& type = graph.value(graph.find(name)).type;
        if (!carries_gradient(type)) {
          fail(ErrorKind::Usage, "--of: '{}' is {}, which has no gradient", name, type.to_string());
        }
      }
      return chosen;
    }
    std::erase_if(outputs, [&](const std::string& name) {
      return !is_differentiable(graph.value(graph.find(name)).type.dtype);
    });
    if (outputs.empty()) fail(ErrorKind::Usage, "the model has no floating-point output");
    return outputs;
  }

  void add_outputs(GradientTask& task) {
    std::vector<std::string> outputs = outputs_of(task.graph());
    std::map<std::string, std::string> files;
    for (const std::string& text : cotangents_) {
      auto [name, file] = split_output(task.graph(), text);
      if (name.empty() || std::find(outputs.begin(), outputs.end(), name) == outputs.end()) {
        fail(ErrorKind::BadInput, "--cotangent {}: no output of --of; they are {}", text,
             name_list(outputs));
      }
      files[name] = file;
    }
    for (const std::string& name : outputs) {
      if (!files.count(name)) {
        task.add_output(name);
        continue;
      }
      DType dtype = task.graph().value(task.graph().find(name)).type.dtype;
      Tensor t = read_array(files[name], read_options(common_.max_memory, dtype)).tensor;
      extra_.emplace_back(task.add_output_with_cotangent(name), converted(files[name], t, dtype));
    }
  }

  static Tensor converted(const std::string& file, const Tensor& t, DType dtype) {
    if (t.dtype() == DType::String || is_complex(t.dtype())) {
      fail(ErrorKind::BadInput, "{}: it holds {}, but {} is needed", file, t.type_text(),
           to_string(dtype));
    }
    return t.dtype() == dtype ? t : convert(t, dtype);
  }

  // Without targets the losses alone are chosen.
  LearningTask learning_task(const Graph& graph) const {
    std::vector<LossOptions> losses = loss_options(graph, loss_, common_);
    LearningTask task;
    if (targets_.empty()) {
      for (const LossOptions& loss : losses) {
        task.losses.push_back({loss.graph ? ChosenLoss{loss} : choose_loss(graph, loss, Tensor())});
      }
    } else {
      FeedOptions feed;
      feed.targets = targets_;
      feed.max_memory = common_.max_memory;
      task = choose_task(graph, {}, feed, losses);
    }
    for (const LossTask& loss : task.losses) {
      if (!loss.chosen.warning.empty()) warn("{}", loss.chosen.warning);
    }
    return task;
  }

  static std::string summary_of(const LearningTask& task) {
    TaskSummary summary;
    describe(summary, task, {}, 0);
    return fmt::format("{} of output '{}'", summary.loss, summary.output);
  }

  void add_loss(GradientTask& task) {
    LearningTask learning = learning_task(task.graph());
    TrainingOptions options = learning.training_options();
    options.batch_statistics = modes_.batch_statistics();
    options.dropout = modes_.drops_out();
    std::map<std::string, Dims> dims;
    std::vector<Tensor> values;
    for (const FeedTarget& target : learning.targets) {
      values.push_back(target_values({}, target, common_.max_memory));
      dims[target.name] = values.back().dims();
    }
    declare_targets(task.graph(), options, dims);
    std::vector<std::string> names = task.add_loss(options);
    for (size_t k = 0; k < names.size(); ++k) extra_.emplace_back(names[k], values.at(k));
    info("loss: {}", summary_of(learning));
  }

  static bool all_right(const std::vector<GradientCheck>& checks) {
    return std::all_of(checks.begin(), checks.end(),
                       [](const GradientCheck& c) { return c.right(); });
  }

  static void print_checks(const std::vector<GradientCheck>& checks) {
    std::vector<std::vector<std::string>> rows = {{"gradient of", "checked", "error", ""}};
    for (const GradientCheck& c : checks) {
      std::string kinks = c.kinks > 0 ? fmt::format("{} at kinks", c.kinks) : "";
      rows.push_back({c.name, std::to_string(c.checked), fmt::format("{:.3g}", c.error),
                      c.right() ? kinks : c.message});
    }
    print(table(rows));
    print(all_right(checks) ? "gradients agree with finite differences\n"
                            : "gradients differ from finite differences\n");
  }

  // Nothing if the gradients went to a file and were not checked.
  void print_json(const NamedValues& gradients, const std::vector<GradientCheck>& checks) const {
    if (!output_.empty() && !check_) return;
    std::string text = "{\"schema\": \"onnxrun.grad/1\"";
    if (output_.empty()) text += ", \"gradients\": " + values_to_json(gradients);
    if (check_) {
      std::string list;
      for (const GradientCheck& c : checks) {
        list += fmt::format(
            R"({}{{"name": {}, "checked": {}, "kinks": {}, "error": {}, "right": {}, "message": {}}})",
            list.empty() ? "" : ", ", json_string(c.name), c.checked, c.kinks, json_number(c.error),
            c.right(), json_string(c.right() ? "" : c.message));
      }
      text += fmt::format(", \"check\": [{}], \"right\": {}", list, all_right(checks));
    }
    print(text + "}\n");
  }

  std::string path_, of_, output_, emit_;
  std::vector<std::string> cotangents_, wrt_, targets_;
  bool double_ = false, check_ = false, as_trained_ = false;
  InputOptions inputs_;
  LossChoice loss_;
  ModeChoice modes_;
  OptimizerChoice optimizer_;
  NamedValues extra_;  // cotangents and target
};

}  // namespace

const CommandInfo grad_command = {
    "grad", "gradients of a loss or of outputs",
    "  onnxrun grad model.onnx -i inputs.npz -o gradients.npz\n"
    "  onnxrun grad model.onnx -i x=x.npy --loss mse --target target.npy --wrt 'fc.*,x'\n"
    "  onnxrun grad model.onnx -i x=x.npy --of y --cotangent y=v.npy --double -o vjp.npz\n"
    "  onnxrun grad model.onnx --random --check\n"
    "  onnxrun grad model.onnx --loss cross_entropy --optimizer adam --emit step.onnx",
    make_command<Grad>};

}  // namespace onnxrun::tool
