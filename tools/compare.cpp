#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/file_names.h"
#include "command.h"
#include "comparison.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "formats/json.h"
#include "graph_view.h"
#include "inputs.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "model_storage.h"
#include "reduction.h"
#include "value_files.h"
#include "weight_comparison.h"

namespace onnxrun::tool {

namespace {

struct Row {
  std::string name;
  Comparison result;
};

Json to_json(const Row& row) {
  Json entry = {
      {"name", row.name},      {"near", row.result.near},       {"elements", row.result.compared},
      {"off", row.result.off}, {"max_abs", row.result.max_abs}, {"max_rel", row.result.max_rel}};
  if (!row.result.near) entry["message"] = row.result.message;
  return entry;
}

class Compare final : public Command {
 public:
  Compare() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", path_, model_help).type_name("FILE").required();
    options
        .add("--ref", reference_,
             "what it should be like: another .onnx, or stored outputs (.npz, ..., a test-data "
             "directory); with --reduce it may be left out: the model as it runs with --optimize 0")
        .type_name("FILE");
    add_input_options(options, inputs_);
    options.add("--rtol", tolerance_.rtol, "relative tolerance (default: 1e-3)")
        .type_name("X")
        .check(at_least(0));
    options.add("--atol", tolerance_.atol, "absolute tolerance (default: 1e-7)")
        .type_name("X")
        .check(at_least(0));
    options.add_switch("--all-nodes", all_nodes_,
                       "compare the outputs of all nodes, matched by name");
    options.add_switch(
        "--weights", weights_,
        "compare initializers and everything else in the files; outputs only if inputs are "
        "given");
    options.add_switch("--reduce", reduce_,
                       "cut a model that differs to the smallest part that still does: written to "
                       "-o, with what it is fed and what should come out as .inputs.npz and "
                       ".expected.npz");
    options.add("-o,--output", output_, "of --reduce: the part (default: reduced.onnx)")
        .type_name("FILE");
  }

  int execute() override {
    if (weights_ && path_ == "-") {
      fail(ErrorKind::Usage, "--weights compares files, and standard input is none");
    }
    check_usage();
    Model model = load_model(path_, common_);
    std::optional<Model> other;
    if (reference_.ends_with(".onnx")) other = load_model(reference_, common_);
    if (weights_ && !other) fail(ErrorKind::Usage, "--weights needs a model as --ref");
    bool runs = !weights_ || inputs_.random || !inputs_.inputs.empty();
    if (reduce_) return reduce(model, other);
    bool near = true;
    if (weights_) near = compare_weights(model, *other);
    if (runs) near = compare_outputs(model, other) && near;
    finish(near);
    return near ? exit_ok : exit_failed;
  }

 private:
  void check_usage() {
    if (!reduce_) {
      if (reference_.empty())
        fail(ErrorKind::Usage, "--ref is missing: what the model should be like");
      if (!output_.empty()) fail(ErrorKind::Usage, "-o belongs to --reduce");
      return;
    }
    if (weights_ || all_nodes_) {
      fail(ErrorKind::Usage,
           "--reduce compares outputs; --weights and --all-nodes do not go with it");
    }
    if (reference_.empty() && common_.optimize == 0) {
      fail(ErrorKind::Usage, "--reduce with --optimize 0 needs a --ref to differ from");
    }
    if (output_.empty()) output_ = "reduced.onnx";
    stem_ = output_.ends_with(".onnx") ? output_.substr(0, output_.size() - 5) : output_;
  }

  // What parts may be fed, and what should come out of them.
  NamedValues known_values(const Model& model, const std::optional<Model>& other,
                           const NamedValues& inputs) const {
    NamedValues known = inputs;
    auto add = [&](NamedValues values) {
      for (auto& [name, value] : values) {
        if (value.is_tensor()) known.emplace_back(name, in_type_of(model.graph(), name, value));
      }
    };
    if (!other && !reference_.empty()) {
      add(stored_outputs(model.graph()));
    } else if (other) {
      NamedValues fed = translated(inputs, model, *other);
      NamedValues outputs = run(*other, fed, {});
      matched_names(names_of(model.graph(), model.graph().outputs), outputs);
      add(outputs);
      add(run(*other, fed, twins(model.graph(), other->graph())));
    } else {
      add(run(model, inputs, twins(model.graph(), model.graph()), false));
    }
    return known;
  }

