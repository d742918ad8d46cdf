#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file_names.h"
#include "command.h"
#include "data_options.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "formats/json.h"
#include "interrupt.h"
#include "learning_task.h"
#include "messages.h"
#include "passes/widen.h"
#include "training_loop.h"
#include "training_options.h"

namespace onnxrun::tool {

namespace fs = std::filesystem;

namespace {

class Train final : public Command {
 public:
  Train() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", model_path_, "the .onnx file").type_name("FILE").required();
    options.add("-o,--output", output_, "the trained model").type_name("FILE");
    options.add_switch("--in-place", in_place_, "write the trained model over the one read");
    add_data_options(options, data_);
    add_sample_options(options, data_);
    declare_parts(options);
    declare_loop(options);
    add_loss_options(options, loss_);
    add_optimizer_options(options, optimizer_);
    add_parameter_options(options, parameters_);
    options.add("--unshare", unshare_, "never: a stored tensor with several uses is one parameter")
        .type_name("never")
        .check(one_of({"never"}));
    add_mode_options(options, modes_);
  }

  int execute() override {
    check_usage();
    Model model = Model::load(model_path_, common_.load_options());
    check_files(model);
    Graph graph = model.graph();
    bool doubles = modes_.precision == "float64";
    if (doubles) widen_to_double(graph);
    prepare(graph);
    TrainerOptions options = options_for(model, doubles);
    Trainer trainer = in_context(model_path_, [&] { return Trainer(model, options); });
    report(model, trainer);
    loop_.reduction = reduction_of({options.loss, loss_.chosen_reduction(), {}});
    TrainingLoop loop(trainer, *training_, std::move(validation_), loop_);
    run(loop, trainer);
    std::optional<double> test_loss;
    if (test_) test_loss = in_context(model_path_, [&] { return loop.evaluate(*test_); });
    save(trainer);
    finish(trainer, loop, test_loss);
    return exit_ok;
  }

 private:
  void declare_parts(Options& options) {
    options.add_repeated("--val-data", val_data_, "data for the loss after every epoch")
        .type_name("[NAME=]FILE");
    options.add("--val-split", val_split_, "the same from a part of the data: 0.1")
        .type_name("FRACTION");
    options.add_repeated("--test-data", test_data_, "data for the loss after the training")
        .type_name("[NAME=]FILE");
    options.add("--test-split", test_split_, "the same from a part of the data")
        .type_name("FRACTION");
    options
        .add_repeated(
            "--standardize", standardize_,
            "subtract the mean of an input's features and divide by their deviation, both taken "
            "from the training part")
        .type_name("NAME");
  }

  void declare_loop(Options& options) {
    options.add("--epochs", loop_.epochs, "passes over the data (default: 1)")
        .type_name("N")
        .check(at_least(1));
    options.add("--max-steps", loop_.max_steps, "stop after so many steps")
        .type_name("N")
        .check(at_least(1));
    options.add_switch(
        "--shuffle", [this] { loop_.batches.shuffle = true; },
        "a new order of the samples in every epoch (default)");
    options.add_switch(
        "--no-shuffle", [this] { loop_.batches.shuffle = false; }, "keep the order of the data");
    options.add_switch("--drop-last", loop_.batches.drop_last,
                       "leave out a last batch that is smaller");
    options.add("--log", loop_.log, "write losses to .jsonl or .csv, a row an epoch")
        .type_name("FILE");
    options.add("--log-every", loop_.log_every, "a row every N steps instead")
        .type_name("N")
        .check(at_least(1));
    options.add("--plot", loop_.plot, "write the loss curve as SVG").type_name("FILE");
  }

  void check_usage() {
    if (output_.empty() == !in_place_) {
      throw Error(ErrorKind::Usage, in_place_
                                        ? "give either -o or --in-place"
                                        : "where to? -o FILE writes the trained model, --in-place "
                                          "overwrites the one read");
    }
    if (data_.data.empty()) fail(ErrorKind::Usage, "--data is missing");
    if (val_split_ && !val_data_.empty()) fail(ErrorKind::Usage, "give --val-data or --val-split");
    if (test_split_ && !test_data_.empty()) {
      fail(ErrorKind::Usage, "give --test-data or --test-split");
    }
    if (loop_.log_every > 0 && loop_.log.empty()) {
      fail(ErrorKind::Usage, "--log-every belongs to --log");
    }
    check_formats();
    for (const std::string& path : {output_, loop_.plot, loop_.log}) check_writable(path);
    std::error_code none;
    if (!output_.empty() && fs::equivalent(output_, model_path_, none)) {
      fail(ErrorKind::Usage, "-o {} is the model itself; --in-place overwrites it", output_);
    }
  }

