#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/file_names.h"
#include "command.h"
#include "data_options.h"
#include "exit_code.h"
#include "export_losses.h"
#include "files_in_use.h"
#include "fit/schedule.h"
#include "formats/json.h"
#include "formats/source.h"
#include "framework_names.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "onnxrun/callbacks.h"
#include "onnxrun/fit.h"
#include "onnxrun/learning_rate.h"
#include "onnxrun/model_changes.h"
#include "plot/canvas.h"
#include "training_display.h"
#include "training_options.h"

namespace onnxrun::tool {

namespace fs = std::filesystem;

namespace {

class Train final : public Command {
 public:
  Train() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", model_path_, model_help).type_name("FILE").required();
    options.add("-o,--output", output_, "the trained model").type_name("FILE");
    options.add_switch("--in-place", in_place_, "write the trained model over the one read");
    add_data_options(options, data_);
    add_sample_options(options, data_);
    declare_parts(options);
    declare_loop(options);
    declare_records(options);
    add_loss_options(options, loss_);
    add_optimizer_options(options, optimizer_);
    add_parameter_options(options, parameters_);
    options
        .add("--unshare", unshare_,
             "equal tensors that the exporter merged train apart: auto (default) where the file "
             "shows that the net had several; never: one stored tensor is one parameter; always: "
             "every module has its own, tied ones too")
        .type_name("auto|never|always")
        .check(one_of({"auto", "never", "always"}));
    options
        .add(
            "--new-classes", new_classes_,
            "N fresh classes in place of those of the output (default: the loss's): the last layer "
            "starts anew, by --seed; with --head-only nothing else is "
            "computed backward")
        .type_name("[OUTPUT=]N");
    options.add_switch("--head-only", head_only_,
                       "train the new layer of --new-classes alone, as --only with its names");
    add_mode_options(options, modes_);
  }

  int execute() override {
    check_usage();
    Model model = take_classes(take_unshared(load_model(model_path_, common_)));
    check_files(model);
    NamedTensors data = load_data("--data", data_.take_streams(model, common_), common_);
    if (find_lr_) return find_lr(model, data);
    Fit fit = made(model, data);
    if (resume_) resume(fit);
    run(fit);
    std::optional<Evaluation> test;
    if (fit.has(Fit::Part::Test)) {
      test = in_context(model_path_, [&] { return fit.evaluate(Fit::Part::Test); });
    }
    save(fit);
    finish(fit, test);
    return exit_ok;
  }

 private:
  void declare_parts(Options& options) {
    options.add_repeated("--val-data", val_data_, "data for the loss after every epoch")
        .type_name("[NAME=]FILE");
    options.add("--val-split", fit_.validation_split, "the same from a part of the data: 0.1")
        .type_name("FRACTION");
    options
        .add(
            "--fold", [this](const std::string& text) { take_fold(text); },
            "the same from part I of K equal ones: 1/5")
        .type_name("I/K");
    options.add_repeated("--test-data", test_data_, "data for the loss after the training")
        .type_name("[NAME=]FILE");
    options.add("--test-split", fit_.test_split, "the same from a part of the data")
        .type_name("FRACTION");
    options
        .add_repeated(
            "--standardize", data_.standardize,
            "subtract the mean of an input's features and divide by their deviation, both taken "
            "from the training part and written beside the model and in its metadata")
        .type_name("NAME");
    options.add_switch("--bake", fit_.bake,
                       "the model written takes the data as they are: nodes behind its inputs do "
                       "what --scale, --standardize and --as-trained do");
    options
        .add(
            "--metrics", [this](const std::string& text) { take_metrics(text); },
            "measured while training and on validation and test data, with commas; `onnxrun eval "
            "--help` lists them")
        .type_name("NAMES");
  }

