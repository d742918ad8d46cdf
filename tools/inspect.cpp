#include <algorithm>
#include <map>

#include "base/atomic_file.h"
#include "base/error.h"
#include "command.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "fit/loss_choice.h"
#include "formats/json.h"
#include "formats/print.h"
#include "graph_summary.h"
#include "graph_view.h"
#include "inputs.h"
#include "interrupt.h"
#include "kernels/openblas.h"
#include "messages.h"
#include "model_loading.h"
#include "node_cost.h"
#include "passes/lower.h"
#include "plan/plan.h"
#include "training/training_graph.h"
#include "training_options.h"

namespace onnxrun::tool {

namespace {

class Inspect final : public Command {
 public:
  Inspect() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", path_, model_help).type_name("FILE").required();
    options.add_switch("--nodes", nodes_, "all nodes");
    options.add_switch("--params", params_, "all initializers: which of them train, and why");
    options.add_switch("--shapes", shapes_, "the types of all values");
    options.add_switch("--weights", weights_, "statistics of all initializers");
    options.add_switch("--summary", summary_,
                       "a table of the nodes: output shape, parameters, operations; totals");
    options.add_switch("--cost", cost_,
                       "the nodes by operations (a multiply-add is two), bytes read and written, "
                       "and bytes of outputs; the costliest first");
    options.add("--node", node_, "one node in full, by its name or that of an output")
        .type_name("NAME");
    options
        .add("--stage", stage_,
             "the graph as parsed, portable (folded), gradient (the training step), machine "
             "(as it runs), or the plan")
        .type_name("parsed|portable|gradient|machine|plan")
        .check(one_of({"parsed", "portable", "gradient", "machine", "plan"}));
    options.add("--stop-after", stop_after_, "of --stage machine: the last pass to run")
        .type_name("PASS");
    options.add("--loss", loss_, "of --stage gradient").type_name("[OUTPUT=]NAME");
    options.add("--optimizer", optimizer_, "of --stage gradient (default: sgd)").type_name("NAME");
    options.add("--dot", dot_, "write the graph for Graphviz").type_name("FILE");
    options.add_repeated("--dim", shape_options_.dims, "length of a symbolic dimension: batch=8")
        .type_name("NAME=N");
    options.add_repeated("--shape", shape_options_.shapes, "shape of an input: x=1x3x224x224")
        .type_name("NAME=SHAPE");
  }

  int execute() override {
    bool of_gradient = !loss_.empty() || !optimizer_.empty();
    if (!stop_after_.empty() && stage_ != "machine") {
      fail(ErrorKind::Usage, "--stop-after belongs to --stage machine");
    }
    if (of_gradient && stage_ != "gradient") {
      fail(ErrorKind::Usage, "--loss and --optimizer belong to --stage gradient");
    }
    Model model = load_model(path_, common_);
    FilesInUse files;
    files.read(model);
    files.write("--dot", dot_);
    Graph graph = model.graph();
    bind_shapes(graph);
    if (!dot_.empty()) {
      UninterruptedScope hold;
      write_file(dot_, to_dot(graph));
    }
    if (!stage_.empty()) {
      print_stage(graph);
    } else if (!node_.empty()) {
      print_node(graph);
    } else if (common_.json) {
      print(document(model, graph).text());
    } else {
      print_summary(model, graph);
      print_sections(model, graph);
    }
    return exit_ok;
  }

 private:
  void bind_shapes(Graph& graph) const {
    ShapeBindings bindings = parse_bindings(graph, shape_options_);
    if (bindings.dims.empty() && bindings.shapes.empty()) return;
    for (ValueId v : graph.inputs) graph.value(v).type = bindings.apply(graph, v);
    infer(graph);
  }

  static std::vector<Type> input_types(const Graph& graph) {
    std::vector<Type> types;
    for (ValueId v : graph.inputs) types.push_back(graph.value(v).type);
    return types;
  }

  void print_stage(Graph& graph) const {
    std::string text;
    if (stage_ == "parsed") {
      text = onnxrun::print(graph);
    } else if (stage_ == "portable") {
      run_passes(graph, portable_passes());
      text = onnxrun::print(graph);
    } else if (stage_ == "gradient") {
      TrainingOptions options;
      LossChoice asked;
      if (!loss_.empty()) asked.losses = {loss_};
      LossOptions loss = loss_options(graph, asked, common_)[0];
      loss = choose_loss(graph, loss, Tensor(DType::Float32, {})).loss;
      options.losses = {loss};
      const Type& output = graph.value(find_output(graph, loss.output)).type;
      if (!find_loss(loss.name).class_indices) options.target_types["target"] = output;
      if (!optimizer_.empty()) options.optimizer.name = optimizer_;
      info("loss: {} of output '{}', optimizer: {}", loss.name, loss.output,
           options.optimizer.name);
      text = onnxrun::print(make_training_graph(graph, options).graph);
    } else {
      LowerOptions lowering{.optimize = common_.optimize > 0, .max_memory = common_.max_memory};
      lowering.passes.stop_after = stop_after_;
      std::shared_ptr<const MachineGraph> machine = lower(graph, lowering);
      debug("{}{} bytes of tensors made", to_string(machine->records()), machine->added_bytes());
      text = stage_ == "machine" ? onnxrun::print(machine->graph()) : plan_text(machine->graph());
    }
    if (common_.json) {
      text = Json{{"schema", "onnxrun.inspect/1"}, {"stage", stage_}, {"text", text}}.text();
    }
    print(text);
  }

