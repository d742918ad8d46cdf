#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file_names.h"
#include "base/nearest.h"
#include "builtin_ops.h"
#include "command.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "interrupt.h"
#include "messages.h"
#include "model_editor.h"
#include "model_loading.h"
#include "model_storage.h"
#include "onnx_exporter.h"
#include "onnx_importer.h"
#include "own_types.h"
#include "passes/dead_nodes.h"
#include "passes/decompose.h"
#include "passes/fold.h"
#include "passes/parameters.h"
#include "passes/plain_forms.h"
#include "passes/widen.h"
#include "tensor/tensor.h"
#include "value_files.h"

namespace onnxrun::tool {

namespace {

// Whether every element is the same number in the other type.
bool is_exact(const Tensor& from, const Tensor& to) {
  return identical(convert(to, from.dtype()), from);
}

class Convert final : public Command {
 public:
  Convert() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", model_, model_help).type_name("FILE").required();
    options.add("-o,--output", output_, "the file to write").type_name("FILE");
    options.add_switch("--in-place", in_place_, "write over the model itself");
    options
        .add("--set-weights", set_weights_,
             "take the elements of initializers from this file, by name (.safetensors, .npz)")
        .type_name("FILE");
    options
        .add("--get-weights", get_weights_,
             "write all initializers to this file (.safetensors, .npz)")
        .type_name("FILE");
    options
        .add("--opset", opset_,
             "the opset of ai.onnx to write, older or newer; an error where an operator does not "
             "have its meaning there")
        .type_name("N")
        .check(at_least(1));
    options
        .add("--extract-inputs", extract_inputs_,
             "cut a part out that begins with these values: a,b")
        .type_name("NAMES");
    options.add("--extract-outputs", extract_outputs_, "cut a part out that ends with these: a,b")
        .type_name("NAMES");
    options.add("--store", store_, "tensors in OUT.data (external) or in the file itself (inline)")
        .type_name("external|inline")
        .check(one_of({"external", "inline"}));
    options.add_switch("--fold", fold_, "evaluate what is constant, leave parameters alone");
    options
        .add("--to", to_,
             "the floating-point type of all values; operators without it compute in float32")
        .type_name("float64|float32|float16|bfloat16")
        .check(one_of({"float64", "float32", "float16", "bfloat16"}));
    options.add_switch("--keep-io", keep_io_, "of --to: inputs and outputs keep their types");
    options.add_repeated("--rename", renames_, "another name for a value or a node: old=new")
        .type_name("OLD=NEW");
    options
        .add_repeated(
            "--set-dim", dims_,
            "length or name of a dimension: batch=8, or of an axis of an input: x:0=batch")
        .type_name("DIM=LENGTH");
  }

  int execute() override {
    check_usage();
    Model model = load_model(model_, common_);
    check_files(model);
    if (!get_weights_.empty()) write_weights(model);
    if (!output_.empty()) in_context(model_, [&] { convert(model); });
    return exit_ok;
  }

 private:
  void check_usage() {
    if (in_place_ && !output_.empty()) {
      fail(ErrorKind::Usage, "--in-place and -o contradict each other");
    }
    if (in_place_ && model_ == "-") {
      fail(ErrorKind::Usage, "--in-place: standard input is no file to write to; give -o");
    }
    if (in_place_) output_ = model_;
    if (keep_io_ && to_.empty()) fail(ErrorKind::Usage, "--keep-io belongs to --to");
    bool changes = !set_weights_.empty() || opset_ || edits() || !store_.empty() || rebuilds();
    if (output_.empty() && (changes || get_weights_.empty())) {
      fail(ErrorKind::Usage, "-o is missing: the file to write");
    }
  }

  bool edits() const {
    return !extract_inputs_.empty() || !extract_outputs_.empty() || !renames_.empty() ||
           !dims_.empty();
  }
  bool rebuilds() const { return opset_ || fold_ || !to_.empty(); }