  void declare_loop(Options& options) {
    options.add("--epochs", fit_.epochs, "passes over the data (default: 1)")
        .type_name("N")
        .check(at_least(1));
    options.add("--max-steps", fit_.max_steps, "stop after so many steps")
        .type_name("N")
        .check(at_least(1));
    options.add_switch(
        "--shuffle", [this] { fit_.shuffle = true; },
        "a new order of the samples in every epoch (default)");
    options.add_switch(
        "--no-shuffle", [this] { fit_.shuffle = false; }, "keep the order of the data");
    options
        .add_repeated("--augment", augment_,
                      "move and mirror the pictures of an input at random while training: "
                      "shift=2,flip (up to 2 pixels; left and right exchanged every other time)")
        .type_name("[NAME:]CHANGES");
    options.add_switch("--drop-last", fit_.drop_last, "leave out a last batch that is smaller");
    options
        .add("--accumulate", fit_.accumulate,
             "add up the gradients of N batches for one step, that of the large batch")
        .type_name("N")
        .check(at_least(1));
    std::string schedules = "the learning rate over the training (default: constant)";
    for (const ScheduleInfo& s : schedule_list()) {
      schedules += fmt::format("\n{}: {}", s.name, s.formula);
    }
    options.add_switch("--find-lr", find_lr_,
                       "train a copy with rates that grow from 1e-7 to 10 over 100 steps, and "
                       "suggest the one where the loss falls fastest; --plot shows the losses");
    options.add("--lr-schedule", fit_.schedule, schedules).type_name("NAME[:NUMBER]");
    options.add("--warmup", fit_.warmup, "steps over which the learning rate grows from 0")
        .type_name("N")
        .check(at_least(0));
  }

  // Models, logs and what else a training leaves are none of a sweep's business.
  void check_sweep_usage() {
    if (!output_.empty() || in_place_) {
      fail(ErrorKind::Usage, "--find-lr trains nothing that could be written: leave out -o");
    }
    bool records = !log_.empty() || !best_.empty() || !checkpoints_.empty() ||
                   !tensorboard_.empty() || !early_stop_.empty() || fit_.schedule != "constant";
    if (records) fail(ErrorKind::Usage, "--find-lr goes with --plot and --json only");
  }

  int find_lr(const Model& model, const NamedTensors& data) {
    FitOptions options = fit_options(model);
    RateSweep sweep = in_context(
        model_path_, [&] { return find_learning_rate(model, data, std::move(options)); });
    if (!plot_.empty()) plot_sweep(plot_, sweep);
    const RateSweep::Point &first = sweep.points.front(), &last = sweep.points.back();
    info("{} steps with learning rates from {:.3g} to {:.3g}{}", sweep.points.size(), first.lr,
         last.lr, plot_.empty() ? "" : "; written: " + plot_);
    if (!sweep.suggestion) warn("the loss never falls, so no learning rate is suggested");
    if (common_.json) {
      Json points = Json::array();
      for (const RateSweep::Point& p : sweep.points) {
        points.push_back(Json{{"lr", p.lr}, {"loss", p.loss}, {"smoothed", p.smoothed}});
      }
      Json suggestion = sweep.suggestion ? Json(*sweep.suggestion) : Json(nullptr);
      print(Json{{"schema", "onnxrun.find-lr/1"}, {"suggestion", suggestion}, {"points", points}}
                .text());
    } else if (sweep.suggestion) {
      print(fmt::format("suggested learning rate: {:.3g}\n", *sweep.suggestion));
    }
    return exit_ok;
  }

  void declare_records(Options& options) {
    options.add("--log", log_, "write losses to .jsonl or .csv, a row an epoch").type_name("FILE");
    options.add("--log-every", log_every_, "a row every N steps instead")
        .type_name("N")
        .check(at_least(1));
    options.add("--plot", plot_, "write the loss curve, as SVG or PNG by the name")
        .type_name("FILE");
    options.add("--tensorboard", tensorboard_, "write event files for TensorBoard")
        .type_name("DIR");
    options.add("--best", best_, "write the model of the epoch with the best monitored number")
        .type_name("FILE");
    options
        .add("--monitor", monitor_,
             "the number that --best goes by: loss, val_loss, val_accuracy ... (default: that of "
             "--early-stop, else val_loss, without validation data loss)")
        .type_name("NAME");
    options
        .add("--early-stop", early_stop_,
             "stop when this number gets no better: val_loss, val_accuracy, loss ...; the best "
             "epoch's weights are written")
        .type_name("NAME");
    options.add("--patience", patience_, "epochs that --early-stop waits (default: 5)")
        .type_name("N")
        .check(at_least(1));
    options.add("--min-delta", min_delta_, "what counts as better (default: 0)")
        .type_name("X")
        .check(at_least(0));
    options
        .add("--checkpoint-dir", checkpoints_,
             "write all that the training needs to go on, every epoch (at most once a second) and "
             "where it is interrupted")
        .type_name("DIR");
    options.add("--save-every", save_every_, "a checkpoint every N epochs, or steps: 100s")
        .type_name("N[s]");
    options.add("--keep", keep_, "so many checkpoints stay (default: 3)")
        .type_name("N")
        .check(at_least(1));
    options.add_switch("--resume", resume_,
                       "go on from the newest checkpoint of --checkpoint-dir, if there is one");
  }