  static RuntimeValue in_type_of(const Graph& graph, const std::string& name,
                                 const RuntimeValue& value) {
    ValueId v = graph.find(name);
    if (v == no_value) return value;
    const Type& type = graph.value(v).type;
    bool converts = type.is_tensor() && is_float(type.dtype) && is_float(value.tensor.dtype()) &&
                    type.dtype != value.tensor.dtype();
    return converts ? RuntimeValue(convert(value.tensor, type.dtype)) : value;
  }

  int reduce(const Model& model, const std::optional<Model>& other) {
    FilesInUse files;
    files.read(model);
    files.read(reference_);
    files.read(inputs_.inputs);
    for (const char* end : {".onnx", ".inputs.npz", ".expected.npz"})
      files.write("-o", stem_ + end);
    NamedValues inputs = gather(model);
    auto tested = [&](const Model& part, const NamedValues& fed) { return run(part, fed, {}); };
    auto plain = [&](const Model& part, const NamedValues& fed) {
      return run(part, fed, {}, false);
    };
    Reduction reduction(model, known_values(model, other, inputs), tested,
                        reference_.empty() ? Reduction::Run(plain) : Reduction::Run(), tolerance_);
    std::optional<ReducedModel> reduced = reduction.reduce();
    if (reduced) write_reduced(*reduced);
    finish(!reduced);
    return reduced ? exit_failed : exit_ok;
  }

  void write_reduced(const ReducedModel& reduced) {
    {
      UninterruptedScope hold;
      write_model(reduced.bytes, output_, Storage::Inline);
      write_values(stem_ + ".inputs.npz", reduced.inputs);
      write_values(stem_ + ".expected.npz", reduced.expected);
    }
    if (common_.json) {
      document_["reduced"] = {{"file", output_},
                              {"nodes_before", reduced.nodes_before},
                              {"nodes", reduced.nodes},
                              {"message", reduced.message}};
      return;
    }
    print(
        fmt::format("{} of {} nodes still differ:\n", reduced.nodes.size(), reduced.nodes_before));
    for (const std::string& node : reduced.nodes) print("  " + without_controls(node) + "\n");
    print(fmt::format("output '{}': {}\n", reduced.expected.front().first, reduced.message));
    print(fmt::format("written: {}; onnxrun compare {} -i {}.inputs.npz --ref {}.expected.npz\n",
                      output_, output_, stem_, stem_));
  }

  bool compare_weights(const Model& model, const Model& other) {
    WeightComparison result = onnxrun::tool::compare_weights(model, other, path_, reference_);
    if (common_.json) {
      result.to_json(document_);
    } else {
      print(result.to_text());
    }
    return result.same();
  }

  // Runs both, or reads what is stored, and compares value by value.
  bool compare_outputs(const Model& model, const std::optional<Model>& other) {
    NamedValues inputs = gather(model);
    std::vector<std::string> names = names_of(model.graph(), model.graph().outputs);
    NamedValues expected =
        other ? run(*other, translated(inputs, model, *other), {}) : stored_outputs(model.graph());
    if (other) {
      names = matched_names(names, expected);
    } else {
      names = stored_names(model.graph(), expected);
    }
    std::vector<Row> rows = compare(run(model, inputs, names), expected, names);
    bool near = std::all_of(rows.begin(), rows.end(), [](const Row& r) { return r.result.near; });
    report("outputs", rows);
    if (other && (all_nodes_ || !near)) near = compare_nodes(model, *other, inputs) && near;
    return near;
  }

