#include "train_choice.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <initializer_list>
#include <string_view>

#include "base/error.h"
#include "files_in_use.h"
#include "fit/schedule.h"
#include "formats/source.h"
#include "framework_names.h"
#include "messages.h"
#include "model_loading.h"
#include "plot/canvas.h"

namespace onnxrun::tool {

namespace fs = std::filesystem;

void TrainChoice::declare(Options& options) {
  options.add("model", model_path, model_help).type_name("FILE").required();
  options.add("-o,--output", output, "the trained model").type_name("FILE");
  options.add_switch("--in-place", in_place, "write the trained model over the one read");
  add_data_options(options, data);
  add_sample_options(options, data);
  declare_parts(options);
  declare_loop(options);
  declare_records(options);
  add_loss_options(options, loss);
  add_optimizer_options(options, optimizer);
  add_parameter_options(options, parameters);
  options
      .add("--unshare", unshare,
           "equal tensors that the exporter merged train apart: auto (default) where the file "
           "shows that the net had several; never: one stored tensor is one parameter; always: "
           "every module has its own, tied ones too")
      .type_name("auto|never|always")
      .check(one_of({"auto", "never", "always"}));
  options
      .add("--new-classes", new_classes,
           "N fresh classes in place of those of the output (default: the loss's): the last layer "
           "starts anew, by --seed; with --head-only nothing else is "
           "computed backward")
      .type_name("[OUTPUT=]N");
  options.add_switch("--head-only", head_only,
                     "train the new layer of --new-classes alone, as --only with its names");
  add_mode_options(options, modes);
}

void TrainChoice::declare_parts(Options& options) {
  options.add_repeated("--val-data", val_data, "data for the loss after every epoch")
      .type_name("[NAME=]FILE");
  options.add("--val-split", fit.validation_split, "the same from a part of the data: 0.1")
      .type_name("FRACTION");
  options
      .add(
          "--fold", [this](const std::string& text) { take_fold(text); },
          "the same from part I of K equal ones: 1/5")
      .type_name("I/K");
  options.add_repeated("--test-data", test_data, "data for the loss after the training")
      .type_name("[NAME=]FILE");
  options.add("--test-split", fit.test_split, "the same from a part of the data")
      .type_name("FRACTION");
  options
      .add_repeated(
          "--standardize", data.standardize,
          "subtract the mean of an input's features and divide by their deviation, both taken "
          "from the training part and written beside the model and in its metadata")
      .type_name("NAME");
  options.add_switch("--bake", fit.bake,
                     "the model written takes the data as they are: nodes behind its inputs do "
                     "what --scale, --standardize and --as-trained do");
  options
      .add(
          "--metrics", [this](const std::string& text) { take_metrics(text); },
          "measured while training and on validation and test data, with commas; `onnxrun eval "
          "--help` lists them")
      .type_name("NAMES");
}

void TrainChoice::declare_loop(Options& options) {
  options.add("--epochs", fit.epochs, "passes over the data (default: 1)")
      .type_name("N")
      .check(at_least(1));
  options.add("--max-steps", fit.max_steps, "stop after so many steps")
      .type_name("N")
      .check(at_least(1));
  options.add_switch(
      "--shuffle", [this] { fit.shuffle = true; },
      "a new order of the samples in every epoch (default)");
  options.add_switch(
      "--no-shuffle", [this] { fit.shuffle = false; }, "keep the order of the data");
  options
      .add_repeated("--augment", augment,
                    "move and mirror the pictures of an input at random while training: "
                    "shift=2,flip (up to 2 pixels; left and right exchanged every other time)")
      .type_name("[NAME:]CHANGES");
  options.add_switch("--drop-last", fit.drop_last, "leave out a last batch that is smaller");
  options
      .add("--accumulate", fit.accumulate,
           "add up the gradients of N batches for one step, that of the large batch")
      .type_name("N")
      .check(at_least(1));
  std::string schedules = "the learning rate over the training (default: constant)";
  for (const ScheduleInfo& s : schedule_list()) {
    schedules += fmt::format("\n{}: {}", s.name, s.formula);
  }
  options.add_switch("--find-lr", find_lr,
                     "train a copy with rates that grow from 1e-7 to 10 over 100 steps, and "
                     "suggest the one where the loss falls fastest; --plot shows the losses");
  options.add("--lr-schedule", fit.schedule, schedules).type_name("NAME[:NUMBER]");
  options.add("--warmup", fit.warmup, "steps over which the learning rate grows from 0")
      .type_name("N")
      .check(at_least(0));
}

void TrainChoice::declare_records(Options& options) {
  options.add("--log", log, "write losses to .jsonl or .csv, a row an epoch").type_name("FILE");
  options.add("--log-every", log_every, "a row every N steps instead")
      .type_name("N")
      .check(at_least(1));
  options
      .add("--plot", plot,
           "write curves of losses, metrics and learning rate, as SVG or PNG by the "
           "name")
      .type_name("FILE");
  options.add("--tensorboard", tensorboard, "write event files for TensorBoard").type_name("DIR");
  options.add("--best", best, "write the model of the epoch with the best monitored number")
      .type_name("FILE");
  options
      .add("--monitor", monitor,
           "the number that --best goes by: loss, val_loss, val_accuracy ... (default: that of "
           "--early-stop, else val_loss, without validation data loss)")
      .type_name("NAME");
  options
      .add("--early-stop", early_stop,
           "stop when this number gets no better: val_loss, val_accuracy, loss ...; the best "
           "epoch's weights are written")
      .type_name("NAME");
  options.add("--patience", patience, "epochs that --early-stop waits (default: 5)")
      .type_name("N")
      .check(at_least(1));
  options.add("--min-delta", min_delta, "what counts as better (default: 0)")
      .type_name("X")
      .check(at_least(0));
  options
      .add("--checkpoint-dir", checkpoints,
           "write all that the training needs to go on, every epoch (at most once a second) and "
           "where it is interrupted")
      .type_name("DIR");
  options.add("--save-every", save_every, "a checkpoint every N epochs, or steps: 100s")
      .type_name("N[s]");
  options.add("--keep", keep, "so many checkpoints stay (default: 3)")
      .type_name("N")
      .check(at_least(1));
  options.add_switch("--resume", resume,
                     "go on from the newest checkpoint of --checkpoint-dir, if there is one");
}

void TrainChoice::take_fold(const std::string& text) {
  size_t slash = text.find('/');
  if (slash == std::string::npos) fail(ErrorKind::Usage, "--fold: '{}' is not I/K", text);
  fit.fold = parse_integer("--fold", text.substr(0, slash));
  fit.folds = parse_integer("--fold", text.substr(slash + 1));
  if (fit.folds < 2 || fit.fold < 1 || fit.fold > fit.folds) {
    fail(ErrorKind::Usage, "--fold: '{}' should be I/K, with I from 1 to K and K at least 2", text);
  }
}

void TrainChoice::take_metrics(const std::string& text) {
  for (const std::string& name : split_list(text)) fit.metrics.push_back(metric_name(name));
}

void TrainChoice::check_usage() const {
  if (find_lr) {
    check_sweep_usage();
  } else {
    check_destination(model_path, output, in_place);
  }
  if (data.data.empty()) fail(ErrorKind::Usage, "--data is missing");
  if (fit.validation_split && !val_data.empty()) {
    fail(ErrorKind::Usage, "give --val-data or --val-split");
  }
  if (fit.folds > 0 && (fit.validation_split || !val_data.empty())) {
    fail(ErrorKind::Usage, "--fold makes the validation data; give no others");
  }
  if (fit.test_split && !test_data.empty()) {
    fail(ErrorKind::Usage, "give --test-data or --test-split");
  }
  if (head_only && (new_classes.empty() || !parameters.only.empty())) {
    fail(ErrorKind::Usage, "--head-only belongs to --new-classes, without --only");
  }
  if (log_every > 0 && log.empty()) fail(ErrorKind::Usage, "--log-every belongs to --log");
  if ((patience || min_delta) && early_stop.empty()) {
    fail(ErrorKind::Usage, "--patience and --min-delta belong to --early-stop");
  }
  if (!monitor.empty() && best.empty()) fail(ErrorKind::Usage, "--monitor belongs to --best");
  if (checkpoints.empty() && (resume || keep || !save_every.empty())) {
    fail(ErrorKind::Usage, "--resume, --keep and --save-every belong to --checkpoint-dir");
  }
  check_formats();
  for (const std::string& path : {output, plot, log, best}) check_writable(path);
}

// Models, logs and what else a training leaves are none of a sweep's business.
void TrainChoice::check_sweep_usage() const {
  if (!output.empty() || in_place) {
    fail(ErrorKind::Usage, "--find-lr trains nothing that could be written: leave out -o");
  }
  bool records = !log.empty() || !best.empty() || !checkpoints.empty() || !tensorboard.empty() ||
                 !early_stop.empty() || fit.schedule != "constant";
  if (records) fail(ErrorKind::Usage, "--find-lr goes with --plot and --json only");
}

// A name that promises another format than the one written.
void TrainChoice::check_formats() const {
  auto ends_in = [](const std::string& path, std::initializer_list<std::string_view> endings) {
    std::string lower = fs::path(path).extension().string();
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return std::find(endings.begin(), endings.end(), lower) != endings.end();
  };
  if (ends_in(output, {".h5", ".hdf5", ".keras", ".pt", ".pth", ".ckpt", ".pb", ".tflite",
                       ".safetensors", ".npz", ".npy", ".pkl", ".mlmodel"})) {
    fail(ErrorKind::Usage, "-o {}: the trained model is written as ONNX; its name ends in .onnx",
         output);
  }
}

void TrainChoice::check_files(const Model& model) const {
  FilesInUse files;
  files.read(model);
  for (const auto& specs : {data.data, val_data, test_data, parameters.only, parameters.freeze}) {
    files.read(specs);
  }
  files.read(data.targets);
  files.write("-o", output);
  bool external = model.graph().source && !model.graph().source->data_files.empty();
  if (external && !output.empty()) files.write("-o", output + ".data");
  files.write("--log", log);
  files.write("--plot", plot);
  files.write("--best", best);
  if (!plot.empty()) picture_format("--plot", plot);
  if (writes_standardization()) files.write("--standardize", standardization_path());
}

std::string TrainChoice::standardization_path() const {
  std::string path = written_path();
  if (path.ends_with(".onnx")) path.resize(path.size() - 5);
  return path + ".standardize.npz";
}

}  // namespace onnxrun::tool
