#include <cmath>

#include "base/error.h"
#include "command.h"
#include "data_options.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "formats/json.h"
#include "formats/source.h"
#include "framework_names.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "onnxrun/evaluate.h"
#include "training/metrics.h"
#include "training_options.h"

namespace onnxrun::tool {

namespace {

std::string metrics_help() {
  std::string text =
      "what to measure, with commas (default: accuracy where the target holds classes)";
  for (const MetricInfo& m : metric_list()) text += fmt::format("\n{}: {}", m.name, m.formula);
  return text;
}

class Eval final : public Command {
 public:
  Eval() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", path_, model_help).type_name("FILE").required();
    add_data_options(options, data_);
    add_sample_options(options, data_);
    add_loss_options(options, loss_);
    options.add("--metrics", metrics_, metrics_help()).type_name("NAMES");
    options
        .add("--confusion", confusion_,
             "write how many samples of each class (rows) were taken for which (columns)")
        .type_name("FILE");
    options.add("--precision", precision_, "float64 computes in double")
        .type_name("float64|float32")
        .check(one_of({"float64", "float32"}));
  }

  int execute() override {
    if (data_.data.empty()) fail(ErrorKind::Usage, "--data is missing");
    Model model = load_model(path_, common_);
    check_files(model);
    NamedTensors arrays = load_data("--data", data_.take_streams(model, common_), common_);
    Evaluator evaluator(model, arrays, evaluation_options(model));
    for (const std::string& text : evaluator.summary().warnings) warn("{}", text);
    for (const std::string& note : evaluator.summary().notes) info("{}", note);
    Evaluation result = in_context(path_, [&] {
      CancelScope cancel(evaluator);
      return evaluator.run();
    });
    if (!confusion_.empty()) write_confusion(result.confusion, evaluator.summary().classes);
    report(evaluator.summary(), result);
    return exit_ok;
  }

 private:
  void check_files(const Model& model) const {
    FilesInUse files;
    files.read(model);
    files.read(data_.data);
    files.read(data_.targets);
    files.write("--confusion", confusion_);
  }

  // A table has the names of the classes above and beside it.
  void write_confusion(const Tensor& counts, std::vector<std::string> names) const {
    int64_t n = counts.dim(0);
    bool named = confusion_.ends_with(".csv") && !names.empty();
    if (!named) return write_arrays(confusion_, {{"predicted", counts}});
    // A model may tell more classes apart than its data had.
    for (auto k = static_cast<int64_t>(names.size()); k < n; ++k) {
      names.push_back(std::to_string(k));
    }
    names.resize(static_cast<size_t>(n));
    NamedTensors columns = {{"class", Tensor::of<std::string>({n}, std::span(names))}};
    for (int64_t c = 0; c < n; ++c) {
      Tensor column(DType::Int64, {n});
      for (int64_t r = 0; r < n; ++r) {
        column.data<int64_t>()[r] = counts.data<int64_t>()[r * n + c];
      }
      columns.push_back({names[static_cast<size_t>(c)], column});
    }
    write_arrays(confusion_, columns);
  }

  EvaluationOptions evaluation_options(const Model& model) const {
    EvaluationOptions o;
    o.more_losses = loss_options(model.graph(), loss_, common_);
    o.loss = o.more_losses[0];
    o.more_losses.erase(o.more_losses.begin());
    o.feed = feed_options(data_, common_);
    if (!metrics_.empty()) {
      o.metrics = split_list(metrics_);
      for (std::string& name : *o.metrics) name = metric_name(name);
    }
    o.confusion = !confusion_.empty();
    o.double_precision = precision_ == "float64";
    o.session = common_.session_options();
    return o;
  }

  void report(const TaskSummary& summary, const Evaluation& result) const {
    if (common_.json) {
      auto number = [](double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); };
      Json values = Json::object();
      for (const auto& [name, value] : result.metrics) values[name] = number(value);
      print(Json{{"schema", "onnxrun.eval/1"},
                 {"output", summary.output},
                 {"samples", summary.samples},
                 {"loss", {{"name", summary.loss}, {"value", number(result.loss)}}},
                 {"metrics", values}}
                .text());
      return;
    }
    info("{} {}, output '{}'", summary.samples, data_.prebatched ? "batches" : "samples",
         summary.output);
    print(fmt::format("loss ({}): {:.9g}\n", summary.loss, result.loss));
    for (const auto& [name, value] : result.metrics)
      print(fmt::format("{}: {:.9g}\n", name, value));
  }

  std::string path_, metrics_, confusion_, precision_;
  DataOptions data_;
  LossChoice loss_;
};

}  // namespace

const CommandInfo eval_command = {
    "eval", "loss and metrics of a model on a data set",
    "  onnxrun eval model.onnx --data test.npz\n"
    "  onnxrun eval net.onnx --data x=images-idx3-ubyte --data target=labels-idx1-ubyte \\\n"
    "      --scale x=1/255 --metrics accuracy,top5,f1 --confusion confusion.csv\n"
    "  onnxrun eval net.onnx --data test.npz --loss mse --metrics mae,r2 --json",
    make_command<Eval>};

}  // namespace onnxrun::tool
