#include <map>
#include <vector>

#include "base/error.h"
#include "base/file_names.h"
#include "command.h"
#include "data_options.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "fit/model_data.h"
#include "formats/json.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "onnxrun/stored_training.h"
#include "tensor/tensor.h"
#include "training/loss_average.h"

namespace onnxrun::tool {

namespace {

// Means of the outputs that are one number, over the samples of an epoch.
class Means {
 public:
  void add(const NamedValues& outputs, int64_t samples) {
    for (const auto& [name, value] : outputs) {
      if (!value.is_tensor() || value.tensor.size() != 1 || !is_float(value.tensor.dtype()))
        continue;
      means_.try_emplace(name, onnxrun::Reduction::Mean)
          .first->second.add(to_doubles(value.tensor).front(), samples);
    }
  }

  std::map<std::string, double> values() const {
    std::map<std::string, double> values;
    for (const auto& [name, mean] : means_) values[name] = mean.value();
    return values;
  }

 private:
  std::map<std::string, LossAverage> means_;
};

class Step final : public Command {
 public:
  Step() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", model_path_, model_help).type_name("FILE").required();
    options.add("-o,--output", output_, "the model with its new state").type_name("FILE");
    options.add_switch("--in-place", in_place_, "write it over the one read");
    options.add_switch("--initialize", initialize_,
                       "begin with what the file's initialization gives, not with its weights");
    add_data_options(options, data_);
    add_sample_options(options, data_);
    options.add("--epochs", epochs_, "passes over the data (default: 1)")
        .type_name("N")
        .check(at_least(1));
    options.add("--max-steps", max_steps_, "stop after so many steps")
        .type_name("N")
        .check(at_least(1));
    options.add_switch("--no-shuffle", no_shuffle_, "keep the order of the data");
  }

  int execute() override {
    check_destination(model_path_, output_, in_place_);
    check_writable(output_);
    Model model = load_model(model_path_, common_);
    FilesInUse files;
    files.read(model);
    files.read(data_.data);
    files.write("-o", output_);
    bool external = model.graph().source && !model.graph().source->data_files.empty();
    if (external && !output_.empty()) files.write("-o", output_ + ".data");
    StoredTraining training = in_context(model_path_, [&] {
      StoredTraining made(model, training_options());
      if (initialize_) made.initialize();
      return made;
    });
    if (!data_.data.empty() || !training.signature().inputs.empty()) {
      run(training);
    } else {
      run_without_data(training);
    }
    {
      UninterruptedScope hold;
      training.save(written_path(), in_place_);
    }
    check_interrupt();
    report(training);
    return exit_ok;
  }

 private:
  StoredTrainingOptions training_options() const {
    return {.seed = common_.seed, .session = common_.session_options()};
  }

  void run(StoredTraining& training) {
    if (data_.data.empty()) fail(ErrorKind::Usage, "--data is missing");
    const Graph& signature = training.signature();
    FeedOptions feed = feed_options(data_, common_);
    ModelData data = make_model_data(signature, load_data("--data", data_.data, common_), feed, {});
    for (const std::string& text : data.warnings) warn("{}", text);
    for (const std::string& note : data.notes) info("{}", note);
    BatchOptions options{.batch_size = batch_size_for(signature, data, feed),
                         .shuffle = !no_shuffle_,
                         .seed = common_.seed};
    Batches batches(data.set, options);
    CancelScope cancel(training);
    for (int64_t epoch = 0; epoch < epochs_ && !enough(training); ++epoch) {
      batches.start_epoch(epoch);
      Means means;
      for (int64_t k = 0; k < batches.count() && !enough(training); ++k) {
        NamedValues inputs = data.feeds(batches.batch(k));
        means.add(in_context(model_path_, [&] { return training.step(inputs); }),
                  batches.size_of(k));
      }
      take(fmt::format("epoch {}/{}", epoch + 1, epochs_), means);
    }
  }

  // An algorithm that makes its data itself takes one step an epoch.
  void run_without_data(StoredTraining& training) {
    CancelScope cancel(training);
    for (int64_t epoch = 0; epoch < epochs_ && !enough(training); ++epoch) {
      Means means;
      means.add(in_context(model_path_, [&] { return training.step({}); }), 1);
      take(fmt::format("step {}/{}", epoch + 1, epochs_), means);
    }
  }

  bool enough(const StoredTraining& training) const {
    return max_steps_ && training.steps() >= *max_steps_;
  }

  void take(std::string line, const Means& means) {
    last_ = means.values();
    for (const auto& [name, value] : last_) line += fmt::format(", {} {:.6g}", name, value);
    info("{}", line);
  }

  const std::string& written_path() const { return in_place_ ? model_path_ : output_; }

  void report(const StoredTraining& training) const {
    std::vector<std::string> names;
    for (const NamedTensor& t : training.state()) names.push_back(t.name);
    info("{} steps of the file's own training; changed: {}; written: {}", training.steps(),
         name_list(names, 8), written_path());
    if (!common_.json) return;
    Json means = Json::object();
    for (const auto& [name, value] : last_) means[name] = value;
    print(Json{{"schema", "onnxrun.step/1"},
               {"steps", training.steps()},
               {"state", names},
               {"outputs", means},
               {"written", written_path()}}
              .text());
  }

  std::string model_path_, output_;
  bool in_place_ = false, initialize_ = false, no_shuffle_ = false;
  int64_t epochs_ = 1;
  std::optional<int64_t> max_steps_;
  DataOptions data_;
  std::map<std::string, double> last_;
};

}  // namespace

const CommandInfo step_command = {
    "step", "runs the training that a file describes itself (training_info)",
    "  onnxrun step model.onnx --data train.npz --epochs 10 --batch-size 16 -o trained.onnx\n"
    "  onnxrun step model.onnx --initialize --seed 3 --data train.npz --in-place",
    make_command<Step>};

}  // namespace onnxrun::tool
