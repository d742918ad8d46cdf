#include "c/options.h"

#include <charconv>
#include <cmath>

#include "base/name_list.h"
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

void read_loss(OptionReader& reader, LossOptions& loss) {
  reader.read("loss", loss.name);
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

void read_unshare(OptionReader& reader, Unshare& unshare) {
  std::string text = "auto";
  reader.read("unshare", text);
  if (text == "auto") return;
  if (text != "never" && text != "always") {
    fail(ErrorKind::Usage, "option 'unshare' is '{}', expected auto, never or always", text);
  }
  unshare = text == "never" ? Unshare::Never : Unshare::Always;
}

void read_feed(OptionReader& reader, FeedOptions& feed) {
  feed.targets = reader.list("target");
  reader.read("batch_size", feed.batch_size);
  reader.read("prebatched", feed.prebatched);
  feed.standardize = reader.list("standardize");
  for (const std::string& text : reader.list("input")) {
    feed.inputs.insert(parse_pair("input", text));
  }
  for (const std::string& text : reader.list("batch_axis")) {
    auto [name, axis] = parse_pair("batch_axis", text);
    feed.batch_axes[name] = parse<int64_t>("batch_axis", axis);
  }
}

void read_callbacks(OptionReader& reader, FitOptions& options) {
  std::string early_stop, best, monitor = "val_loss", checkpoints, log, board;
  int64_t patience = 5, keep = 3;
  double min_delta = 0;
  reader.read("early_stop", early_stop);
  reader.read("patience", patience);
  reader.read("min_delta", min_delta);
  reader.read("best", best);
  reader.read("monitor", monitor);
  reader.read("checkpoint_dir", checkpoints);
  reader.read("keep", keep);
  reader.read("log", log);
  reader.read("tensorboard", board);
  auto add = [&](auto callback) { options.callbacks.push_back(std::move(callback)); };
  if (!early_stop.empty()) add(std::make_shared<EarlyStopping>(early_stop, patience, min_delta));
  if (!best.empty()) add(std::make_shared<SaveBest>(best, monitor));
  if (!log.empty()) add(std::make_shared<LogFile>(log));
  if (!board.empty()) add(std::make_shared<TensorBoard>(board));
  if (!checkpoints.empty()) add(std::make_shared<Checkpoints>(checkpoints, 0, keep));
}

}  // namespace

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

void read_options(OptionReader& reader, SessionOptions& options) {
  reader.read("threads", options.threads);
  reader.read("optimize", options.optimize);
  reader.read("max_memory", options.max_memory);
  reader.read("max_loop_iterations", options.max_loop_iterations);
  reader.read("max_tensor_bytes", options.max_tensor_bytes);
  reader.read("timeout", options.timeout_seconds);
  options.outputs = reader.list("outputs");
}

void read_options(OptionReader& reader, TrainerOptions& options) {
  read_loss(reader, options.loss);
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
  if (reader.has("trainable")) options.trainable = reader.list("trainable");
  read_unshare(reader, options.unshare);
  reader.read("batch_statistics", options.batch_statistics);
  reader.read("dropout", options.dropout);
  reader.read("double_precision", options.double_precision);
  reader.read("seed", options.seed);
  reader.read("threads", options.threads);
  reader.read("optimize", options.optimize);
  reader.read("max_memory", options.max_memory);
  reader.read("max_loop_iterations", options.max_loop_iterations);
  reader.read("max_tensor_bytes", options.max_tensor_bytes);
  reader.read("timeout", options.timeout_seconds);
}

void read_options(OptionReader& reader, FitOptions& options) {
  read_options(reader, options.trainer);
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