  PlanOptions plan_options() const {
    require_products(common_.products);
    return {.optimize = common_.optimize > 0,
            .max_memory = common_.max_memory,
            .products = common_.products};
  }

  std::string plan_text(const Graph& graph) const {
    return Plan::compile(graph, input_types(graph), plan_options())->to_string();
  }

  void print_node(const Graph& graph) const {
    for (const Node& node : graph.nodes) {
      bool named = node.name == node_;
      for (ValueId v : node.outputs) named = named || (v != no_value && graph.name_of(v) == node_);
      if (!named) continue;
      if (common_.json) {
        Json doc = {{"schema", "onnxrun.inspect/1"}};
        doc["node"] = node_json(graph, node);
        print(doc.text());
      } else {
        print(node_text(graph, node));
      }
      return;
    }
    std::vector<std::string> names;
    for (const Node& node : graph.nodes) {
      names.push_back(node.name.empty() ? graph.name_of(node.outputs.front()) : node.name);
    }
    fail(ErrorKind::BadInput, "{}: there is no node '{}'; there are {}", path_, node_,
         name_list(names));
  }

  struct Totals {
    int64_t tensors = 0, numbers = 0, bytes = 0;
    void add(const Tensor& t) {
      ++tensors;
      numbers += t.size();
      bytes += t.bytes();
    }
  };

  static std::pair<Totals, Totals> totals(const Model& model) {
    Totals all, trainable;
    for (const InitializerInfo& i : model.initializers()) {
      all.add(i.value);
      if (i.trainable) trainable.add(i.value);
    }
    return {all, trainable};
  }

  void print_summary(const Model& model, const Graph& graph) const {
    std::string origin;
    if (graph.source) {
      origin = graph.source->producer.empty() ? "unknown producer" : graph.source->producer;
      origin += fmt::format(", IR version {}", graph.source->ir_version);
      for (const auto& [domain, version] : graph.source->opsets) {
        origin += fmt::format(", {} {}", domain.empty() ? "opset" : domain, version);
      }
    }
    std::string text = fmt::format("{}: {}\n", path_, origin);
    text += "inputs:\n" + value_lines(graph, graph.inputs);
    if (!graph.overridable.empty()) {
      text += "inputs with a default:\n" + value_lines(graph, graph.overridable);
    }
    text += "outputs:\n" + value_lines(graph, graph.outputs);
    auto [all, trainable] = totals(model);
    text += fmt::format("initializers: {} with {} numbers, {} bytes\n", all.tensors, all.numbers,
                        all.bytes);
    text += fmt::format("  of which parameters: {} with {} numbers\n", trainable.tensors,
                        trainable.numbers);
    std::string ops;
    for (const auto& [op, count] : operator_counts(graph)) {
      ops += fmt::format("{}{} {}", ops.empty() ? "" : ", ", count, op);
    }
    text += fmt::format("nodes: {}{}\n", graph.nodes.size(), ops.empty() ? "" : " (" + ops + ")");
    text += cost_line(graph);
    if (auto bytes = arena_bytes(graph)) text += fmt::format("memory of a run: {} bytes\n", *bytes);
    print(text);
  }

  // Nothing if no shape is known.
  static std::string cost_line(const Graph& graph) {
    GraphCost cost = cost_of(graph);
    if (cost.unknown > 0 && cost.flops == 0) return "";
    std::string left_out;
    if (cost.unknown > 0) {
      left_out = fmt::format(", without {} nodes of open shapes (--dim closes them)", cost.unknown);
    }
    return fmt::format("cost of a run: {} flops, {} bytes moved{}\n", cost.flops, cost.bytes,
                       left_out);
  }

  // Memory for the values of one run, if all shapes are known.
  std::optional<int64_t> arena_bytes(const Graph& graph) const {
    std::vector<Type> types = input_types(graph);
    bool concrete =
        std::all_of(types.begin(), types.end(), [](const Type& t) { return t.is_concrete(); });
    if (!concrete) return std::nullopt;
    try {
      std::shared_ptr<const Plan> plan = Plan::compile(graph, types, plan_options());
      return plan->arena_bytes() + plan->scratch_bytes();
    } catch (const Error& e) {
      warn("no plan for these shapes: {}", e.what());
      return std::nullopt;
    }
  }

