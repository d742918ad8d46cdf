#include <limits>

#include "base/error.h"
#include "base/name_list.h"
#include "onnxrun/callbacks.h"

namespace onnxrun {

bool is_higher_better(const std::string& metric) {
  std::string name = metric.starts_with("val_") ? metric.substr(4) : metric;
  return name == "accuracy" || name.starts_with("top") || name == "f1" || name == "precision" ||
         name == "recall" || name == "auc" || name == "r2";
}

BestSoFar::BestSoFar(std::string monitor, double min_delta)
    : monitor_(std::move(monitor)),
      min_delta_(min_delta),
      best_(std::numeric_limits<double>::infinity()),
      higher_(is_higher_better(monitor_)) {
  if (higher_) best_ = -best_;
}

bool BestSoFar::improves(const EpochRecord& record) {
  std::optional<double> value = record.value(monitor_);
  if (!value) {
    std::vector<std::string> names = {"loss"};
    for (const auto& [name, number] : record.metrics) names.push_back(name);
    fail(ErrorKind::Usage, "'{}' is not measured in this training; there are {}", monitor_,
         name_list(names));
  }
  bool better = higher_ ? *value > best_ + min_delta_ : *value < best_ - min_delta_;
  if (better) best_ = *value;
  return better;
}

NamedTensors BestSoFar::state() const { return {{"best", Tensor::scalar(best_)}}; }

static double number_in(const NamedTensors& state, const std::string& name) {
  for (const NamedTensor& a : state) {
    if (a.name == name && a.tensor.dtype() == DType::Float64 && a.tensor.size() == 1) {
      return *a.tensor.data<double>();
    }
  }
  fail(ErrorKind::BadInput, "a callback's state has no number '{}'", name);
}

void BestSoFar::set_state(const NamedTensors& state) { best_ = number_in(state, "best"); }

EarlyStopping::EarlyStopping(std::string monitor, int64_t patience, double min_delta,
                             bool restore_best)
    : best_(std::move(monitor), min_delta), patience_(patience), restores_(restore_best) {}

void EarlyStopping::begin(Fit&) {
  if (patience_ < 1) fail(ErrorKind::Usage, "a patience of {} epochs is too short", patience_);
}

void EarlyStopping::epoch_end(Fit& fit, const EpochRecord& record) {
  if (best_.improves(record)) {
    waited_ = 0;
    best_epoch_ = record.epoch;
    if (!restores_) return;
    weights_.clear();
    for (const auto& [name, value] : fit.trainer().weights()) {
      weights_.push_back({name, value.clone()});
    }
    return;
  }
  if (++waited_ >= patience_) fit.stop();
}

void EarlyStopping::end(Fit& fit) {
  if (weights_.empty()) return;
  fit.trainer().set_weights(weights_);
}

NamedTensors EarlyStopping::state() const {
  NamedTensors state = best_.state();
  state.push_back({"waited", Tensor::scalar(static_cast<double>(waited_))});
  state.push_back({"best_epoch", Tensor::scalar(static_cast<double>(best_epoch_))});
  for (const NamedTensor& w : weights_) state.push_back({"weights/" + w.name, w.tensor});
  return state;
}

void EarlyStopping::set_state(const NamedTensors& state) {
  best_.set_state(state);
  double waited = number_in(state, "waited"), epoch = number_in(state, "best_epoch");
  if (!(waited >= 0 && waited < 9e15 && epoch >= 0 && epoch < 9e15)) {
    fail(ErrorKind::BadInput, "a callback's state waited {} epochs since epoch {}", waited, epoch);
  }
  waited_ = static_cast<int64_t>(waited);
  best_epoch_ = static_cast<int64_t>(epoch);
  weights_.clear();
  for (const NamedTensor& a : state) {
    if (a.name.starts_with("weights/")) weights_.push_back({a.name.substr(8), a.tensor.clone()});
  }
}

SaveBest::SaveBest(std::string path, std::string monitor)
    : path_(std::move(path)), best_(std::move(monitor)) {}

void SaveBest::epoch_end(Fit& fit, const EpochRecord& record) {
  if (best_.improves(record)) fit.save(path_);
}

}  // namespace onnxrun
