#include "training/training_graph.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "passes/dead_nodes.h"
#include "passes/gradient.h"
#include "training/loss_sum.h"
#include "training/modes.h"

namespace onnxrun {

static std::string quoted_list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

ValueId find_output(const Graph& graph, const std::string& name) {
  if (graph.outputs.empty()) fail(ErrorKind::Usage, "the model has no outputs to train on");
  if (name.empty()) return graph.outputs[0];
  std::vector<std::string> names;
  for (ValueId v : graph.outputs) {
    if (graph.name_of(v) == name) return v;
    names.push_back(graph.name_of(v));
  }
  fail(ErrorKind::Usage, "the model has no output '{}'; it has {}", name, quoted_list(names));
}

Type declared_target_type(const Graph& graph, const LossOptions& loss, const Dims& dims) {
  const Type& output = graph.value(find_output(graph, loss.output)).type;
  Shape shape;
  for (size_t i = 0; i < dims.size(); ++i) {
    bool same_axes = output.shape && output.shape->size() == dims.size();
    Dim varying = same_axes ? (*output.shape)[i] : Dim::unknown();
    shape.push_back(dims[i] < 0 ? varying : Dim(dims[i]));
  }
  return Type::tensor(target_type(loss, output).dtype, shape);
}

Type expected_target_type(const Graph& graph, const LossOptions& options) {
  const Value& output = graph.value(find_output(graph, options.output));
  if (!output.type.shape) {
    fail(ErrorKind::Usage, "the rank of output '{}' is unknown; give the target", output.name);
  }
  if (!find_loss(options.name).class_indices) return output.type;
  LossOptions loss = options;
  if (!loss.class_axis) loss.class_axis = output.type.shape->size() > 1 ? 1 : 0;
  return target_type(loss, output.type);
}

// The losses, the outputs they read, and each loss of several.
static LossNodes add_loss_outputs(Graph& graph, const std::string& prefix,
                                  const TrainingOptions& options,
                                  const std::vector<LossInput>& inputs) {
  std::vector<ValueId> read = loss_outputs(graph, options);
  GraphBuilder builder(graph, prefix);
  LossNodes nodes = add_losses(builder, options, inputs);
  graph.outputs = {nodes.total};
  graph.outputs.insert(graph.outputs.end(), read.begin(), read.end());
  graph.outputs.insert(graph.outputs.end(), nodes.terms.begin(), nodes.terms.end());
  return nodes;
}

namespace {

std::vector<ValueId> trainable_values(const Graph& graph, const TrainingOptions& options) {
  std::vector<ValueId> values;
  if (!options.trainable) {
    for (const auto& [id, init] : graph.initializers) {
      if (init.role == Role::Parameter) values.push_back(id);
    }
    return values;
  }
  for (const std::string& name : *options.trainable) {
    ValueId id = graph.find(name);
    auto it = graph.initializers.find(id);
    if (it == graph.initializers.end()) {
      fail(ErrorKind::Usage, "'{}' is no initializer of the model", name);
    }
    if (!is_differentiable(it->second.value.dtype())) {
      fail(ErrorKind::Usage, "'{}' is {} and cannot train", name, it->second.value.type_text());
    }
    values.push_back(id);
  }
  return values;
}

class Builder {
 public:
  Builder(const Graph& model, const TrainingOptions& options)
      : result_(model), graph_(result_.graph), options_(options), builder_(graph_, "train/") {}

  TrainingGraph run() {
    parameters_ = trainable_values(graph_, options_);
    if (parameters_.empty()) fail(ErrorKind::Usage, "the model has nothing to train");
    result_.parameters = parameters_.size();
    result_.lr_dtype = graph_.value(parameters_[0]).type.dtype;
    if (options_.part == StepPart::Update) {
      build_update();
    } else {
      build_step();
    }
    for (const StateBinding& s : graph_.state) {
      if (is_differentiable(graph_.value(s.out).type.dtype)) graph_.guards.push_back(s.out);
    }
    remove_dead_nodes(graph_);
    verify(graph_);
    return std::move(result_);
  }