  // A name that promises another format than the one written.
  void check_formats() const {
    auto ends_in = [](const std::string& path, std::initializer_list<std::string_view> endings) {
      std::string lower = fs::path(path).extension().string();
      for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      return std::find(endings.begin(), endings.end(), lower) != endings.end();
    };
    if (ends_in(output_, {".h5", ".hdf5", ".keras", ".pt", ".pth", ".ckpt", ".pb", ".tflite",
                          ".safetensors", ".npz", ".npy", ".pkl", ".mlmodel"})) {
      fail(ErrorKind::Usage, "-o {}: the trained model is written as ONNX; its name ends in .onnx",
           output_);
    }
    if (ends_in(loop_.plot, {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".pdf", ".eps"})) {
      fail(ErrorKind::Usage, "--plot {}: curves are written as SVG; its name ends in .svg",
           loop_.plot);
    }
  }

  void check_files(const Model& model) const {
    FilesInUse files;
    files.read(model);
    for (const auto& specs :
         {data_.data, val_data_, test_data_, parameters_.only, parameters_.freeze}) {
      files.read(specs);
    }
    files.read(data_.target);
    files.write("-o", output_);
    bool external = model.graph().source && !model.graph().source->data_files.empty();
    if (external && !output_.empty()) files.write("-o", output_ + ".data");
    files.write("--log", loop_.log);
    files.write("--plot", loop_.plot);
  }

  // What ends a training early leaves the weights of its last step, which are worth hours: they are
  // written like those of a whole one. A model that diverged is not written over the one it was
  // made from.
  void run(TrainingLoop& loop, const Trainer& trainer) const {
    try {
      in_context(model_path_, [&] { loop.run(); });
    } catch (const Error& e) {
      bool numeric = e.kind() == ErrorKind::Numeric;
      bool ended = numeric || e.kind() == ErrorKind::Cancelled || e.kind() == ErrorKind::Timeout;
      if (!ended) throw;
      if (loop.steps() == 0) {
        warn("no step was finished, so nothing is written");
      } else if (numeric && in_place_) {
        warn("a model that diverges is not written over the one that was read");
      } else {
        save_what_there_is(loop, trainer);
      }
      // A number of the data that is not finite says more than the first node that meets it.
      std::string culprit = numeric ? first_not_finite(*training_) : "";
      if (culprit.empty()) throw;
      throw Error(ErrorKind::Numeric, fmt::format("{}: {}", culprit, e.what()));
    }
  }

  void save_what_there_is(const TrainingLoop& loop, const Trainer& trainer) const {
    try {
      UninterruptedScope hold;
      trainer.save(written_path(), in_place_);
    } catch (const Error& e) {
      return warn("the weights of step {} could not be written: {}", loop.steps(), e.what());
    }
    warn("the weights of step {}, the last one finished, are written: {}", loop.steps(),
         written_path());
  }

  // Before hours of training, not after them.
  static void check_writable(const std::string& path) {
    if (path.empty()) return;
    fs::path folder = fs::path(path).parent_path();
    if (folder.empty()) folder = ".";
    if (!is_folder(folder)) {
      fail(ErrorKind::CannotWrite, "{}: there is no folder '{}'", path, folder.string());
    }
    if (is_folder(path)) fail(ErrorKind::CannotWrite, "{}: this is a folder", path);
    if (access(folder.c_str(), W_OK) != 0 &&
        !(file_exists(path) && access(path.c_str(), W_OK) == 0)) {
      fail(ErrorKind::CannotWrite, "{}: the folder cannot be written to", path);
    }
  }

  // Chooses the loss and reads the data.
  void prepare(const Graph& graph) {
    NamedTensors arrays = load_arrays(data_.data, common_.max_memory);
    task_ = choose_task(graph, arrays, data_, loss_, common_.max_memory);
    make_parts(graph, arrays);
    for (const std::string& name : standardize_) fit_standardizer(name);
    if (!standardize_.empty()) make_parts(graph, arrays);
    loop_.batches.batch_size = batch_size_for(graph, *training_, data_);
    loop_.batches.seed = common_.seed;
  }

  void make_parts(const Graph& graph, const NamedTensors& arrays) {
    auto of = [&](const NamedTensors& from) {
      return make_model_data(graph, from, data_, task_.target, common_.max_memory);
    };
    training_ = of(arrays);
    if (!val_data_.empty()) validation_ = of(load_arrays(val_data_, common_.max_memory));
    if (!test_data_.empty()) test_ = of(load_arrays(test_data_, common_.max_memory));
    auto all = static_cast<double>(training_->set.samples());
    test_ = split_off(test_split_, all, std::move(test_));
    validation_ = split_off(val_split_, all, std::move(validation_));
  }

  std::optional<ModelData> split_off(const std::optional<double>& fraction, double all,
                                     std::optional<ModelData> otherwise) {
    if (!fraction) return otherwise;
    double of_rest = *fraction * all / static_cast<double>(training_->set.samples());
    ModelData part = *training_;
    std::tie(training_->set, part.set) = training_->set.split(of_rest, common_.seed);
    return part;
  }

  void fit_standardizer(const std::string& name) {
    for (size_t k = 0; k < training_->inputs.size(); ++k) {
      if (training_->inputs[k] != name) continue;
      if (data_.prebatched) {
        fail(ErrorKind::Usage, "--standardize needs samples, not --prebatched data");
      }
      Standardizer s = Standardizer::fit(training_->set, k);
      warn(
          "input '{}' is standardized for the training ({}); the model written expects such inputs",
          name, s.summary());
      data_.standardizers.emplace(name, std::move(s));
      return;
    }
    fail(ErrorKind::Usage, "--standardize: there is no input '{}'; there are {}", name,
         name_list(training_->inputs));
  }

