#include "training/loss_sum.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "graph/inline_graph.h"
#include "passes/widen.h"

namespace onnxrun {

namespace {

const char* const weights_name = "sample_weights";

bool has_initializer(const Graph& graph, const std::string& name) {
  return graph.initializers.count(graph.find(name)) > 0;
}

bool has_input(const Graph& graph, const std::string& name) {
  return std::any_of(graph.inputs.begin(), graph.inputs.end(),
                     [&](ValueId v) { return graph.name_of(v) == name; });
}

ValueId output_called(const Graph& graph, const std::string& name) {
  for (ValueId v : graph.outputs) {
    if (graph.name_of(v) == name) return v;
  }
  return no_value;
}

// A loss graph computes in the model's precision.
Graph loss_graph(const Graph& model, const LossOptions& loss) {
  Graph graph = *loss.graph;
  widen_halves(graph);
  for (ValueId v : graph.inputs) {
    ValueId outer = output_called(model, graph.name_of(v));
    bool wide = outer != no_value && model.value(outer).type.dtype == DType::Float64;
    if (!wide || graph.value(v).type.dtype == DType::Float64) continue;
    widen_to_double(graph);
    break;
  }
  for (auto& [id, init] : graph.initializers) {
    init.role = Role::Constant;
    init.stored = -1;
  }
  if (graph.outputs.empty()) fail(ErrorKind::Usage, "the loss graph has no output");
  return graph;
}

// Collects each name once, with one type.
class Inputs {
 public:
  explicit Inputs(const TrainingOptions& options) : options_(options) {}

  void add(const std::string& name, const Type& type) {
    auto given = options_.target_types.find(name);
    Type declared = given == options_.target_types.end() ? type : given->second;
    for (const LossInput& input : list_) {
      if (input.name != name) continue;
      if (input.type.dtype == declared.dtype) return;
      fail(ErrorKind::Usage, "losses of one output take targets of one type, not '{}' of {} and {}",
           name, to_string(input.type.dtype), to_string(declared.dtype));
    }
    list_.push_back({name, std::move(declared), no_value});
  }
  std::vector<LossInput> take() { return std::move(list_); }

 private:
  const TrainingOptions& options_;
  std::vector<LossInput> list_;
};

void check(const TrainingOptions& options) {
  if (options.losses.empty()) fail(ErrorKind::Usage, "there is no loss");
  for (const LossOptions& loss : options.losses) {
    if (!std::isfinite(loss.weight)) {
      fail(ErrorKind::Usage, "the weight of a loss is {}", loss.weight);
    }
    if (!loss.graph) find_loss(loss.name);
  }
  reduction_of(options.losses);
}

}  // namespace

std::string target_name(const TrainingOptions& options, size_t k) {
  const LossOptions& loss = options.losses[k];
  if (loss.graph || loss.name == "output") return "";
  return options.losses.size() == 1 ? "target" : "target::" + loss.output;
}

std::vector<LossInput> loss_inputs(const Graph& model, const TrainingOptions& options) {
  check(options);
  Inputs inputs(options);
  for (size_t k = 0; k < options.losses.size(); ++k) {
    const LossOptions& loss = options.losses[k];
    if (!loss.graph) {
      const Type& output = model.value(find_output(model, loss.output)).type;
      std::string name = target_name(options, k);
      if (!name.empty()) inputs.add(name, target_type(loss, output));
      continue;
    }
    Graph graph = loss_graph(model, loss);
    for (ValueId v : graph.inputs) {
      const std::string& name = graph.name_of(v);
      bool reads_model = output_called(model, name) != no_value || has_input(model, name) ||
                         has_initializer(model, name);
      if (!reads_model) inputs.add(name, Type::tensor(graph.value(v).type.dtype));
    }
  }
  if (options.sample_weights) {
    DType dtype = model.value(find_output(model, options.losses[0].output)).type.dtype;
    inputs.add(weights_name, Type::tensor(dtype, Shape{Dim::unknown()}));
  }
  return inputs.take();
}

void declare_targets(const Graph& model, TrainingOptions& options,
                     const std::map<std::string, Dims>& lengths) {
  std::map<std::string, Type> types;
  for (const LossInput& input : loss_inputs(model, options)) {
    auto it = lengths.find(input.name);
    if (it == lengths.end()) continue;
    Shape shape;
    for (int64_t d : it->second) shape.push_back(d < 0 ? Dim::unknown() : Dim(d));
    types[input.name] = Type::tensor(input.type.dtype, shape);
    for (size_t k = 0; k < options.losses.size(); ++k) {
      if (target_name(options, k) != input.name) continue;
      types[input.name] = declared_target_type(model, options.losses[k], it->second);
    }
  }
  for (const auto& [name, dims] : lengths) {
    if (types.count(name) == 0) fail(ErrorKind::Usage, "no loss reads '{}'", name);
  }
  options.target_types = std::move(types);
}

std::vector<ValueId> loss_outputs(const Graph& model, const TrainingOptions& options) {
  std::vector<ValueId> outputs;
  auto add = [&](ValueId v) {
    if (std::find(outputs.begin(), outputs.end(), v) == outputs.end()) outputs.push_back(v);
  };
  for (const LossOptions& loss : options.losses) {
    if (!loss.graph) {
      add(find_output(model, loss.output));
      continue;
    }
    size_t before = outputs.size();
    bool reads = false;
    for (ValueId v : loss.graph->inputs) {
      ValueId output = output_called(model, loss.graph->name_of(v));
      reads = reads || output != no_value;
      if (output != no_value) add(output);
    }
    if (!reads && outputs.size() == before) {
      std::string names;
      for (ValueId v : model.outputs)
        names += (names.empty() ? "'" : ", '") + model.name_of(v) + "'";
      fail(ErrorKind::Usage,
           "no input of the loss graph is called like an output of the model; it has {}", names);
    }
  }
  return outputs;
}

Reduction reduction_of(const std::vector<LossOptions>& losses) {
  Reduction first = reduction_of(losses[0]);
  for (const LossOptions& loss : losses) {
    if (reduction_of(loss) == first) continue;
    fail(ErrorKind::Usage,
         "losses that are means and losses that are sums do not go together: give them one "
         "reduction");
  }
  return first;
}

std::vector<LossInput> add_loss_inputs(Graph& graph, const TrainingOptions& options) {
  std::vector<LossInput> inputs = loss_inputs(graph, options);
  for (LossInput& input : inputs) {
    input.value = graph.add_input(graph.unique_name(input.name), input.type);
  }
  return inputs;
}

namespace {

class Emitter {
 public:
  Emitter(GraphBuilder& builder, const TrainingOptions& options,
          const std::vector<LossInput>& inputs)
      : b_(builder), options_(options), inputs_(inputs) {}