 private:
  void check_moving_statistics() const {
    for (const RunningStatistic& s : statistics_) {
      if (std::find(parameters_.begin(), parameters_.end(), s.in) == parameters_.end()) continue;
      fail(ErrorKind::Usage,
           "'{}' is a running statistic that every batch moves; it trains only where batch norms "
           "are frozen",
           graph_.name_of(s.in));
    }
  }

  void build_step() {
    for (ValueId v : loss_outputs(graph_, options_)) result_.outputs.push_back(graph_.name_of(v));
    draws_ =
        graph_.add_value(graph_.unique_name("dropout::step"), Type::tensor(DType::Int64, Shape{}));
    statistics_ = set_training_modes(graph_, {options_.batch_statistics, options_.unbiased_variance,
                                              options_.dropout, options_.seed, draws_});
    check_moving_statistics();
    result_.model_inputs = graph_.inputs.size();
    std::vector<LossInput> inputs = add_loss_inputs(graph_, options_);
    for (const LossInput& i : inputs) result_.loss_inputs.push_back(graph_.name_of(i.value));
    bool whole = options_.part == StepPart::Whole;
    if (whole) add_rate();
    for (ValueId p : parameters_) {
      if (whole) {
        become_state(p, TrainingState::Kind::Parameter);
      } else {
        become_input(p);
      }
    }
    LossNodes losses = add_loss_outputs(graph_, "train/", options_, inputs);
    ValueId loss = losses.total;
    result_.losses = losses.terms.size();
    std::vector<ValueId> gradients = add_gradients(loss);
    if (whole) add_updates(gradients);
    add_statistics();
    count_draws();
    graph_.guards = {loss};
    if (whole) return;
    // A gradient may be the input or constant that it is made of; an output is a value of its own.
    for (ValueId& g : gradients) g = builder_.add("Identity", {g});
    graph_.outputs.insert(graph_.outputs.end(), gradients.begin(), gradients.end());
    graph_.guards.insert(graph_.guards.end(), gradients.begin(), gradients.end());
  }

  void build_update() {
    graph_.inputs.clear();
    graph_.outputs.clear();
    add_rate();
    for (ValueId p : parameters_) become_state(p, TrainingState::Kind::Parameter);
    std::vector<ValueId> gradients;
    for (ValueId p : parameters_) {
      gradients.push_back(graph_.add_value(graph_.name_of(p) + "::gradient", graph_.value(p).type));
    }
    add_updates(gradients);
    graph_.inputs.insert(graph_.inputs.end(), gradients.begin(), gradients.end());
  }

  void add_rate() {
    lr_ = graph_.add_input(graph_.unique_name("lr"), Type::tensor(result_.lr_dtype, Shape{}));
  }

  Initializer become_input(ValueId v) {
    Initializer init = std::move(graph_.initializers.at(v));
    graph_.initializers.erase(v);
    std::erase(graph_.overridable, v);
    graph_.inputs.push_back(v);
    return init;
  }

  // An initializer becomes an input whose memory the session keeps.
  void become_state(ValueId v, TrainingState::Kind kind) {
    Initializer init = become_input(v);
    result_.state.push_back(
        {.name = graph_.name_of(v), .kind = kind, .initial = init.value, .stored = init.stored});
    graph_.state.push_back({v, no_value});
  }

  // State that no initializer holds: slots and the counter.
  ValueId new_state(const std::string& name, TrainingState::Kind kind, Tensor initial) {
    ValueId v = graph_.add_input(name, Type::tensor(initial.dtype(), to_shape(initial.dims())));
    result_.state.push_back({.name = name, .kind = kind, .initial = std::move(initial)});
    graph_.state.push_back({v, no_value});
    return v;
  }

