// What a trainer is made of.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bound_plan.h"
#include "limited_run.h"
#include "onnxrun/model_changes.h"
#include "onnxrun/trainer.h"
#include "training/training_graph.h"

namespace onnxrun {

struct Trainer::Impl {
  Impl(const Model& m, const TrainerOptions& o) : Impl(unshare(m, o.unshare), o) {}
  Impl(UnsharedModel m, const TrainerOptions& o);

  LowerOptions lower_options() const {
    return {.optimize = options.optimize, .max_memory = options.max_memory};
  }
  PlanOptions plan_options() const {
    return {.optimize = options.optimize,
            .max_memory = options.max_memory,
            .products = options.products};
  }

  // Parameters and each of their slots lie in one buffer, if they are of one type.
  void allocate_state();
  // The tensors from `first` on, one for each parameter; slots of one parameter lie together.
  void flatten(const std::string& slot, size_t first);
  const FlatTensors& flat_tensors(const std::string& slot) const;

  // The tensors that another graph of this training moves, by their names here.
  std::vector<Tensor> shared_state(const TrainingGraph& part) const;
  // state.size() if there is none.
  size_t state_at(const std::string& name) const;
  // Where parameters and moving statistics stand in `state`.
  std::vector<size_t> weights_at() const;
  bool is_weight(size_t i) const;
  // Where the average of a parameter stands, if there is one; else the weight itself.
  size_t shown_at(size_t i) const;
  // What the file gets for a weight, in the type it has it in.
  Tensor in_file_type(size_t i) const;

  // gradients() and apply(), made when first needed.
  void make_parts();
  // The inference graph reads the very tensors that steps update.
  void make_evaluation();

  RuntimeValue fitted(size_t input, const RuntimeValue& v) const;
  void bind(size_t k, RuntimeValue value);
  void bind_evaluation(size_t k, RuntimeValue value);
  void bind(const NamedValues& values);
  // The values with a target under the name of the only one there is.
  NamedValues with_target(const NamedValues& inputs, const Tensor& target) const;

  LimitedRun limits() { return {control, options.timeout_seconds, options.max_tensor_bytes}; }
  double step();
  double compute_gradients();
  void apply();
  Evaluation evaluate(const NamedValues& values);
  double evaluate();
  void set_lr(double value);
  std::vector<double> losses_of(const BoundPlan& from) const;

  Model model;
  std::vector<UnsharedTensor> unshared;
  TrainerOptions options;
  Graph base;
  TrainingOptions training_choice;
  TrainingGraph training;
  std::vector<Tensor> state;
  std::unique_ptr<BoundPlan> plan;
  std::unique_ptr<BoundPlan> evaluation;  // made when first needed
  std::unique_ptr<BoundPlan> gradient_plan, update_plan;
  const BoundPlan* last = nullptr;          // that computed the output
  std::map<std::string, FlatTensors> flat;  // parameters under "", slots under their names
  FlatTensors gradients;
  bool writes_gradients = false;  // the plan's outputs are bound, as soon as its inputs were
  std::vector<std::optional<RuntimeValue>> bound;
  int64_t bindings = 0, evaluation_bindings = 0;
  Tensor lr;
  double rate = 0;
  RunControl control;
};

// One number, whatever its type.
double scalar_value(const Tensor& t);

}  // namespace onnxrun
