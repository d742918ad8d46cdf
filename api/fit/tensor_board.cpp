#include "fit/event_file.h"
#include "fit/graph_def.h"
#include "onnxrun/callbacks.h"
#include "onnxrun/fit.h"
#include "tensor/tensor.h"

namespace onnxrun {

struct TensorBoard::Impl {
  std::string directory;
  bool histograms;
  std::unique_ptr<EventFile> training, validation;
};

TensorBoard::TensorBoard(std::string directory, bool histograms)
    : impl_(new Impl{std::move(directory), histograms, nullptr, nullptr}) {}
TensorBoard::~TensorBoard() = default;

void TensorBoard::begin(Fit& fit) {
  impl_->training = std::make_unique<EventFile>(impl_->directory);
  impl_->training->graph(graph_def(fit.model().graph()));
  if (!fit.has(Fit::Part::Validation)) return;
  impl_->validation = std::make_unique<EventFile>(impl_->directory + "/validation");
}

void TensorBoard::step_end(Fit& fit, const StepRecord& record) {
  // One point an epoch is a curve only where there are several.
  if (fit.options().epochs > 1) return;
  impl_->training->scalar("loss", record.step, record.loss);
  impl_->training->scalar("lr", record.step, record.lr);
}

void TensorBoard::epoch_end(Fit& fit, const EpochRecord& record) {
  const bool by_epoch = fit.options().epochs > 1;
  if (by_epoch) {
    impl_->training->scalar("loss", record.epoch, record.loss);
    impl_->training->scalar("lr", record.epoch, record.lr);
  }
  const int64_t at = by_epoch ? record.epoch : record.step;
  for (const auto& [name, value] : record.metrics) {
    const bool validates = name.starts_with("val_");
    EventFile& file = validates ? *impl_->validation : *impl_->training;
    file.scalar(validates ? name.substr(4) : name, at, value);
  }
  if (!impl_->histograms) return;
  for (const auto& [name, value] : fit.trainer().weights()) {
    impl_->training->histogram(name, at, to_doubles(value));
  }
}

}  // namespace onnxrun
