// The training that a model file describes itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "onnxrun/model.h"
#include "onnxrun/named_tensor.h"
#include "onnxrun/session.h"

namespace onnxrun {

struct StoredTrainingOptions {
  // Of all random numbers without a seed in the file; they differ from step to step.
  uint64_t seed = 0;
  // How each step runs; its outputs are all there are, so that none are named here.
  SessionOptions session = {};
};

// ModelProto.training_info (ONNX IR, "Training Related Information"): graphs that give some of the
// file's initializers their first and their next values. Where there are several
// TrainingInfoProtos, a step runs their algorithms one after the other. A model trained without
// such graphs is Fit's and Trainer's business.
//
// Used by one thread at a time, cancel() excepted. Results do not depend on the number of threads.
class StoredTraining {
 public:
  // Throws Usage for a model that is not from a file or describes no training, BadModel for what
  // breaks the standard, and what Session throws.
  explicit StoredTraining(const Model& model, StoredTrainingOptions options = {});
  ~StoredTraining();
  StoredTraining(StoredTraining&&) noexcept;
  StoredTraining& operator=(StoredTraining&&) noexcept;

  // What step() takes, and what it gives: inputs and outputs of model and algorithms.
  std::vector<ValueInfo> inputs() const;
  const std::vector<std::string>& output_names() const;

  // Back to step 0: the state is the file's, then what the initializations make of it.
  void initialize();
  // One iteration; the outputs are those before the update. Throws as Session::run(), and Numeric
  // where a number that the state would become is not finite; the state is then what it was.
  NamedValues step(const NamedValues& inputs);
  int64_t steps() const;

  // The initializers that training changes, by name.
  NamedTensors state() const;
  // Some or all of them. Throws BadInput for a name, type or shape that does not fit.
  void set_state(const NamedTensors& state);
  // Writes the file with the state in it, as Model::save() does.
  void save(const std::string& path, bool in_place = false) const;

  // From any thread: the step in progress, or the next one, throws Cancelled.
  void cancel();

  // A graph with the inputs alone, for tools that build on this library's inner layers.
  const Graph& signature() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace onnxrun
