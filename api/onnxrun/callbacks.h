// Callbacks that most trainings want.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "onnxrun/fit.h"

namespace onnxrun {

// Better is lower for losses and errors, higher for accuracy, topK, f1, precision, recall, auc and
// r2; by name, "val_" apart.
bool is_higher_better(const std::string& metric);

// Follows one number of the epochs. Values that are NaN are never better.
class BestSoFar {
 public:
  explicit BestSoFar(std::string monitor, double min_delta = 0);

  const std::string& monitor() const { return monitor_; }
  // True if the record's value is better than all before by more than min_delta. Throws Usage if
  // it was not measured.
  bool improves(const EpochRecord& record);
  double value() const { return best_; }

  NamedTensors state() const;
  void set_state(const NamedTensors& state);

 private:
  std::string monitor_;
  double min_delta_, best_;
  bool higher_;
};

// Stops when `monitor` has not improved for `patience` epochs in a row, and puts back the weights
// and statistics of the best epoch (not the optimizer's slots).
class EarlyStopping : public Callback {
 public:
  explicit EarlyStopping(std::string monitor = "val_loss", int64_t patience = 5,
                         double min_delta = 0, bool restore_best = true);

  void begin(Fit& fit) override;
  void epoch_end(Fit& fit, const EpochRecord& record) override;
  void end(Fit& fit) override;
  NamedTensors state() const override;
  void set_state(const NamedTensors& state) override;

  // From 1; 0 before the first.
  int64_t best_epoch() const { return best_epoch_; }
  double best_value() const { return best_.value(); }

 private:
  BestSoFar best_;
  int64_t patience_, waited_ = 0, best_epoch_ = 0;
  bool restores_;
  NamedTensors weights_;
};

// Writes the model after every epoch that is the best so far.
class SaveBest : public Callback {
 public:
  explicit SaveBest(std::string path, std::string monitor = "val_loss");

  void epoch_end(Fit& fit, const EpochRecord& record) override;
  NamedTensors state() const override { return best_.state(); }
  void set_state(const NamedTensors& state) override { best_.set_state(state); }

 private:
  std::string path_;
  BestSoFar best_;
};

// Writes Fit::state() into `directory` as step-N.npz: every `every` epochs, at the end, and where
// an exception ends the training. A file appears whole or not at all; the newest `keep` stay.
class Checkpoints : public Callback {
 public:
  explicit Checkpoints(std::string directory, int64_t every = 1, int64_t keep = 3,
                       std::optional<int64_t> every_steps = {});

  void begin(Fit& fit) override;
  void step_end(Fit& fit, const StepRecord& record) override;
  void epoch_end(Fit& fit, const EpochRecord& record) override;
  void end(Fit& fit) override;
  void aborted(Fit& fit) override;

  // The newest checkpoint; "" if there is none.
  static std::string latest(const std::string& directory);
  // Puts `fit` where the newest checkpoint was; false if there is none. Throws BadInput for a file
  // that is damaged or does not fit.
  static bool resume(const std::string& directory, Fit& fit);

 private:
  void write(const Fit& fit);

  std::string directory_;
  int64_t every_, keep_;
  std::optional<int64_t> every_steps_;
  int64_t written_ = -1;  // step of the last one
};

// Writes a row an epoch, or every `every` steps, to a .jsonl or .csv file: epoch, step, loss, lr,
// metrics, seconds. A training that was resumed goes on with the file.
class LogFile : public Callback {
 public:
  explicit LogFile(std::string path, int64_t every = 0);
  ~LogFile() override;

  void begin(Fit& fit) override;
  void step_end(Fit& fit, const StepRecord& record) override;
  void epoch_end(Fit& fit, const EpochRecord& record) override;
  NamedTensors state() const override;
  void set_state(const NamedTensors& state) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Event files for TensorBoard in `directory`: loss, learning rate and metrics (val_NAME under the
// tag NAME of the run "validation"), and histograms of the weights after every epoch.
class TensorBoard : public Callback {
 public:
  explicit TensorBoard(std::string directory, bool histograms = true);
  ~TensorBoard() override;

  void begin(Fit& fit) override;
  void step_end(Fit& fit, const StepRecord& record) override;
  void epoch_end(Fit& fit, const EpochRecord& record) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace onnxrun
