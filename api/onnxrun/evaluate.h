// How good a model is on a data set.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "onnxrun/feed.h"
#include "onnxrun/loss_options.h"
#include "onnxrun/model.h"
#include "onnxrun/named_tensor.h"
#include "onnxrun/session.h"

namespace onnxrun {

// A metric's name and value. Of several losses there is OUTPUT_loss for each, and OUTPUT_NAME for
// each metric; those of validation data are called val_NAME.
using Measured = std::pair<std::string, double>;

struct Evaluation {
  double loss = 0;
  std::vector<Measured> metrics = {};
  // Where asked for: int64[classes,classes], how many samples of each class (rows) were taken for
  // which (columns), of the first output that has classes.
  Tensor confusion = {};
};

struct EvaluationOptions {
  // Names that are empty are chosen by output and target.
  LossOptions loss;
  std::vector<LossOptions> more_losses;
  FeedOptions feed;
  // By default accuracy, where the target holds classes.
  std::optional<std::vector<std::string>> metrics;
  bool confusion = false;
  bool double_precision = false;
  SessionOptions session;
};

// What an evaluation or a training found out or was told, for people.
struct TaskSummary {
  std::string loss, output;             // of several losses, with commas
  bool is_loss_chosen = false;          // by output and target
  std::vector<std::string> notes = {};  // what was done to the data unasked
  std::vector<std::string> warnings = {};
  int64_t samples = 0;  // of the training part; batches if they are prebatched
  int64_t batch_size = 0;
  std::vector<std::string> metrics = {};  // as Evaluation and EpochRecord name them
  std::vector<std::string> classes = {};  // of the first output, where the target names them
};

// An evaluation of one model on one data set, in the model's inference meaning: running statistics,
// no dropout. Losses and metrics are those of all samples, however they are cut into batches. Used
// by one thread at a time, cancel() excepted.
class Evaluator {
 public:
  // Throws Usage, BadInput, and what Session throws.
  Evaluator(const Model& model, const NamedTensors& data, EvaluationOptions options = {});
  ~Evaluator();
  Evaluator(Evaluator&&) noexcept;
  Evaluator& operator=(Evaluator&&) noexcept;

  const TaskSummary& summary() const;
  // Throws Cancelled after cancel().
  Evaluation run();
  void cancel();  // from any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Evaluation evaluate(const Model& model, const NamedTensors& data, EvaluationOptions options = {});

}  // namespace onnxrun