  void print_sections(const Model& model, const Graph& graph) const {
    if (params_) {
      print("initializers:\n");
      std::vector<std::vector<std::string>> rows;
      for (const InitializerInfo& i : model.initializers()) {
        rows.push_back({i.name, i.value.type_text(), i.role, i.reason});
      }
      print(table(rows));
    }
    if (weights_) {
      std::vector<std::vector<std::string>> rows;
      rows.push_back({"weights", "type", "min", "max", "mean", "deviation", "not finite"});
      for (const InitializerInfo& i : model.initializers()) rows.push_back(weight_row(i));
      print(table(rows));
    }
    if (summary_) print(summary_text(graph));
    if (cost_) print(cost_text(graph));
    if (nodes_) {
      print("nodes:\n");
      for (const Node& node : graph.nodes) print("  " + node_line(graph, node) + "\n");
    }
    if (shapes_) {
      print("values:\n");
      std::vector<std::vector<std::string>> rows;
      for (const auto& [name, type] : value_types(graph)) rows.push_back({name, type});
      print(table(rows));
    }
  }

  static std::vector<std::string> weight_row(const InitializerInfo& i) {
    WeightStatistics s = statistics(i.value);
    auto number = [](double v) { return fmt::format("{:.6g}", v); };
    return {i.name,
            i.value.type_text(),
            number(s.min),
            number(s.max),
            number(s.mean),
            number(s.deviation),
            std::to_string(s.not_finite)};
  }

  Json document(const Model& model, const Graph& graph) const {
    Json doc = {{"schema", "onnxrun.inspect/1"}, {"file", path_}};
    if (graph.source) {
      doc["producer"] = graph.source->producer;
      doc["ir_version"] = graph.source->ir_version;
      Json opsets = Json::object();
      for (const auto& [domain, version] : graph.source->opsets) {
        opsets[domain.empty() ? "ai.onnx" : domain] = version;
      }
      doc["opsets"] = opsets;
    }
    doc["inputs"] = values_json(graph, graph.inputs);
    doc["outputs"] = values_json(graph, graph.outputs);
    auto [all, trainable] = totals(model);
    doc["initializers"] = {
        {"tensors", all.tensors}, {"numbers", all.numbers}, {"bytes", all.bytes}};
    doc["parameters"] = {
        {"tensors", trainable.tensors}, {"numbers", trainable.numbers}, {"bytes", trainable.bytes}};
    Json::Object operators;
    for (const auto& [name, count] : operator_counts(graph)) operators.emplace_back(name, count);
    doc["operators"] = Json::object(std::move(operators));
    GraphCost cost = cost_of(graph);
    doc["cost"] = {{"flops", cost.flops}, {"bytes", cost.bytes}, {"unknown_nodes", cost.unknown}};
    if (auto bytes = arena_bytes(graph)) doc["run_bytes"] = *bytes;
    add_sections(doc, model, graph);
    return doc;
  }

  void add_sections(Json& doc, const Model& model, const Graph& graph) const {
    if (params_ || weights_) {
      Json list = Json::array();
      for (const InitializerInfo& i : model.initializers()) {
        Json entry = {{"name", i.name},
                      {"dtype", to_string(i.value.dtype())},
                      {"shape", i.value.dims()},
                      {"role", i.role},
                      {"reason", i.reason}};
        if (weights_) entry["statistics"] = statistics_json(statistics(i.value));
        list.push_back(std::move(entry));
      }
      doc["weights"] = std::move(list);
    }
    if (summary_ || cost_) doc["layers"] = summary_json(graph);
    if (nodes_) {
      Json list = Json::array();
      for (const Node& node : graph.nodes) list.push_back(node_json(graph, node));
      doc["nodes"] = std::move(list);
    }
    if (shapes_) {
      Json::Object types;
      for (const auto& [name, type] : value_types(graph)) types.emplace_back(name, type);
      doc["values"] = Json::object(std::move(types));
    }
  }

  std::string path_, node_, stage_, stop_after_, dot_, loss_, optimizer_;
  bool summary_ = false, cost_ = false;
  bool nodes_ = false, params_ = false, shapes_ = false, weights_ = false;
  InputOptions shape_options_;
};

}  // namespace

const CommandInfo inspect_command = {
    "inspect", "shows what is in a model",
    "  onnxrun inspect model.onnx\n"
    "  onnxrun inspect model.onnx --summary\n"
    "  onnxrun inspect model.onnx --cost --dim batch=8\n"
    "  onnxrun inspect model.onnx --params --weights\n"
    "  onnxrun inspect model.onnx --shapes --dim batch=8\n"
    "  onnxrun inspect model.onnx --stage plan --shape x=1x3x224x224\n"
    "  onnxrun inspect model.onnx --node /encoder/q\n"
    "  onnxrun inspect model.onnx --dot model.dot --json",
    make_command<Inspect>};

}  // namespace onnxrun::tool