  NamedValues gather(const Model& model) {
    SessionOptions options = common_.session_options();
    Session session(model, options);
    return gather_inputs(model.graph(), inputs_, common_, session.input_names());
  }

  NamedValues run(const Model& model, const NamedValues& inputs,
                  const std::vector<std::string>& outputs, bool optimize = true) const {
    SessionOptions options = common_.session_options();
    options.optimize = options.optimize && optimize;
    options.outputs = outputs;
    Session session(model, options);
    CancelScope cancel(session);
    std::vector<std::string> needed = session.input_names();
    NamedValues used;
    for (const auto& input : inputs) {
      if (std::find(needed.begin(), needed.end(), input.first) != needed.end())
        used.push_back(input);
    }
    return in_context(model.graph().source->path, [&] { return session.run(used); });
  }

  // The inputs under the other model's names and in its element types.
  static NamedValues translated(const NamedValues& inputs, const Model& model, const Model& other) {
    const Graph &a = model.graph(), &b = other.graph();
    NamedValues result;
    for (const auto& [name, value] : inputs) {
      ValueId v = b.find(name);
      bool there = std::find(b.inputs.begin(), b.inputs.end(), v) != b.inputs.end();
      auto at = std::find(a.inputs.begin(), a.inputs.end(), a.find(name)) - a.inputs.begin();
      if (!there && static_cast<size_t>(at) >= b.inputs.size()) continue;
      if (!there) v = b.inputs[static_cast<size_t>(at)];
      const Type& type = b.value(v).type;
      bool converts = value.is_tensor() && type.is_tensor() && is_float(type.dtype) &&
                      is_float(value.tensor.dtype()) && type.dtype != value.tensor.dtype();
      result.emplace_back(b.name_of(v), converts ? convert(value.tensor, type.dtype) : value);
    }
    return result;
  }

  NamedValues stored_outputs(const Graph& graph) const {
    NamedValues values;
    if (is_folder(reference_)) {
      std::vector<Type> types;
      for (ValueId v : graph.outputs) types.push_back(graph.value(v).type);
      auto found = read_value_directory(reference_, "output", types, common_.max_memory);
      for (size_t k = 0; k < found.size(); ++k) {
        values.emplace_back(graph.name_of(graph.outputs[k]), found[k]);
      }
    } else {
      for (NamedTensor& t : read_arrays(reference_, read_options(common_.max_memory))) {
        bool only = t.name.empty() && graph.outputs.size() == 1;
        values.emplace_back(only ? graph.name_of(graph.outputs[0]) : t.name, t.tensor);
      }
    }
    if (values.empty()) fail(ErrorKind::BadInput, "{}: it holds no outputs", reference_);
    return values;
  }

