#include "c/options.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/name_list.h"
#include "fit/loss_choice.h"
#include "onnxrun/callbacks.h"

namespace onnxrun::c {

namespace {

template <typename T>
T parse(const std::string& name, const std::string& text) {
  T value{};
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || text.empty()) {
    fail(ErrorKind::Usage, "option '{}' is '{}', expected {}", name, text,
         std::is_integral_v<T> ? "a whole number" : "a number");
  }
  return value;
}

std::vector<double> parse_numbers(const std::string& name, const std::string& text) {
  std::vector<double> numbers;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    numbers.push_back(parse<double>(name, text.substr(at, comma - at)));
    at = comma + 1;
  }
  return numbers;
}

// "NAME=VALUE".
std::pair<std::string, std::string> parse_pair(const std::string& name, const std::string& text) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) {
    fail(ErrorKind::Usage, "option '{}' is '{}', expected NAME=VALUE", name, text);
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

template <typename T>
std::map<std::string, T> pairs_of(OptionReader& reader, const std::string& name) {
  std::map<std::string, T> pairs;
  for (const std::string& text : reader.list(name)) {
    auto [key, value] = parse_pair(name, text);
    bool is_new = false;
    if constexpr (std::is_same_v<T, std::string>) {
      is_new = pairs.emplace(key, value).second;
    } else {
      is_new = pairs.emplace(key, parse<T>(name, value)).second;
    }
    if (!is_new) fail(ErrorKind::Usage, "option '{}' is given twice for '{}'", name, key);
  }
  return pairs;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> pieces;
  for (size_t from = 0; from <= text.size();) {
    const size_t to = std::min(text.find(at, from), text.size());
    pieces.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return pieces;
}

void read_loss(OptionReader& reader, LossOptions& loss) {
  reader.read("output", loss.output);
  reader.read("class_axis", loss.class_axis);
  reader.read("allow_broadcast", loss.allow_broadcast);
  reader.read("ignore_index", loss.ignore_index);
  reader.read("label_smoothing", loss.label_smoothing);
  std::string reduction, weights;
  reader.read("reduction", reduction);
  if (!reduction.empty() && reduction != "mean" && reduction != "sum") {
    fail(ErrorKind::Usage, "option 'reduction' is '{}', expected mean or sum", reduction);
  }
  if (!reduction.empty()) {
    loss.reduction = reduction == "mean" ? Reduction::Mean : Reduction::Sum;
  }
  reader.read("class_weights", weights);
  if (!weights.empty()) loss.class_weights = parse_numbers("class_weights", weights);
}

// "[OUTPUT=][FACTOR*]NAME", or a file in place of the name.
LossOptions loss_of(const Model& model, const std::string& text, LossOptions loss) {
  auto [output, name] = split_output(model.graph(), text);
  if (!output.empty()) loss.output = output;
  if (const size_t star = name.find('*'); star != std::string::npos) {
    loss.weight = parse<double>("loss", name.substr(0, star));
    name = name.substr(star + 1);
  }
  if (name.ends_with(".onnx")) {
    loss.graph = Model::load(name, model.load_options()).shared_graph();
    loss.output.clear();
  } else {
    loss.name = name;
  }
  return loss;
}

// The first one, and the others.
void read_losses(OptionReader& reader, const Model& model, LossOptions& first,
                 std::vector<LossOptions>& more) {
  read_loss(reader, first);
  const LossOptions common = first;
  const std::vector<std::string> texts = reader.list("loss");
  if (texts.empty()) return;
  for (const std::string& text : texts) more.push_back(loss_of(model, text, common));
  first = std::move(more.front());
  more.erase(more.begin());
}

Products to_products(const std::string& text) {
  if (text == "own") return Products::Own;
  if (text == "openblas") return Products::OpenBlas;
  fail(ErrorKind::Usage, "option 'products' is '{}', expected own or openblas", text);
}

// Those that sessions and trainers have.
template <typename T>
void read_limits(OptionReader& reader, T& options) {
  reader.read("threads", options.threads);
  std::string products = "own";
  reader.read("products", products);
  options.products = to_products(products);
  reader.read("optimize", options.optimize);
  reader.read("max_memory", options.max_memory);
  reader.read("max_loop_iterations", options.max_loop_iterations);
  reader.read("max_tensor_bytes", options.max_tensor_bytes);
  reader.read("timeout", options.timeout_seconds);
}

void read_feed(OptionReader& reader, FeedOptions& feed) {
  feed.targets = reader.list("target");
  reader.read("sample_weights", feed.sample_weights);
  reader.read("batch_size", feed.batch_size);
  reader.read("prebatched", feed.prebatched);
  reader.read("as_trained", feed.as_trained);
  reader.read("data_memory", feed.max_memory);
  feed.standardize = reader.list("standardize");
  feed.streams = reader.list("stream");
  feed.inputs = pairs_of<std::string>(reader, "input");
  feed.batch_axes = pairs_of<int64_t>(reader, "batch_axis");
  feed.scale = pairs_of<double>(reader, "scale");
  for (const auto& [name, shape] : pairs_of<std::string>(reader, "reshape")) {
    for (const std::string& length : split(shape, 'x')) {
      feed.reshape[name].push_back(parse<int64_t>("reshape", length));
      if (feed.reshape[name].back() < 1) {
        fail(ErrorKind::Usage, "option 'reshape' is '{}', which has a length below 1", shape);
      }
    }
  }
}

void read_augment(OptionReader& reader, FitOptions& options) {
  for (const std::string& text : reader.list("augment")) {
    const size_t colon = text.rfind(':');
    const std::string name = colon == std::string::npos ? "" : text.substr(0, colon);
    Augmentation changes;
    for (const std::string& change :
         split(colon == std::string::npos ? text : text.substr(colon + 1), ',')) {
      if (change == "flip") {
        changes.flip = true;
      } else if (change.starts_with("shift=")) {
        changes.shift = parse<int64_t>("augment", change.substr(6));
      } else {
        fail(ErrorKind::Usage, "option 'augment' is '{}', expected shift=N, flip or both", text);
      }
    }
    if (!options.augment.emplace(name, changes).second) {
      fail(ErrorKind::Usage, "option 'augment' is given twice for an input");
    }
  }
}

void read_early_stop(OptionReader& reader, FitOptions& options) {
  std::string monitor;
  int64_t patience = 5;
  double min_delta = 0;
  bool restore = true;
  reader.read("early_stop", monitor);
  reader.read("patience", patience);
  reader.read("min_delta", min_delta);
  reader.read("restore_best", restore);
  if (monitor.empty()) return;
  options.callbacks.push_back(
      std::make_shared<EarlyStopping>(monitor, patience, min_delta, restore));
}

void read_checkpoints(OptionReader& reader, FitOptions& options) {
  std::string directory;
  int64_t keep = 3, every = 0;
  std::optional<int64_t> steps;
  reader.read("checkpoint_dir", directory);
  reader.read("keep", keep);
  reader.read("save_every", every);
  reader.read("save_every_steps", steps);
  if (directory.empty()) return;
  options.callbacks.push_back(std::make_shared<Checkpoints>(directory, every, keep, steps));
}

void read_callbacks(OptionReader& reader, FitOptions& options) {
  std::string best, monitor = "val_loss", log, board;
  int64_t log_every = 0;
  bool histograms = true;
  reader.read("best", best);
  reader.read("monitor", monitor);
  reader.read("log", log);
  reader.read("log_every", log_every);
  reader.read("tensorboard", board);
  reader.read("histograms", histograms);
  if (log_every < 0) fail(ErrorKind::Usage, "option 'log_every' is {}", log_every);
  auto add = [&](auto callback) { options.callbacks.push_back(std::move(callback)); };
  read_early_stop(reader, options);
  if (!best.empty()) add(std::make_shared<SaveBest>(best, monitor));
  if (!log.empty()) add(std::make_shared<LogFile>(log, log_every));
  if (!board.empty()) add(std::make_shared<TensorBoard>(board, histograms));
  // Behind those whose state it stores.
  read_checkpoints(reader, options);
}

}  // namespace

Unshare to_unshare(const std::string& text) {
  if (text == "auto") return Unshare::Auto;
  if (text == "never") return Unshare::Never;
  if (text == "always") return Unshare::Always;
  fail(ErrorKind::Usage, "'unshare' is '{}', expected auto, never or always", text);
}

const std::string* OptionReader::find(const std::string& name) {
  known_.insert(name);
  if (!options_) return nullptr;
  auto [first, last] = options_->values.equal_range(name);
  return first == last ? nullptr : &std::prev(last)->second;
}

bool OptionReader::has(const std::string& name) { return find(name) != nullptr; }

void OptionReader::read(const std::string& name, std::string& value) {
  if (const std::string* text = find(name)) value = *text;
}
void OptionReader::read(const std::string& name, double& value) {
  if (const std::string* text = find(name)) value = parse<double>(name, *text);
}
void OptionReader::read(const std::string& name, int64_t& value) {
  if (const std::string* text = find(name)) value = parse<int64_t>(name, *text);
}
void OptionReader::read(const std::string& name, int& value) {
  if (const std::string* text = find(name)) value = parse<int>(name, *text);
}
void OptionReader::read(const std::string& name, uint64_t& value) {
  if (const std::string* text = find(name)) value = parse<uint64_t>(name, *text);
}
void OptionReader::read(const std::string& name, bool& value) {
  const std::string* text = find(name);
  if (!text) return;
  if (*text != "0" && *text != "1") {
    fail(ErrorKind::Usage, "option '{}' is '{}', expected 0 or 1", name, *text);
  }
  value = *text == "1";
}

std::vector<std::string> OptionReader::list(const std::string& name) {
  std::vector<std::string> values;
  if (!find(name)) return values;
  auto [first, last] = options_->values.equal_range(name);
  for (auto it = first; it != last; ++it) values.push_back(it->second);
  return values;
}

void OptionReader::finish() const {
  if (!options_) return;
  for (const auto& [name, value] : options_->values) {
    if (known_.count(name)) continue;
    fail(ErrorKind::Usage, "there is no option '{}'; there are {}", name,
         name_list({known_.begin(), known_.end()}, known_.size()));
  }
}

void read_options(OptionReader& reader, LoadOptions& options) {
  std::string where = "model_dir";
  reader.read("external_data", where);
  reader.read("external_directory", options.external_directory);
  if (where != "deny" && where != "model_dir" && where != "directory") {
    fail(ErrorKind::Usage, "option 'external_data' is '{}', expected deny, model_dir or directory",
         where);
  }
  options.external_data = where == "deny"        ? LoadOptions::ExternalData::Deny
                          : where == "directory" ? LoadOptions::ExternalData::Directory
                                                 : LoadOptions::ExternalData::ModelDir;
  reader.read("max_memory", options.max_memory);
  reader.read("max_tensor_bytes", options.max_tensor_bytes);
  reader.read("max_nesting", options.max_nesting);
  reader.read("timeout", options.timeout_seconds);
}

void read_options(OptionReader& reader, SweepOptions& options) {
  reader.read("from", options.from);
  reader.read("to", options.to);
  reader.read("sweep_steps", options.steps);
  reader.read("diverged", options.diverged);
}

void read_options(OptionReader& reader, const Model& model, EvaluationOptions& options) {
  read_losses(reader, model, options.loss, options.more_losses);
  read_feed(reader, options.feed);
  if (reader.has("metrics")) options.metrics = reader.list("metrics");
  reader.read("confusion", options.confusion);
  reader.read("double_precision", options.double_precision);
  read_limits(reader, options.session);
}

void read_options(OptionReader& reader, SessionOptions& options) {
  read_limits(reader, options);
  options.outputs = reader.list("outputs");
}

namespace {

// But sample weights, which a fit has as an array.
void read_training(OptionReader& reader, const Model& model, TrainerOptions& options) {
  read_losses(reader, model, options.loss, options.more_losses);
  reader.read("optimizer", options.optimizer);
  for (auto [name, value] : {std::pair("lr", &options.lr),
                             {"momentum", &options.momentum},
                             {"weight_decay", &options.weight_decay},
                             {"beta1", &options.beta1},
                             {"beta2", &options.beta2},
                             {"eps", &options.eps},
                             {"alpha", &options.alpha},
                             {"clip_value", &options.clip_value},
                             {"clip_norm", &options.clip_norm}}) {
    reader.read(name, *value);
  }
  reader.read("ema", options.ema);
  for (const std::string& text : reader.list("lr_multiple")) {
    auto [glob, factor] = parse_pair("lr_multiple", text);
    options.lr_multiples.emplace_back(glob, parse<double>("lr_multiple", factor));
  }
  for (const std::string& text : reader.list("initial")) {
    options.initial.push_back(parse_pair("initial", text));
  }
  if (reader.has("trainable")) options.trainable = reader.list("trainable");
  std::string unshare = "auto";
  reader.read("unshare", unshare);
  options.unshare = to_unshare(unshare);
  reader.read("batch_statistics", options.batch_statistics);
  reader.read("unbiased_variance", options.unbiased_variance);
  reader.read("dropout", options.dropout);
  reader.read("double_precision", options.double_precision);
  reader.read("seed", options.seed);
  read_limits(reader, options);
}

}  // namespace

void read_options(OptionReader& reader, const Model& model, TrainerOptions& options) {
  read_training(reader, model, options);
  reader.read("sample_weights", options.sample_weights);
}

void read_options(OptionReader& reader, const Model& model, FitOptions& options) {
  read_training(reader, model, options.trainer);
  read_feed(reader, options.feed);
  reader.read("epochs", options.epochs);
  reader.read("max_steps", options.max_steps);
  reader.read("shuffle", options.shuffle);
  reader.read("drop_last", options.drop_last);
  reader.read("accumulate", options.accumulate);
  reader.read("schedule", options.schedule);
  reader.read("warmup", options.warmup);
  reader.read("validation_split", options.validation_split);
  reader.read("test_split", options.test_split);
  reader.read("fold", options.fold);
  reader.read("folds", options.folds);
  options.metrics = reader.list("metrics");
  options.validation_streams = reader.list("validation_stream");
  options.test_streams = reader.list("test_stream");
  reader.read("bake", options.bake);
  read_augment(reader, options);
  read_callbacks(reader, options);
}

}  // namespace onnxrun::c

onnxrun_options* onnxrun_options_new() { return new (std::nothrow) onnxrun_options; }

onnxrun_status onnxrun_options_set(onnxrun_options* options, const char* name, const char* value) {
  using namespace onnxrun::c;  // NOLINT: functions of C have no namespace
  return guarded([&] {
    need(options, "the options")
        .values.emplace(need_text(name, "the name of an option"),
                        need_text(value, "the value of an option"));
  });
}

void onnxrun_options_free(onnxrun_options* options) { delete options; }  // NOLINT: a handle of C
