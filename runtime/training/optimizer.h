// Optimizers as graph nodes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/builder.h"

namespace onnxrun {

// Unset fields take the framework's defaults (optimizer_list()).
struct OptimizerOptions {
  std::string name = "sgd";
  std::optional<double> lr = {};
  std::optional<double> momentum = {};
  std::optional<double> weight_decay = {};
  std::optional<double> beta1 = {};
  std::optional<double> beta2 = {};
  std::optional<double> eps = {};
  std::optional<double> alpha = {};
};

class Optimizer;
struct ParameterStep;

// All that is known of an optimizer; those that there are stand in one table.
struct OptimizerInfo {
  // A field of OptimizerOptions, and what it is unless set.
  struct Setting {
    std::string_view name;
    double value;
  };

  std::string_view name;
  std::string_view formula;
  double lr;
  std::vector<std::string_view> slots;        // state per parameter
  std::vector<Setting> settings;              // that it reads, beside lr
  void (Optimizer::*update)(ParameterStep&);  // emits the formula
  bool counts = false;                        // has a step counter
  double start = 0;                           // of the slots
};
const std::vector<OptimizerInfo>& optimizer_list();
// Throws Usage listing the names if there is none of this name.
const OptimizerInfo& find_optimizer(const std::string& name);
// What the options ask for: sgd with a momentum is "momentum", as in torch.optim.SGD, and rmsprop
// with one has a slot for it. Throws Usage for a number out of its range (beta1, beta2 and alpha
// lie in [0, 1), all others are not negative) and for one that this optimizer would ignore.
const OptimizerInfo& optimizer_for(const OptimizerOptions& options);

// One parameter of a step: its value, its gradient and its slots' values, and what they become.
struct ParameterStep {
  ValueId parameter = no_value;
  ValueId gradient = no_value;
  std::vector<ValueId> slots;
  double lr_multiple = 1;
  ValueId next_parameter = no_value;
  std::vector<ValueId> next_slots;
};

// Emits an optimizer's update of any number of parameters. Formulas are PyTorch's to the letter
// (torch.optim documentation), those of keras:NAME are Keras 3's.
class Optimizer {
 public:
  // `lr` is a scalar value; `step` an int64 scalar that counts steps done, needed if info().counts.
  Optimizer(GraphBuilder& builder, const OptimizerOptions& options, ValueId lr, ValueId step);

  const OptimizerInfo& info() const { return info_; }
  // step + 1; no_value if the optimizer does not count.
  ValueId next_step() const { return next_step_; }
  // Sets the `next_` fields.
  void update(ParameterStep& p);

 private:
  friend const std::vector<OptimizerInfo>& optimizer_list();

  // A setting by its name: the one given, else the optimizer's own.
  double setting(std::string_view name) const;
  // Throws Usage if `v` is infinite in the type of `like`.
  ValueId scalar(double v, ValueId like);
  ValueId mul(ValueId x, ValueId y) { return b_.add("Mul", {x, y}); }
  ValueId add(ValueId x, ValueId y) { return b_.add("Add", {x, y}); }
  ValueId sub(ValueId x, ValueId y) { return b_.add("Sub", {x, y}); }
  ValueId div(ValueId x, ValueId y) { return b_.add("Div", {x, y}); }
  ValueId sqrt(ValueId x) { return b_.add("Sqrt", {x}); }

  // decay * old + (1 - decay) * sample
  ValueId average(ValueId old, double decay, ValueId sample);
  // 1 - beta^t as a double scalar.
  ValueId bias_correction(double beta);
  // A double scalar in the parameter's type.
  ValueId in_type_of(ValueId value, ValueId like) { return b_.cast(value, b_.dtype(like)); }
  ValueId decayed(const ParameterStep& p, ValueId gradient);

  // The sum of squares' root.
  ValueId norm(ValueId x);
  // p (1 - lr decay)
  ValueId shrunk(ValueId p, double decay);

  void sgd(ParameterStep& p);
  void keras_momentum(ParameterStep& p);
  void adam(ParameterStep& p);
  void keras_adam(ParameterStep& p);
  void lamb(ParameterStep& p);
  void lion(ParameterStep& p);
  void adadelta(ParameterStep& p);
  void keras_root(ParameterStep& p);
  void rmsprop(ParameterStep& p);
  void adagrad(ParameterStep& p);

  GraphBuilder& b_;
  const OptimizerInfo& info_;
  OptimizerOptions options_;
  ValueId lr_;
  ValueId lr64_ = no_value;
  ValueId next_step_ = no_value;
  ValueId t_ = no_value;  // the step number, from 1, as double
  ValueId correction1_ = no_value, correction2_ = no_value;
};

}  // namespace onnxrun
