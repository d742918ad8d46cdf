#include <cmath>

#include "base/error.h"
#include "command.h"
#include "data_options.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "fit/measuring.h"
#include "formats/json.h"
#include "formats/source.h"
#include "framework_names.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "passes/widen.h"
#include "training/loss_average.h"
#include "training/metrics.h"
#include "training/training_graph.h"
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
    Graph graph = model.graph();
    if (precision_ == "float64") widen_to_double(graph);
    NamedTensors arrays = load_data("--data", data_.data, common_);
    FeedOptions feed = feed_options(data_, common_);
    task_ = choose_task(graph, arrays, feed, loss_);
    if (!task_.loss.warning.empty()) warn("{}", task_.loss.warning);
    ModelData data = make_model_data(graph, arrays, feed, task_.target);
    for (const std::string& note : data.notes) info("{}", note);
    BatchOptions options{.batch_size = batch_size_for(graph, data, feed), .shuffle = false};
    Metrics metrics(metric_names(), metric_options(graph, task_, loss_, data, options.batch_size));
    double loss = in_context(path_, [&] { return measure(graph, data, options, metrics); });
    report(data, loss, metrics);
    return exit_ok;
  }

 private:
  void check_files(const Model& model) const {
    FilesInUse files;
    files.read(model);
    files.read(data_.data);
    files.read(data_.target);
    files.write("--confusion", confusion_);
  }

  std::vector<std::string> metric_names() const {
    bool binary = task_.loss.name.starts_with("bce");
    if (!metrics_.empty()) {
      std::vector<std::string> names = split_list(metrics_);
      for (std::string& name : names) name = metric_name(name);
      return names;
    }
    if (task_.target && (binary || find_loss(task_.loss.name).class_indices)) return {"accuracy"};
    return {};
  }

  Model with_loss(const Graph& graph, const ModelData& data, int64_t batch_size) const {
    TrainingOptions options = training_options(graph, task_, loss_, data, batch_size);
    return Model(std::make_shared<Graph>(make_evaluation_graph(graph, options, {})));
  }

  // Returns the loss of all batches.
  double measure(const Graph& graph, const ModelData& data, const BatchOptions& options,
                 Metrics& metrics) const {
    Model model = with_loss(graph, data, options.batch_size);
    std::string target_name =
        data.has_target ? model.graph().name_of(model.graph().inputs[graph.inputs.size()]) : "";
    Session session(model, common_.session_options());
    CancelScope cancel(session);
    Batches batches(data.set, options);
    bool measures = data.has_target && (!metric_names().empty() || !confusion_.empty());
    LossAverage loss(reduction_of(loss_options(task_, loss_)));
    for (int64_t k = 0; k < batches.count(); ++k) {
      check_interrupt();
      std::span<const Tensor> tensors = batches.batch(k);
      NamedValues feeds = data.feeds(tensors);
      if (data.has_target) feeds.emplace_back(target_name, tensors.back());
      NamedValues results = session.run(feeds);
      loss.add(to_doubles(results[0].second.tensor)[0], batches.size_of(k));
      if (measures) metrics.add(results[1].second.tensor, tensors.back());
    }
    return loss.value();
  }

  void report(const ModelData& data, double loss, const Metrics& metrics) const {
    if (!confusion_.empty()) write_confusion(metrics);
    std::vector<Metrics::Result> results;
    if (data.has_target) results = metrics.results();
    if (common_.json) {
      auto number = [](double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); };
      Json values = Json::object();
      for (const auto& [name, value] : results) values[name] = number(value);
      print(Json{{"schema", "onnxrun.eval/1"},
                 {"output", task_.loss.output},
                 {"samples", data.set.samples()},
                 {"loss", {{"name", task_.loss.name}, {"value", number(loss)}}},
                 {"metrics", values}}
                .text());
      return;
    }
    info("{} {}, output '{}'", data.set.samples(), data.set.prebatched() ? "batches" : "samples",
         task_.loss.output);
    print(fmt::format("loss ({}): {:.9g}\n", task_.loss.name, loss));
    for (const auto& [name, value] : results) print(fmt::format("{}: {:.9g}\n", name, value));
  }

  void write_confusion(const Metrics& metrics) const {
    int64_t n = metrics.class_count();
    if (n > 0 && n > common_.max_memory / 8 / n) {
      fail(ErrorKind::Limit,
           "--confusion: a table of {} classes needs more than the {} bytes allowed", n,
           common_.max_memory);
    }
    write_arrays(confusion_, {{"predicted", metrics.confusion()}});
  }

  std::string path_, metrics_, confusion_, precision_;
  DataOptions data_;
  LossChoice loss_;
  LearningTask task_;
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