  void check_files(const Model& model) const {
    FilesInUse files;
    if (!in_place_) files.read(model);
    files.read(set_weights_);
    files.write("-o", output_);
    files.write("--get-weights", get_weights_);
    if (storage(model) == Storage::External && !output_.empty()) {
      files.write("-o", output_ + ".data");
    }
  }

  Storage storage(const Model& model) const {
    if (!store_.empty()) return store_ == "external" ? Storage::External : Storage::Inline;
    const auto& source = model.graph().source;
    return source && !source->data_files.empty() ? Storage::External : Storage::Inline;
  }

  void write_weights(const Model& model) const {
    NamedValues values;
    for (const InitializerInfo& info : model.initializers()) {
      values.emplace_back(info.name, info.value);
    }
    if (values.empty()) fail(ErrorKind::BadInput, "{}: the model has no initializers", model_);
    UninterruptedScope hold;
    write_values(get_weights_, values);
    info("{} tensors written: {}", values.size(), get_weights_);
  }

  // What --set-weights gives, by name, in the types of the model.
  std::map<std::string, Tensor> new_weights(const Model& model) const {
    std::map<std::string, Tensor> weights;
    if (set_weights_.empty()) return weights;
    std::map<std::string, Tensor> there;
    std::vector<std::string> names;
    for (const InitializerInfo& info : model.initializers()) {
      there[info.name] = info.value;
      names.push_back(info.name);
    }
    for (NamedTensor& array : read_arrays(set_weights_, read_options(common_.max_memory))) {
      auto it = there.find(array.name);
      if (it == there.end()) {
        std::string near = nearest(array.name, names);
        fail(ErrorKind::BadInput, "{}: the model has no initializer '{}'; {}", set_weights_,
             array.name,
             near.empty() ? "there are " + name_list(names) : "did you mean '" + near + "'?");
      }
      weights[array.name] = in_type_of(it->second, array);
    }
    if (weights.empty()) fail(ErrorKind::BadInput, "{}: there are no arrays", set_weights_);
    info("{} of {} initializers set", weights.size(), names.size());
    return weights;
  }

  Tensor in_type_of(const Tensor& old, const NamedTensor& array) const {
    const Tensor& value = array.tensor;
    if (value.dims() != old.dims()) {
      fail(ErrorKind::BadInput, "{}: '{}' is {}, the model's is {}", set_weights_, array.name,
           value.type_text(), old.type_text());
    }
    if (value.dtype() == old.dtype()) return value;
    bool floats = is_float(value.dtype()) && is_float(old.dtype());
    bool texts = value.dtype() == DType::String || old.dtype() == DType::String;
    Tensor converted = texts ? Tensor() : onnxrun::convert(value, old.dtype());
    if (texts || (!floats && !is_exact(value, converted))) {
      fail(ErrorKind::BadInput, "{}: '{}' is {}, the model's is {}", set_weights_, array.name,
           value.type_text(), old.type_text());
    }
    return converted;
  }

  void convert(const Model& model) const {
    std::map<std::string, Tensor> weights = new_weights(model);
    if (!edits() && !rebuilds() && store_.empty()) {
      UninterruptedScope hold;
      return model.save(output_, weights, in_place_);
    }
    std::string bytes = inlined_model(model.graph(), payloads(model.graph(), weights));
    if (edits()) bytes = edited(model.graph(), bytes);
    if (rebuilds()) bytes = rebuilt(bytes);
    UninterruptedScope hold;
    write_model(bytes, output_, storage(model));
  }

  static std::map<int, Tensor> payloads(const Graph& graph,
                                        const std::map<std::string, Tensor>& weights) {
    std::map<int, Tensor> payloads;
    for (const auto& [name, tensor] : weights) {
      const Initializer& init = graph.initializers.at(graph.find(name));
      if (init.stored < 0) fail(ErrorKind::Usage, "the model stores no tensor '{}'", name);
      payloads[init.stored] = tensor;
      for (int copy : init.copies) payloads[copy] = tensor;
    }
    return payloads;
  }

  Graph import(const std::string& bytes) const {
    ImportOptions options;
    if (common_.max_memory != INT64_MAX) options.max_memory = common_.max_memory;
    Graph graph = import_model_bytes(bytes, "", builtin_ops(), options);
    choose_parameters(graph);
    return graph;
  }