  void take_fold(const std::string& text) {
    size_t slash = text.find('/');
    if (slash == std::string::npos) fail(ErrorKind::Usage, "--fold: '{}' is not I/K", text);
    fit_.fold = parse_integer("--fold", text.substr(0, slash));
    fit_.folds = parse_integer("--fold", text.substr(slash + 1));
    if (fit_.folds < 2 || fit_.fold < 1 || fit_.fold > fit_.folds) {
      fail(ErrorKind::Usage, "--fold: '{}' should be I/K, with I from 1 to K and K at least 2",
           text);
    }
  }

  void take_augmentations(FitOptions& o) const {
    for (const std::string& text : augment_) {
      size_t colon = text.rfind(':');
      std::string name = colon == std::string::npos ? "" : text.substr(0, colon);
      Augmentation changes;
      for (const std::string& change :
           split_list(colon == std::string::npos ? text : text.substr(colon + 1))) {
        if (change == "flip") {
          changes.flip = true;
        } else if (change.starts_with("shift=")) {
          changes.shift = parse_integer("--augment", change.substr(6));
        } else {
          fail(ErrorKind::Usage, "--augment: '{}' is no change of pictures; shift=N and flip are",
               change);
        }
      }
      if (changes.shift == 0 && !changes.flip) {
        fail(ErrorKind::Usage, "--augment: '{}' changes nothing", text);
      }
      if (!o.augment.emplace(name, changes).second) {
        fail(ErrorKind::Usage, "--augment: an input is named twice");
      }
    }
  }

  void take_metrics(const std::string& text) {
    for (const std::string& name : split_list(text)) fit_.metrics.push_back(metric_name(name));
  }

  void check_usage() {
    if (in_place_ && model_path_ == "-") {
      fail(ErrorKind::Usage, "--in-place: standard input is no file to write to; give -o");
    }
    if (find_lr_) {
      check_sweep_usage();
    } else if (output_.empty() == !in_place_) {
      throw Error(ErrorKind::Usage, in_place_
                                        ? "give either -o or --in-place"
                                        : "where to? -o FILE writes the trained model, --in-place "
                                          "overwrites the one read");
    }
    if (data_.data.empty()) fail(ErrorKind::Usage, "--data is missing");
    if (fit_.validation_split && !val_data_.empty()) {
      fail(ErrorKind::Usage, "give --val-data or --val-split");
    }
    if (fit_.folds > 0 && (fit_.validation_split || !val_data_.empty())) {
      fail(ErrorKind::Usage, "--fold makes the validation data; give no others");
    }
    if (fit_.test_split && !test_data_.empty()) {
      fail(ErrorKind::Usage, "give --test-data or --test-split");
    }
    if (head_only_ && (new_classes_.empty() || !parameters_.only.empty())) {
      fail(ErrorKind::Usage, "--head-only belongs to --new-classes, without --only");
    }
    if (log_every_ > 0 && log_.empty()) fail(ErrorKind::Usage, "--log-every belongs to --log");
    if ((patience_ || min_delta_) && early_stop_.empty()) {
      fail(ErrorKind::Usage, "--patience and --min-delta belong to --early-stop");
    }
    if (!monitor_.empty() && best_.empty()) fail(ErrorKind::Usage, "--monitor belongs to --best");
    if (checkpoints_.empty() && (resume_ || keep_ || !save_every_.empty())) {
      fail(ErrorKind::Usage, "--resume, --keep and --save-every belong to --checkpoint-dir");
    }
    check_formats();
    for (const std::string& path : {output_, plot_, log_, best_}) check_writable(path);
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
  }

  void check_files(const Model& model) const {
    FilesInUse files;
    files.read(model);
    for (const auto& specs :
         {data_.data, val_data_, test_data_, parameters_.only, parameters_.freeze}) {
      files.read(specs);
    }
    files.read(data_.targets);
    files.write("-o", output_);
    bool external = model.graph().source && !model.graph().source->data_files.empty();
    if (external && !output_.empty()) files.write("-o", output_ + ".data");
    files.write("--log", log_);
    files.write("--plot", plot_);
    files.write("--best", best_);
    if (!plot_.empty()) picture_format("--plot", plot_);
    if (writes_standardization()) files.write("--standardize", standardization_path());
  }

