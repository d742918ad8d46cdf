// The training step as one graph: forward, loss, backward, update.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "training/loss.h"
#include "training/optimizer.h"

namespace onnxrun {

// A step is one graph, or two for those who come between gradients and update.
enum class StepPart : uint8_t { Whole, Gradients, Update };

struct TrainingOptions {
  // What is minimised is their sum, each times its weight.
  std::vector<LossOptions> losses = std::vector<LossOptions>(1);
  // Each sample's part of the losses is multiplied by an input "sample_weights".
  bool sample_weights = false;
  OptimizerOptions optimizer;
  // Factors of the learning rate, by names of initializers.
  std::map<std::string, double> lr_multiples = {};
  // Keeps an average of each parameter beside it, NAME::ema = d NAME::ema + (1 - d) NAME after
  // every update, d being this number and 0 after the first (torch.optim.swa_utils.AveragedModel
  // with get_ema_multi_avg_fn, Keras's use_ema).
  std::optional<double> ema = {};
  // What the optimizer gets: gradients cut to [-clip_value, clip_value], then all of them scaled
  // down where their common norm is above clip_norm, by clip_norm / (norm + 1e-6)
  // (torch.nn.utils.clip_grad_norm_).
  std::optional<double> clip_value = {}, clip_norm = {};
  // Initializers to train; all with role Parameter if not given.
  std::optional<std::vector<std::string>> trainable = {};
  // Types of targets and sample weights, by loss_inputs(), where the caller knows them.
  std::map<std::string, Type> target_types = {};
  // BatchNormalization in training mode, its running statistics updated; `unbiased` keeps the
  // variance that PyTorch keeps, n / (n - 1) times the standard's.
  bool batch_statistics = true;
  bool unbiased_variance = false;
  // Dropout at work, with random numbers that depend on the seed and the number of the step.
  bool dropout = true;
  uint64_t seed = 0;
  StepPart part = StepPart::Whole;
};

// One tensor that training moves.
struct TrainingState {
  enum class Kind : uint8_t { Parameter, Slot, Step, Statistic };

  std::string name;  // "fc.weight", "fc.weight::m", "step"
  Kind kind = Kind::Parameter;
  Tensor initial = {};  // undefined where all elements begin as `start`
  double start = 0;
  int stored = -1;  // of parameters and statistics: which tensor of the file
};

// `graph` has the model's inputs, then what the losses read beside them (loss_inputs()), then `lr`,
// then one input for each of `state`, in that order; its outputs are the loss, the model outputs
// that losses read and each loss, unless their sum is all. Its state bindings are in the order of
// `state`, its guards the loss and all that state becomes: gradients that are not finite make it so
// too, but finite ones may.
//
// Of a part, `state` is what that part moves. Gradients: the inputs are the model's, the losses',
// the parameters, then running statistics and the number of the step where random numbers need it;
// the outputs are those above and the gradient of each parameter. Update: the inputs
// are `lr`, parameters, slots and counter, then the gradient of each parameter; there are no
// outputs.
struct TrainingGraph {
  explicit TrainingGraph(Graph g) : graph(std::move(g)) {}

  Graph graph;
  std::vector<TrainingState> state;
  size_t model_inputs = 0;
  size_t parameters =
      0;  // how many; of Gradients the inputs behind the target, else the first states
  std::vector<std::string> loss_inputs;  // their names in the graph, behind the model's
  DType lr_dtype = DType::Float32;
  std::vector<std::string> outputs;           // those that losses read
  size_t first_average = 0;                   // of the parameters, in `state`; 0: there are none
  size_t losses = 0;                          // those that stand beside their sum
  std::vector<std::string> without_gradient;  // parameters that no gradient flows to

  size_t lr_input() const { return model_inputs + loss_inputs.size(); }
  const Type& state_type(size_t k) const { return graph.value(graph.state[k].in).type; }
  // Writes what state number `k` begins as into a tensor of its type.
  void begin(size_t k, Tensor& t) const;
  // The same in a tensor of its own.
  Tensor beginning(size_t k) const;
  // Positions of outputs: loss number `k`, and the first gradient.
  size_t loss_at(size_t k) const { return losses == 0 ? 0 : 1 + outputs.size() + k; }
  size_t gradients_at() const { return 1 + outputs.size() + losses; }
};

// The model output of this name, its first if the name is empty. Throws Usage listing the names
// there are.
ValueId find_output(const Graph& graph, const std::string& name);

// The type of targets of these lengths, -1 for those that vary: a varying length is the output's
// own where the ranks agree, so that nothing has to be broadcast.
Type declared_target_type(const Graph& graph, const LossOptions& loss, const Dims& dims);

// The type of targets of which nothing else is known: the output's, or int64 less the class axis, 1
// unless options say which. Throws Usage if the output has no rank.
Type expected_target_type(const Graph& graph, const LossOptions& loss);

// Builds the step from an imported model. Throws Usage for names that are not there or cannot
// train, Unsupported where a gradient is missing.
TrainingGraph make_training_graph(const Graph& model, const TrainingOptions& options);

// The loss in the model's inference meaning: the graph of a TrainingGraph without learning rate,
// modes, gradients and updates. Its inputs are the model's, the losses', then `state` (names of
// initializers) in that order; its outputs those of a TrainingGraph.
Graph make_evaluation_graph(const Graph& model, const TrainingOptions& options,
                            const std::vector<std::string>& state);

}  // namespace onnxrun