  // Outputs of other names are matched by their position.
  static std::vector<std::string> matched_names(const std::vector<std::string>& names,
                                                NamedValues& expected) {
    std::vector<std::string> common;
    for (const std::string& name : names) {
      if (find_value(expected, name)) common.push_back(name);
    }
    if (common.size() == names.size() && common.size() == expected.size()) return common;
    if (names.size() != expected.size()) {
      warn("the models have {} and {} outputs", names.size(), expected.size());
      if (!common.empty()) return common;
    }
    for (size_t k = 0; k < std::min(names.size(), expected.size()); ++k)
      expected[k].first = names[k];
    return {names.begin(),
            names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), expected.size()))};
  }

  std::vector<std::string> stored_names(const Graph& graph, const NamedValues& expected) const {
    std::vector<std::string> names;
    for (const auto& [name, value] : expected) {
      if (graph.find(name) == no_value || name.empty()) {
        fail(ErrorKind::BadInput, "{}: the model has no value '{}'; its outputs are {}", reference_,
             name, name_list(names_of(graph, graph.outputs)));
      }
      names.push_back(name);
    }
    return names;
  }

  std::vector<Row> compare(const NamedValues& found, const NamedValues& expected,
                           const std::vector<std::string>& names) const {
    std::vector<Row> rows;
    for (const std::string& name : names) {
      rows.push_back({name, compare_values(*find_value(found, name), *find_value(expected, name),
                                           tolerance_)});
    }
    return rows;
  }

  // Values that nodes of both graphs compute.
  static std::vector<std::string> twins(const Graph& a, const Graph& b) {
    std::vector<std::string> names;
    for (const Node& node : a.nodes) {
      for (ValueId v : node.outputs) {
        if (v == no_value || a.name_of(v).empty()) continue;
        ValueId twin = b.find(a.name_of(v));
        if (twin != no_value && b.producers()[static_cast<size_t>(twin)] >= 0) {
          names.push_back(a.name_of(v));
        }
      }
    }
    return names;
  }

  bool compare_nodes(const Model& model, const Model& other, const NamedValues& inputs) {
    const Graph& a = model.graph();
    std::vector<std::string> names = twins(a, other.graph());
    if (names.empty()) {
      info("no node has an output of the same name in both models");
      return true;
    }
    std::vector<Row> rows = compare(run(model, inputs, names),
                                    run(other, translated(inputs, model, other), names), names);
    if (all_nodes_) report("nodes", rows);
    auto first =
        std::find_if(rows.begin(), rows.end(), [](const Row& r) { return !r.result.near; });
    if (first == rows.end()) return true;
    report_first(a, *first);
    return false;
  }

  void report_first(const Graph& graph, const Row& row) {
    const Node& node = graph.nodes[static_cast<size_t>(
        graph.producers()[static_cast<size_t>(graph.find(row.name))])];
    if (common_.json) {
      document_["first_difference"] = {{"node", node.name},
                                       {"op", node.info->qualified_name()},
                                       {"output", row.name},
                                       {"message", row.result.message}};
    } else {
      print(fmt::format("first node that differs: {}, output '{}': {}\n", describe(graph, node),
                        row.name, row.result.message));
    }
  }

  void report(const char* title, const std::vector<Row>& rows) {
    if (common_.json) {
      Json list = Json::array();
      for (const Row& row : rows) list.push_back(to_json(row));
      document_[title] = std::move(list);
      return;
    }
    std::vector<std::vector<std::string>> lines = {
        {title, "elements", "off", "max abs", "max rel", ""}};
    for (const Row& row : rows) {
      const Comparison& c = row.result;
      lines.push_back({row.name, std::to_string(c.compared), std::to_string(c.off),
                       fmt::format("{:.3g}", c.max_abs), fmt::format("{:.3g}", c.max_rel),
                       c.near ? "" : c.message});
    }
    print(table(lines));
  }

  void finish(bool near) {
    if (common_.json) {
      Json doc = {{"schema", "onnxrun.compare/1"},
                  {"same", near},
                  {"rtol", tolerance_.rtol},
                  {"atol", tolerance_.atol}};
      doc.append_members(document_);
      print(doc.text());
    } else {
      print(near ? "same\n" : "different\n");
    }
  }

  std::string path_, reference_, output_, stem_;
  InputOptions inputs_;
  Tolerance tolerance_;
  bool all_nodes_ = false, weights_ = false, reduce_ = false;
  Json document_ = Json::object();
};

}  // namespace

const CommandInfo compare_command = {
    "compare", "compares two models, or a model with stored outputs",
    "  onnxrun compare model.onnx --ref optimized.onnx --random --dim batch=4\n"
    "  onnxrun compare model.onnx --ref outputs.npz -i inputs.npz --rtol 1e-4 --atol 1e-6\n"
    "  onnxrun compare model.onnx --ref test_data_set_0 -i test_data_set_0\n"
    "  onnxrun compare model.onnx --ref other.onnx -i x=x.npy --all-nodes\n"
    "  onnxrun compare trained.onnx --ref model.onnx --weights\n"
    "  onnxrun compare model.onnx --reduce --random\n"
    "  onnxrun compare model.onnx --reduce --ref right.onnx -i x=x.npy -o part.onnx",
    make_command<Compare>};

}  // namespace onnxrun::tool