  TrainerOptions options_for(const Model& model, bool doubles) const {
    TrainerOptions o = trainer_options(loss_, optimizer_, modes_, common_);
    o.loss = task_.loss.name;
    o.output = task_.loss.output;
    o.class_axis = task_.class_axis;
    o.target_dims = target_dims(*training_, loop_.batches.batch_size);
    o.trainable = chosen_parameters(model, parameters_);
    o.double_precision = doubles;
    return o;
  }

  void report(const Model& model, const Trainer& trainer) const {
    info("loss: {} of output '{}'{}", task_.loss.name, task_.loss.output,
         task_.loss.by_default ? " (chosen by output and target)" : "");
    for (const std::string& note : training_->notes) info("{}", note);
    info("optimizer: {}, lr {}", optimizer_.name, trainer.learning_rate());
    std::vector<std::string> trained = trainer.trained();
    std::map<std::string, std::vector<std::string>> by_reason, left_out;
    int64_t numbers = 0;
    std::map<std::string, InitializerInfo> infos;
    for (const InitializerInfo& i : model.initializers()) infos.emplace(i.name, i);
    for (const std::string& name : trained) {
      const InitializerInfo& i = infos.at(name);
      numbers += i.value.size();
      by_reason[i.trainable ? i.reason : "asked for by --only"].push_back(name);
    }
    info("training {} of {} initializers, {} numbers:", trained.size(), infos.size(), numbers);
    for (const auto& [reason, names] : by_reason) {
      info("  {} ({})", name_list(names, 8), reason.empty() ? "parameters" : reason);
    }
    for (const std::string& name : trainer.without_gradient()) {
      warn("no gradient flows to '{}': nothing that the loss reads can be differentiated by it",
           name);
    }
    const std::set<std::string> in(trained.begin(), trained.end());
    for (const InitializerInfo& i : model.initializers()) {
      bool listed = i.value.size() > 0 && !i.reason.empty();
      if (listed && !in.count(i.name)) left_out[i.reason].push_back(i.name);
    }
    for (const auto& [reason, names] : left_out) {
      info("not trained: {} ({})", name_list(names, 8), reason);
    }
    info("data: {} {}, batches of {}", training_->set.samples(),
         training_->set.prebatched() ? "batches" : "samples", loop_.batches.batch_size);
  }

  void finish(const Trainer& trainer, const TrainingLoop& loop,
              const std::optional<double>& test_loss) const {
    if (test_loss) info("test loss {:.6g}", *test_loss);
    info("{} steps in {:.3g} s, last loss {:.6g}; written: {}", loop.steps(), loop.seconds(),
         loop.last_loss(), written_path());
    if (!common_.json) return;
    Json doc = {{"schema", "onnxrun.train/1"},  {"loss", task_.loss.name},
                {"output", task_.loss.output},  {"optimizer", optimizer_.name},
                {"trained", trainer.trained()}, {"steps", loop.steps()},
                {"last_loss", loop.last_loss()}};
    if (auto validation = loop.validation_loss()) doc["val_loss"] = *validation;
    if (test_loss) doc["test_loss"] = *test_loss;
    doc["seconds"] = loop.seconds();
    doc["written"] = written_path();
    print(doc.text());
  }

  const std::string& written_path() const { return in_place_ ? model_path_ : output_; }

  void save(const Trainer& trainer) const {
    {
      UninterruptedScope hold;
      trainer.save(written_path(), in_place_);
    }
    check_interrupt();
  }

  std::string model_path_, output_, unshare_;
  bool in_place_ = false;
  DataOptions data_;
  std::vector<std::string> val_data_, test_data_, standardize_;
  std::optional<double> val_split_, test_split_;
  LossChoice loss_;
  OptimizerChoice optimizer_;
  ParameterChoice parameters_;
  ModeChoice modes_;
  LoopOptions loop_;

  LearningTask task_;
  std::optional<ModelData> training_, validation_, test_;
};

}  // namespace

const CommandInfo train_command = {
    "train", "trains a model and writes it back",
    "  onnxrun train model.onnx --data train.npz --loss bce --optimizer sgd --lr 0.03 \\\n"
    "      --epochs 500 --batch-size 1 -o trained.onnx\n"
    "  onnxrun train net.onnx --data x=images-idx3-ubyte.gz --data target=labels-idx1-ubyte.gz \\\n"
    "      --scale x=1/255 --loss cross_entropy --optimizer adam --val-split 0.1 -o net2.onnx\n"
    "  onnxrun train net.onnx --data data.npz --freeze 'encoder.*' --log loss.jsonl --plot "
    "loss.svg \\\n"
    "      --epochs 20 -o tuned.onnx\n"
    "  onnxrun train net.onnx --data 'x=[[0,0],[0,1]]' --data 'target=[[0],[1]]' --in-place",
    make_command<Train>};

}  // namespace onnxrun::tool
