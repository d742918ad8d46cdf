// Training a model.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "onnxrun/flat_tensors.h"
#include "onnxrun/loss_options.h"
#include "onnxrun/model.h"
#include "onnxrun/named_tensor.h"
#include "onnxrun/session.h"
#include "onnxrun/unshare.h"

namespace onnxrun {

struct TrainerOptions {
  // What is minimised. Without a name the loss is mse (in Fit, chosen by output and target).
  LossOptions loss;
  // Further losses: the sum of all is minimised, each times its weight.
  std::vector<LossOptions> more_losses;
  // Each sample's part of the losses is multiplied by a number, fed under the name
  // "sample_weights".
  bool sample_weights = false;
  // Shapes of the targets to come (and of sample weights), by target_names(), -1 for lengths that
  // vary; a target's tells the class axis where several fit.
  std::map<std::string, Dims> target_dims;
  // `onnxrun train --help` lists the names; defaults are those of the frameworks.
  std::string optimizer = "sgd";
  std::optional<double> lr, momentum, weight_decay, beta1, beta2, eps, alpha;
  // Factors of the learning rate for the parameters that a name or a glob ("encoder.*") stands for;
  // of several the last one counts.
  std::vector<std::pair<std::string, double>> lr_multiples;
  // Parameters that a name or a glob stands for start from values drawn by the seed, each tensor
  // for itself: "xavier" (uniform up to sqrt(6 / (fan_in + fan_out)),
  // torch.nn.init.xavier_uniform_), "he" (normal with deviation sqrt(2 / fan_in),
  // torch.nn.init.kaiming_normal_), "uniform:A:B", "normal:MEAN:DEVIATION", "zeros".
  std::vector<std::pair<std::string, std::string>> initial;
  // The decay of a moving average of the parameters, from 0 to below 1 (PyTorch's AveragedModel
  // with get_ema_multi_avg_fn, Keras's use_ema). Steps go on from the parameters themselves;
  // weights(), evaluate() and what is saved have the averages.
  std::optional<double> ema;
  // Gradients are cut to [-clip_value, clip_value], then scaled down where their common norm is
  // above clip_norm.
  std::optional<double> clip_value, clip_norm;
  // Names of initializers to train; by default those the model says are parameters.
  std::optional<std::vector<std::string>> trainable;
  // What a stored tensor trains that stands for several of the net that was exported. What is split
  // has names of its own, which `trainable` and others may give.
  Unshare unshare = Unshare::Auto;
  // BatchNormalization normalises by the batch and moves the running statistics.
  bool batch_statistics = true;
  // Their variance is n / (n - 1) times the batch's, as PyTorch keeps it; default by producer.
  std::optional<bool> unbiased_variance;
  bool dropout = true;
  uint64_t seed = 0;  // of Dropout's random numbers; equal seeds train alike
  // Compute in double and write the file's own types back. Without it, models in float16 and
  // bfloat16 compute in float: their weights are kept so while they train, and rounded where they
  // are written.
  bool double_precision = false;
  bool optimize = true;  // as SessionOptions::optimize
  // As in SessionOptions; the time is that of a step. A step that has begun to move weights ends.
  int threads = 1;
  Products products = Products::Own;
  int64_t max_memory = default_max_memory();
  int64_t max_tensor_bytes = INT64_MAX;
  int64_t max_loop_iterations = 20'000'000;
  std::optional<double> timeout_seconds = {};
};

// Owns the weights it trains; the model stays as it was. Used by one thread at a time, cancel()
// excepted.
class Trainer {
 public:
  // Throws Usage for options that contradict the model, Unsupported where an operator on the way
  // from a parameter to the loss has no gradient.
  explicit Trainer(const Model& model, TrainerOptions options = {});
  ~Trainer();
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;

  // One step on a batch: forward, loss, backward, update. Returns the loss before the update.
  // Throws Numeric, with all weights as they were, if the loss or a gradient is not finite. Inputs
  // and target are converted to the element types they need.
  double step(const NamedValues& inputs, const Tensor& target);
  // With targets and sample weights among the values, by target_names().
  double step(const NamedValues& values);
  // What the losses read beside the model: "target"; of several losses "target::OUTPUT" for each
  // output; the inputs of a loss graph that the model does not have; "sample_weights".
  std::vector<std::string> target_names() const;

  // The same without copies: tensors bound here are read in every step until bound anew. The target
  // is left out for loss "output". Bound inputs have the element types of the model (float for
  // float16 and bfloat16), or double if double_precision.
  void bind_input(const std::string& name, Tensor tensor);  // or a target, by target_names()
  void bind_target(Tensor target);
  double step();
  // How often something was bound for steps, also by those that are given values: who finds the
  // number unchanged finds what it bound.
  int64_t bindings() const;