  std::string edited(const Graph& graph, const std::string& bytes) const {
    ModelEditor editor(bytes);
    if (!extract_inputs_.empty() || !extract_outputs_.empty()) {
      editor.extract(names_in(graph, extract_inputs_), names_in(graph, extract_outputs_),
                     [&](const std::string& name) {
                       ValueId id = graph.find(name);
                       return id == no_value ? Type() : graph.value(id).type;
                     });
    }
    for (const std::string& text : dims_) {
      auto [dimension, length] = parse_assignment("--set-dim", text);
      editor.set_dimension(dimension, length);
    }
    for (const std::string& text : renames_) {
      auto [name, new_name] = parse_assignment("--rename", text);
      check_there(graph, name);
      editor.rename(name, new_name);
    }
    Graph result = import(editor.bytes());
    if (!dims_.empty()) editor.declare(result);
    return editor.bytes();
  }

  static void check_there(const Graph& graph, const std::string& name) {
    std::vector<std::string> there;
    for (size_t i = 0; i < graph.value_count(); ++i) {
      there.push_back(graph.value(static_cast<ValueId>(i)).name);
    }
    for (const Node& node : graph.nodes) there.push_back(node.name);
    if (std::find(there.begin(), there.end(), name) != there.end()) return;
    std::string near = nearest(name, there);
    fail(ErrorKind::BadInput, "there is no value '{}'; {}", name,
         near.empty() ? "there are " + name_list(there) : "did you mean '" + near + "'?");
  }

  // Names may have commas: one that is whole in the graph is not cut.
  static std::vector<std::string> names_in(const Graph& graph, const std::string& list) {
    if (list.empty() || graph.find(list) != no_value) {
      return list.empty() ? std::vector<std::string>() : std::vector{list};
    }
    std::vector<std::string> names = split_list(list);
    for (const std::string& name : names) check_there(graph, name);
    return names;
  }

  std::string rebuilt(const std::string& bytes) const {
    Graph graph = import(bytes);
    if (fold_) {
      fold_constants(graph);
      remove_dead_nodes(graph);
    }
    if (!to_.empty()) {
      FloatConversion conversion{
          .to = dtype_from_name(to_), .keep_io = keep_io_, .excluded = is_own_type};
      std::vector<std::string> cut = convert_floats(graph, conversion);
      remove_dead_nodes(graph);
      if (!cut.empty()) {
        warn("numbers beyond the range of {} became its largest in {}", to_, name_list(cut));
      }
    }
    decompose_private(graph);
    use_plain_forms(graph);
    ExportOptions options;
    options.opset = static_cast<int>(std::min<int64_t>(opset_.value_or(0), INT32_MAX));
    auto opset = graph.source->opsets.find("");
    if (opset != graph.source->opsets.end()) options.at_least = static_cast<int>(opset->second);
    ModelEditor result(export_graph(graph, options));
    result.describe_as(ModelEditor(bytes));
    std::string text = result.bytes();
    import(text);
    return text;
  }

  std::string model_, output_, set_weights_, get_weights_, extract_inputs_, extract_outputs_,
      store_, to_;
  std::optional<int64_t> opset_;
  std::vector<std::string> renames_, dims_;
  bool in_place_ = false, fold_ = false, keep_io_ = false;
};

}  // namespace

const CommandInfo convert_command = {
    "convert", "rewrites a model",
    "  onnxrun convert model.onnx --get-weights weights.safetensors\n"
    "  onnxrun convert model.onnx --set-weights weights.npz -o new.onnx\n"
    "  onnxrun convert model.onnx --opset 18 -o older.onnx\n"
    "  onnxrun convert model.onnx --extract-outputs /encoder/out -o encoder.onnx\n"
    "  onnxrun convert model.onnx --to float16 --keep-io -o half.onnx\n"
    "  onnxrun convert model.onnx --set-dim batch=8 --rename x=images --store external -o new.onnx",
    make_command<Convert>};

}  // namespace onnxrun::tool