  // What ends a training early leaves the weights of its last step, which are worth hours: they are
  // written like those of a whole one. A model that diverged is not written over the one it was
  // made from.
  void run(Fit& fit) const {
    CancelScope cancel(fit);
    try {
      in_context(model_path_, [&] { fit.run(); });
    } catch (const Error& e) {
      bool numeric = e.kind() == ErrorKind::Numeric;
      bool ended = numeric || e.kind() == ErrorKind::Cancelled || e.kind() == ErrorKind::Timeout;
      if (!ended) throw;
      if (fit.steps() == 0) {
        warn("no step was finished, so nothing is written");
      } else if (numeric && in_place_) {
        warn("a model that diverges is not written over the one that was read");
      } else {
        save_what_there_is(fit);
      }
      // A number of the data that is not finite says more than the first node that meets it.
      std::string culprit = numeric ? fit.first_not_finite() : "";
      if (culprit.empty()) throw;
      throw Error(ErrorKind::Numeric, fmt::format("{}: {}", culprit, e.what()));
    }
  }

  void save_what_there_is(const Fit& fit) const {
    try {
      UninterruptedScope hold;
      write_model(fit);
    } catch (const Error& e) {
      return warn("the weights of step {} could not be written: {}", fit.steps(), e.what());
    }
    warn("the weights of step {}, the last one finished, are written: {}", fit.steps(),
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

  // What does not fit lies in the data, unless the model cannot train.
  Fit made(const Model& model, const NamedTensors& data) {
    FitOptions options = fit_options(model);
    try {
      return Fit(model, data, std::move(options));
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::BadInput) throw;
      throw_in_context(model_path_, e);
    }
  }

  FitOptions fit_options(const Model& model) {
    FitOptions o = fit_;
    o.trainer = trainer_options(optimizer_, modes_, common_);
    o.trainer.more_losses = loss_options(model.graph(), loss_, common_);
    o.trainer.loss = o.trainer.more_losses[0];
    o.trainer.more_losses.erase(o.trainer.more_losses.begin());
    o.trainer.trainable = chosen_parameters(model, parameters_);
    take_parameter_options(parameters_, o.trainer);
    o.trainer.double_precision = modes_.precision == "float64";
    o.trainer.unshare = Unshare::Never;  // it has been done
    o.feed = feed_options(data_, common_);
    take_augmentations(o);
    if (!val_data_.empty()) o.validation = load_data("--val-data", val_data_, common_);
    if (!test_data_.empty()) o.test = load_data("--test-data", test_data_, common_);
    bool validates = o.validation_split || !o.validation.empty() || o.folds > 0;
    std::string monitor = monitor_.empty() ? early_stop_ : monitor_;
    if (monitor.empty()) monitor = validates ? "val_loss" : "loss";
    auto& c = o.callbacks;
    if (!log_.empty()) c.push_back(std::make_shared<LogFile>(log_, log_every_));
    if (!tensorboard_.empty()) c.push_back(std::make_shared<TensorBoard>(tensorboard_));
    if (!best_.empty()) c.push_back(std::make_shared<SaveBest>(best_, monitor));
    if (!early_stop_.empty()) {
      c.push_back(std::make_shared<EarlyStopping>(early_stop_, patience_.value_or(5),
                                                  min_delta_.value_or(0)));
    }
    if (!plot_.empty()) c.push_back(std::make_shared<CurvePlot>(plot_));
    // Behind those whose state it stores.
    if (!checkpoints_.empty()) c.push_back(checkpoints());
    if (is_shown(LogLevel::Info)) c.push_back(std::make_shared<Progress>());
    return o;
  }

  std::shared_ptr<Checkpoints> checkpoints() const {
    bool steps = save_every_.ends_with('s');
    std::string number = save_every_.substr(0, save_every_.size() - (steps ? 1 : 0));
    int64_t every = save_every_.empty() ? 0 : parse_integer("--save-every", number);
    if (every < 1 && !save_every_.empty())
      fail(ErrorKind::Usage, "--save-every: '{}' is too small", save_every_);
    std::optional<int64_t> by_steps;
    if (steps) by_steps = every;
    return std::make_shared<Checkpoints>(checkpoints_, every, keep_.value_or(3), by_steps);
  }

  void resume(Fit& fit) const {
    if (!Checkpoints::resume(checkpoints_, fit)) {
      return info("{} has no checkpoint: the training begins", checkpoints_);
    }
    info("resumed: {} epochs and {} steps are done", fit.history().size(), fit.steps());
  }

  // As it trains; what is split is said.
  Model take_unshared(const Model& model) {
    Unshare mode = unshare_ == "never"    ? Unshare::Never
                   : unshare_ == "always" ? Unshare::Always
                                          : Unshare::Auto;
    UnsharedModel changed = in_context(model_path_, [&] { return unshare(model, mode); });
    std::map<std::string, std::vector<std::string>> copies;
    for (const UnsharedTensor& t : changed.added) copies[t.from].push_back(t.name);
    for (const auto& [from, names] : copies) {
      if (from.empty()) {
        info("added: {} (zeros that the exporter left out)", name_list(names, 8));
      } else {
        info("split from '{}': {} (the exporter stored equal tensors once)", from,
             name_list(names, 8));
      }
    }
    for (const ExportLoss& loss : export_losses(changed.model.graph())) info("note: {}", loss.text);
    unshared_ = std::move(changed.added);
    return changed.model;
  }

  // The model with --new-classes.
  Model take_classes(const Model& model) {
    if (new_classes_.empty()) return model;
    auto parts = split_output(model.graph(), new_classes_);
    std::string output = parts.first;
    int64_t classes = parse_integer("--new-classes", parts.second);
    if (output.empty()) output = loss_options(model.graph(), loss_, common_)[0].output;
    NewClasses changed = in_context(
        model_path_, [&] { return with_new_classes(model, classes, output, common_.seed); });
    info("new layer before output '{}': {} classes instead of {}, fresh {}", changed.output,
         classes, changed.classes_before, name_list(changed.tensors));
    if (head_only_) parameters_.only = changed.tensors;
    return changed.model;
  }

  void finish(const Fit& fit, const std::optional<Evaluation>& test) const {
    if (test) {
      std::string text = fmt::format("test loss {:.6g}", test->loss);
      for (const auto& [name, value] : test->metrics)
        text += fmt::format(", {} {:.6g}", name, value);
      info("{}", text);
    }
    if (writes_standardization()) {
      info("means and deviations of the inputs are written: {}", standardization_path());
    }
    if (!fit.options().feed.streams.empty()) {
      info("steps waited {:.3g} s for files", fit.waited());
    }
    info("{} steps in {:.3g} s, last loss {:.6g}; written: {}", fit.steps(), fit.seconds(),
         fit.last_loss(), written_path());
    if (common_.json) print_json(fit, test);
  }

  void print_json(const Fit& fit, const std::optional<Evaluation>& test) const {
    Json doc = {{"schema", "onnxrun.train/1"},        {"loss", fit.summary().loss},
                {"output", fit.summary().output},     {"optimizer", optimizer_.name},
                {"trained", fit.trainer().trained()}, {"steps", fit.steps()},
                {"last_loss", fit.last_loss()}};
    if (!fit.history().empty()) {
      for (const auto& [name, value] : fit.history().back().metrics) doc[name] = value;
    }
    if (test) {
      doc["test_loss"] = test->loss;
      for (const auto& [name, value] : test->metrics) doc["test_" + name] = value;
    }
    Json unshared = Json::array();
    for (const UnsharedTensor& t : unshared_) {
      unshared.push_back(Json{{"name", t.name}, {"from", t.from}});
    }
    doc["unshared"] = std::move(unshared);
    doc["seconds"] = fit.seconds();
    if (!fit.options().feed.streams.empty()) doc["waited"] = fit.waited();
    doc["written"] = written_path();
    print(doc.text());
  }

  const std::string& written_path() const { return in_place_ ? model_path_ : output_; }

  // "dir/net.standardize.npz" for "dir/net.onnx".
  std::string standardization_path() const {
    std::string path = written_path();
    if (path.ends_with(".onnx")) path.resize(path.size() - 5);
    return path + ".standardize.npz";
  }

  bool writes_standardization() const { return !data_.standardize.empty() && !fit_.bake; }

  void write_model(const Fit& fit) const {
    fit.save(written_path(), in_place_);
    if (writes_standardization()) write_arrays(standardization_path(), fit.standardization());
  }

  void save(const Fit& fit) const {
    {
      UninterruptedScope hold;
      write_model(fit);
    }
    check_interrupt();
  }

  std::string model_path_, output_, unshare_ = "auto", new_classes_, log_, plot_, tensorboard_,
                                    best_, monitor_, early_stop_;
  std::string checkpoints_, save_every_;
  std::vector<UnsharedTensor> unshared_;
  bool in_place_ = false, resume_ = false, head_only_ = false, find_lr_ = false;
  int64_t log_every_ = 0;
  std::optional<int64_t> patience_, keep_;
  std::optional<double> min_delta_;
  DataOptions data_;
  std::vector<std::string> val_data_, test_data_, augment_;
  LossChoice loss_;
  OptimizerChoice optimizer_;
  ParameterChoice parameters_;
  ModeChoice modes_;
  FitOptions fit_;
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