  // The output that the loss reads (number `k` of output_names()), as the last step, gradients() or
  // evaluate() computed it; valid until the next. Throws Usage if there was none since inputs of
  // other shapes were bound.
  const Tensor& output(size_t k = 0) const;
  std::vector<std::string> output_names() const;
  // Each loss of the last step without its weight, in the order of the options.
  std::vector<double> losses() const;

  // The loss of the current weights on a batch in the model's inference meaning: running
  // statistics, no dropout, no update. Inputs and target are converted as in step().
  struct Evaluation {
    double loss = 0;
    std::vector<Tensor> outputs;  // by output_names()
    std::vector<double> losses;   // as losses()
  };
  Evaluation evaluate(const NamedValues& inputs, const Tensor& target);
  Evaluation evaluate(const NamedValues& values);
  // The same without copies: what is bound here is read in every evaluation until bound anew.
  // output() and losses() are the evaluation's then.
  void bind_evaluation_input(const std::string& name, Tensor tensor);  // or a target
  double evaluate();
  int64_t evaluation_bindings() const;  // as bindings()
  // Bytes that evaluate() works in with what is bound, without those of values whose shapes are
  // known only while it runs.
  int64_t evaluation_bytes();

  // The two halves of a step, for those who come between: own optimizers, gradients that are
  // averaged over machines, clipped or added up. gradients() computes loss and gradients of a batch
  // without an update (running statistics move, random numbers go on); apply() updates by what then
  // stands in the gradients' buffer. Both after another are step(), to the bit.
  double gradients(const NamedValues& inputs, const Tensor& target);
  double gradients(const NamedValues& values);
  double gradients();  // of the bound batch
  void apply();

  // Views of what steps read and write: parts are named as trained() names them, in that order, and
  // values written here are those of the next step. They live as long as the trainer. Throw
  // Unsupported where the parameters are of several element types, Usage for a slot that the
  // optimizer does not have ("momentum", "m", "v").
  FlatTensors parameters() const;
  FlatTensors gradient_buffer() const;
  FlatTensors slots(const std::string& slot) const;

  // Copies of all that makes the next step equal: weights, the optimizer's slots and counters,
  // running statistics, the number that random operators go by. The learning rate is not in it.
  NamedTensors state() const;
  // Throws BadInput naming what is missing, there too much, or of another type or shape; all is as
  // it was then.
  void set_state(const NamedTensors& state);

  // Ends the step or evaluation in progress, or the next one if there is none, from any thread; it
  // throws Cancelled and the weights stay as they were before it.
  void cancel();

  // Called after every node of the steps to come, as Session::observe() does.
  void observe(std::function<void(const Session::NodeRecord&)> observer);

  // For the steps to come. Throws Usage if it is not finite in the type of the weights.
  void set_learning_rate(double lr);
  double learning_rate() const;

  // What save() writes with other weights: the model given, or what TrainerOptions::unshare made of
  // it.
  const Model& model() const;
  // Tensors that TrainerOptions::unshare added to the model.
  std::vector<UnsharedTensor> unshared() const;
  // Names of what is trained.
  std::vector<std::string> trained() const;
  // Those of them that the loss does not depend on, or only through what has no gradient (rounding,
  // comparisons, indices): no step moves them but by weight decay.
  std::vector<std::string> without_gradient() const;
  // Current weights (with TrainerOptions::ema their averages) and moving statistics by name, in the
  // model's own element types; shared with the trainer's memory unless converted, so copy what
  // should stay. Throws Numeric for a weight that has become too large for its type.
  std::map<std::string, Tensor> weights() const;
  // Puts weights and moving statistics, as weights() names and types them, in place of the current
  // ones and of their averages. Throws BadInput for a name that is none of them, another type or
  // shape.
  void set_weights(const NamedTensors& weights);
  // Writes the model with the trained weights (Model::save, whose errors it throws).
  void save(const std::string& path, bool in_place = false) const;

  // Writes the training step (forward, loss, backward, update) as a model of standard operators
  // that any ONNX runtime runs. Inputs: the model's, `target`, the learning rate `lr`, then all
  // that a step moves: each parameter by its initializer's name, each slot of the optimizer as
  // NAME::slot, `step` (int64) if the optimizer counts, running statistics. Outputs: `loss`, then
  // NAME::next for each of what moves, in the same order; fed back as NAME they make the next step.
  // What these and `lr` are now goes to `path` with .init.npz in place of .onnx. Each file is
  // written atomically. Throws CannotWrite, Unsupported where an operator has no form in standard
  // ONNX.
  void export_step(const std::string& path) const;
  // Where export_step(path) writes the values: "dir/step.init.npz" for "dir/step.onnx".
  static std::string initial_values_path(std::string path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace onnxrun