  // As parameter `i` is.
  void new_slot(size_t i, std::string_view slot, double start) {
    const TrainingState& p = result_.state[i];
    std::string name = p.name + "::" + std::string(slot);
    Type type = Type::tensor(p.initial.dtype(), to_shape(p.initial.dims()));
    graph_.state.push_back({graph_.add_input(name, std::move(type)), no_value});
    result_.state.push_back(
        {.name = std::move(name), .kind = TrainingState::Kind::Slot, .start = start});
  }

  // The number of the step is state too, if random numbers depend on it.
  void count_draws() {
    if (graph_.use_counts()[static_cast<size_t>(draws_)] == 0) return;
    graph_.inputs.push_back(draws_);
    result_.state.push_back({.name = graph_.name_of(draws_),
                             .kind = TrainingState::Kind::Step,
                             .initial = Tensor::scalar<int64_t>(0)});
    graph_.state.push_back({draws_, builder_.add("Add", {draws_, builder_.int_scalar(1)})});
  }

  static void check_clip(const std::optional<double>& limit, std::string_view name) {
    if (!limit || (*limit > 0 && std::isfinite(*limit))) return;
    fail(ErrorKind::Usage, "{} is {}, expected a number above 0", name, *limit);
  }

  std::vector<ValueId> clipped(std::vector<ValueId> gradients) {
    check_clip(options_.clip_value, "clip_value");
    check_clip(options_.clip_norm, "clip_norm");
    if (options_.clip_value) {
      for (ValueId& g : gradients) {
        ValueId low = builder_.scalar_like(-*options_.clip_value, g);
        g = builder_.add("Clip", {g, low, builder_.scalar_like(*options_.clip_value, g)});
      }
    }
    if (!options_.clip_norm) return gradients;
    ValueId sum = no_value;
    for (ValueId g : gradients) {
      ValueId squares = builder_.cast(
          builder_.add("ReduceSumSquare", {g}, {{"keepdims", int64_t{0}}}), result_.lr_dtype);
      sum = sum == no_value ? squares : builder_.add("Add", {sum, squares});
    }
    ValueId norm = builder_.add("Sqrt", {sum});
    ValueId above = builder_.add("Add", {norm, builder_.scalar_like(1e-6, norm)});
    ValueId factor = builder_.add("Div", {builder_.scalar_like(*options_.clip_norm, norm), above});
    factor = builder_.add("Min", {factor, builder_.scalar_like(1, norm)});
    for (ValueId& g : gradients) {
      g = builder_.add("Mul", {g, builder_.cast(factor, builder_.dtype(g))});
    }
    return gradients;
  }

  std::vector<ValueId> add_gradients(ValueId loss) {
    ValueId one = builder_.scalar_like(1, loss);
    std::vector<bool> flows;
    std::vector<ValueId> gradients = gradient(graph_, {{loss, one}}, parameters_, &flows);
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (!flows[i]) result_.without_gradient.push_back(graph_.name_of(parameters_[i]));
    }
    return gradients;
  }

  void add_updates(const std::vector<ValueId>& unclipped) {
    const std::vector<ValueId> gradients = clipped(unclipped);
    const OptimizerInfo& info = optimizer_for(options_.optimizer);
    ValueId step = no_value;
    size_t first_slot = graph_.state.size();
    for (size_t i = 0; i < parameters_.size(); ++i) {
      for (std::string_view slot : info.slots) {
        new_slot(i, slot, info.start);
      }
    }
    if (info.counts) {
      step = new_state(graph_.unique_name("step"), TrainingState::Kind::Step,
                       Tensor::scalar<int64_t>(0));
    }
    size_t step_at = graph_.state.size() - 1;
    Optimizer optimizer(builder_, options_.optimizer, lr_, step);
    for (size_t i = 0; i < parameters_.size(); ++i) {
      ParameterStep p{
          .parameter = parameters_[i], .gradient = gradients[i], .slots = {}, .next_slots = {}};
      auto multiple = options_.lr_multiples.find(result_.state[i].name);
      if (multiple != options_.lr_multiples.end()) p.lr_multiple = multiple->second;
      for (size_t k = 0; k < info.slots.size(); ++k) {
        p.slots.push_back(graph_.state[first_slot + i * info.slots.size() + k].in);
      }
      optimizer.update(p);
      graph_.state[i].out = p.next_parameter;
      for (size_t k = 0; k < info.slots.size(); ++k) {
        graph_.state[first_slot + i * info.slots.size() + k].out = p.next_slots[k];
      }
    }
    if (info.counts) graph_.state[step_at].out = optimizer.next_step();
    if (options_.ema) add_averages();
  }