  LossNodes run() {
    LossNodes nodes;
    bool several = options_.losses.size() > 1 || options_.losses[0].weight != 1;
    for (size_t k = 0; k < options_.losses.size(); ++k) {
      const LossOptions& loss = options_.losses[k];
      ValueId term = loss.graph ? of_graph(loss) : of_output(k);
      if (several) nodes.terms.push_back(term);
      if (loss.weight != 1) term = b_.add("Mul", {term, b_.scalar_like(loss.weight, term)});
      nodes.total = nodes.total == no_value
                        ? term
                        : b_.add("Add", {nodes.total, b_.cast(term, b_.dtype(nodes.total))});
    }
    return nodes;
  }

 private:
  ValueId find(const std::string& name) const {
    for (const LossInput& input : inputs_) {
      if (input.name == name) return input.value;
    }
    return no_value;
  }

  ValueId of_output(size_t k) {
    const LossOptions& loss = options_.losses[k];
    ValueId weights = options_.sample_weights ? find(weights_name) : no_value;
    return add_loss(b_, loss, find_output(b_.graph(), loss.output), find(target_name(options_, k)),
                    weights);
  }

  ValueId of_graph(const LossOptions& loss) {
    if (options_.sample_weights) {
      fail(ErrorKind::Usage, "a loss graph takes no sample weights but those it has as an input");
    }
    Graph graph = loss_graph(b_.graph(), loss);
    std::vector<ValueId> read;
    for (ValueId v : graph.inputs) {
      const std::string& name = graph.name_of(v);
      ValueId outer = output_called(b_.graph(), name);
      if (outer == no_value) outer = find(name);
      read.push_back(outer == no_value ? b_.graph().find(name) : outer);
    }
    try {
      ValueId result = inline_graph(b_, graph, read)[0];
      return add_loss(b_, {.name = "output"}, result, no_value);
    } catch (const Error& e) {
      throw e.in(ErrorFrame{ErrorFrame::Kind::Place, "the loss graph:"});
    }
  }

  GraphBuilder& b_;
  const TrainingOptions& options_;
  const std::vector<LossInput>& inputs_;
};

}  // namespace

LossNodes add_losses(GraphBuilder& builder, const TrainingOptions& options,
                     const std::vector<LossInput>& inputs) {
  return Emitter(builder, options, inputs).run();
}

}  // namespace onnxrun
