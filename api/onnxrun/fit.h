// Training from data to a history: batches, epochs, validation, callbacks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "onnxrun/evaluate.h"
#include "onnxrun/feed.h"
#include "onnxrun/model.h"
#include "onnxrun/named_tensor.h"
#include "onnxrun/preparation.h"
#include "onnxrun/trainer.h"

namespace onnxrun {

class Callback;

// What happens to the pictures of an input while training, anew in every epoch and by the seed:
// samples [height, width], or with 1, 3 or 4 channels in front or at the end.
struct Augmentation {
  // Each picture moves by up to so many pixels up or down and left or right, evenly distributed;
  // what comes in from beyond its edges is 0 (before the data are scaled).
  int64_t shift = 0;
  bool flip = false;  // every other one is mirrored, left and right exchanged
};

struct FitOptions {
  // Losses, optimizer, modes, threads, limits, seed (of the order of the samples, too). A loss
  // without a name is chosen from the output and the values of its target; class axes, lengths of
  // targets and whether there are sample weights are found out.
  TrainerOptions trainer;
  FeedOptions feed;

  int64_t epochs = 1;
  std::optional<int64_t> max_steps;
  bool shuffle = true;     // a new order in every epoch, a function of seed and epoch alone
  bool drop_last = false;  // leave out a last batch that is smaller
  // Batches whose gradients are added up for one step, each weighted by its samples: the step of
  // the large batch.
  int64_t accumulate = 1;
  // "constant", "linear[:END]", "cosine[:END]", "step:EPOCHS[:FACTOR]", "exponential:FACTOR",
  // "plateau[:PATIENCE[:FACTOR]]", "onecycle": torch.optim.lr_scheduler's, a rate a step. END and
  // FACTOR are parts of the learning rate. "sweep:FROM:TO" grows by equal factors.
  std::string schedule = "constant";
  // Steps over which the learning rate grows from 0, before the schedule begins.
  int64_t warmup = 0;

  // For the loss and metrics after every epoch, and after the training: other arrays, or a part
  // that is drawn from the training data by the seed. Of `folds` equal parts, part number `fold`
  // (from 1) validates.
  NamedTensors validation, test;
  // Arrays of these that stay in their files, as FeedOptions::streams.
  std::vector<std::string> validation_streams, test_streams;
  std::optional<double> validation_split, test_split;
  int64_t fold = 0, folds = 0;
  // "accuracy", "top5", "f1", ...: measured while training and on validation and test data.
  std::vector<std::string> metrics;

  // By input; "" is the only one that has pictures. Validation and test data stay what they are.
  std::map<std::string, Augmentation> augment;
  // What is written takes data as they came: nodes behind the inputs scale and standardize them.
  bool bake = false;

  std::vector<std::shared_ptr<Callback>> callbacks;
};

struct StepRecord {
  int64_t epoch = 0;  // from 1
  int64_t step = 0;   // steps done
  double loss = 0;    // before the update
  double lr = 0;
};

struct EpochRecord {
  int64_t epoch = 0;
  int64_t step = 0;
  double loss = 0;  // of all samples, each as the step that it took part in found it
  double lr = 0;
  // Of training in the order of the options, then val_loss and the others of validation.
  std::vector<Measured> metrics = {};
  double seconds = 0;

  // "loss", "val_loss", "val_accuracy", ...; none if it was not measured.
  std::optional<double> value(const std::string& name) const;
};

struct FitSummary : TaskSummary {
  int64_t total_steps = 0;
};

// One training of one model. Used by one thread at a time, cancel() excepted. Equal options give
// equal weights, on any number of threads.
class Fit {
 public:
  enum class Part : uint8_t { Training, Validation, Test };

  // Chooses what is to be chosen and splits the data; `data` are copied where they have to be
  // converted, else shared. Throws Usage, BadInput and what Trainer throws.
  Fit(const Model& model, const NamedTensors& data, FitOptions options);
  ~Fit();
  Fit(Fit&&) noexcept;
  Fit& operator=(Fit&&) noexcept;

  const FitSummary& summary() const;
  const FitOptions& options() const;
  Trainer& trainer();
  const Trainer& trainer() const;
  const Model& model() const;  // as it was given

  // Trains to the end of the epochs, or until a callback stops it. Goes on where it was after
  // set_state(). Throws Numeric where the loss, a gradient or a weight is not finite (the weights
  // are those of the last good step), Cancelled, and what callbacks throw.
  void run();
  // From a callback: no further step is made; the epoch ends as usual.
  void stop();
  // From any thread: run() or evaluate() throws Cancelled, the weights of the last step stay.
  void cancel();

  // Loss and metrics of the current weights in the model's inference meaning. Throws Usage for a
  // part that there is not.
  Evaluation evaluate(Part part);
  bool has(Part part) const;

  int64_t steps() const;
  double last_loss() const;  // of the last step
  const std::vector<EpochRecord>& history() const;
  double seconds() const;  // that the training has taken
  // How long steps have waited for the data of FeedOptions::streams, in seconds.
  double waited() const;

  // All that makes the next step equal, as arrays: the trainer's state (Trainer::state()), epoch,
  // batch and schedule, what has been measured of the epoch, the history, and the callbacks' own.
  NamedTensors state() const;
  // Throws BadInput for a state of another model, data of other length or other options.
  void set_state(const NamedTensors& state);

  // The first number of the training data that is NaN or infinite, as a message names it; "" if
  // there is none.
  std::string first_not_finite() const;
  // Writes the model with the current weights and, in its metadata or with FitOptions::bake in its
  // graph, how the data were prepared. Throws as Model::save(), and Unsupported for an input that
  // is no tensor of floats.
  void save(const std::string& path, bool in_place = false) const;
  // How the data were prepared: what `save` writes.
  Preparation preparation() const;

  // What FeedOptions::standardize found: NAME.mean and NAME.deviation of each input, in the shape
  // of its samples.
  NamedTensors standardization() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Sees a training from inside. Its methods are called in the thread of Fit::run(), callbacks in
// their order; what they throw ends the training.
class Callback {
 public:
  virtual ~Callback() = default;

  virtual void begin(Fit&) {}
  // After every update.
  virtual void step_end(Fit&, const StepRecord&) {}
  // After the validation.
  virtual void epoch_end(Fit&, const EpochRecord&) {}
  // In reverse order: what one puts back (early stopping its best weights) those behind it have
  // not seen.
  virtual void end(Fit&) {}
  // In place of end(), where an exception ends the training; what this throws is lost.
  virtual void aborted(Fit&) {}

  // What has to survive an interruption, for checkpoints.
  virtual NamedTensors state() const { return {}; }
  // Throws BadInput if it does not fit.
  virtual void set_state(const NamedTensors&) {}
};

// Trains `model`; the result has weights and history.
Fit fit(const Model& model, const NamedTensors& data, FitOptions options = {});

}  // namespace onnxrun