  void add_averages() {
    double decay = *options_.ema;
    if (!(decay >= 0 && decay < 1)) {
      fail(ErrorKind::Usage, "the decay of averages is {}, expected a number from 0 to below 1",
           decay);
    }
    result_.first_average = graph_.state.size();
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const TrainingState& p = result_.state[i];
      new_state(p.name + "::ema", TrainingState::Kind::Slot, p.initial);
    }
    ValueId step = new_state(graph_.unique_name("ema::step"), TrainingState::Kind::Step,
                             Tensor::scalar<int64_t>(0));
    graph_.state.back().out = builder_.add("Add", {step, builder_.int_scalar(1)});
    ValueId first = builder_.add("Equal", {step, builder_.int_scalar(0)});
    ValueId zero = builder_.scalar(0, DType::Float64), one = builder_.scalar(1, DType::Float64);
    ValueId kept = builder_.add("Where", {first, zero, builder_.scalar(decay, DType::Float64)});
    ValueId added = builder_.add("Sub", {one, kept});
    for (size_t i = 0; i < parameters_.size(); ++i) {
      StateBinding& average = graph_.state[result_.first_average + i];
      ValueId next = graph_.state[i].out;
      DType dtype = builder_.dtype(next);
      ValueId old = builder_.add("Mul", {average.in, builder_.cast(kept, dtype)});
      average.out =
          builder_.add("Add", {old, builder_.add("Mul", {next, builder_.cast(added, dtype)})});
    }
  }

  void add_statistics() {
    for (const RunningStatistic& s : statistics_) {
      become_state(s.in, TrainingState::Kind::Statistic);
      graph_.state.back().out = s.out;
    }
  }

  TrainingGraph result_;
  Graph& graph_;
  const TrainingOptions& options_;
  GraphBuilder builder_;
  std::vector<RunningStatistic> statistics_;
  std::vector<ValueId> parameters_;
  ValueId lr_ = no_value, draws_ = no_value;
};

}  // namespace

void TrainingGraph::begin(size_t k, Tensor& t) const {
  if (state[k].initial.defined()) return copy_elements(state[k].initial, t);
  dispatch_float(t.dtype(), [&]<typename T>() {
    std::fill_n(t.data<T>(), t.size(), static_cast<T>(state[k].start));
  });
}

Tensor TrainingGraph::beginning(size_t k) const {
  Tensor t(state_type(k).dtype, to_dims(*state_type(k).shape));
  begin(k, t);
  return t;
}

Graph make_evaluation_graph(const Graph& model, const TrainingOptions& options,
                            const std::vector<std::string>& state) {
  Graph graph = model;
  set_training_modes(graph, {.batch_statistics = false, .dropout = false});
  std::vector<LossInput> inputs = add_loss_inputs(graph, options);
  for (const std::string& name : state) {
    ValueId v = graph.find(name);
    graph.initializers.erase(v);
    std::erase(graph.overridable, v);
    graph.inputs.push_back(v);
  }
  add_loss_outputs(graph, "eval/", options, inputs);
  remove_dead_nodes(graph);
  verify(graph);
  return graph;
}

TrainingGraph make_training_graph(const Graph& model, const TrainingOptions& options) {
  return Builder(model, options).run();
}

}  // namespace onnxrun
