#include "export_losses.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <optional>
#include <set>
#include <string_view>

#include "base/name_list.h"
#include "file_graph.h"
#include "passes/export_marks.h"

namespace onnxrun {

namespace {

constexpr std::string_view pytorch_remedy =
    "export with net.train() and torch.onnx.export(..., dynamo=True, optimize=False)";
constexpr std::string_view legacy_remedy =
    "export with training=TrainingMode.TRAINING, do_constant_folding=False";
constexpr size_t names_shown = 3;

std::string quoted(const std::vector<std::string>& names) { return name_list(names, names_shown); }

bool mentions_batch_norm(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name.find("batchnorm") != name.npos || name.find("batch_norm") != name.npos;
}

std::optional<ExportLoss> half_precision(const Graph& graph) {
  std::vector<std::string> halves;
  std::string_view type;
  for (const auto& [id, init] : graph.initializers) {
    DType dtype = init.value.dtype();
    bool half = dtype == DType::Float16 || dtype == DType::BFloat16;
    if (!half || init.role != Role::Parameter) continue;
    halves.push_back(graph.name_of(id));
    type = to_string(dtype);
  }
  if (halves.empty()) return std::nullopt;
  return ExportLoss{
      "small-type",
      fmt::format("weights are stored as {} ({}): they train as float and are rounded where they "
                  "are written; export in float32",
                  type, quoted(halves))};
}

class Losses {
 public:
  explicit Losses(const Graph& graph)
      : graph_(graph),
        bytes_(graph.source->file_bytes()),
        file_(bytes_),
        stored_(file_.initializers.begin(), file_.initializers.end()),
        tensors_(module_tensors(graph)),
        pytorch_(graph.source->producer.starts_with("pytorch")),
        tensorflow_(graph.source->producer.starts_with("tf2onnx") ||
                    graph.source->producer.starts_with("keras")) {}

  std::vector<ExportLoss> find() {
    folded_batch_norms();
    removed_dropout();
    zero_biases();
    lost_parameters();
    quantized();
    return std::move(found_);
  }

 private:
  void add(std::string rule, std::string text) {
    found_.push_back({std::move(rule), std::move(text)});
  }

  bool has_op(std::string_view op) const {
    return std::any_of(file_.nodes.begin(), file_.nodes.end(),
                       [&](const FileNode& n) { return n.op_type == op; });
  }

  void folded_batch_norms() {
    if (has_op("BatchNormalization")) return;
    std::vector<std::string> norms;
    std::string_view remedy = pytorch_remedy;
    if (!tensors_.empty()) {
      for (const ModuleTensor& t : tensors_) {
        constexpr std::string_view leaf = ".running_mean";
        if (!stored_.count(t.target) && t.target.ends_with(leaf)) {
          norms.push_back(t.target.substr(0, t.target.size() - leaf.size()));
        }
      }
    } else if (pytorch_) {
      remedy = legacy_remedy;
      for (const FileNode& n : file_.nodes) {
        // What a batch norm went into loses the names of both.
        bool folded = n.op_type.starts_with("Conv") && n.inputs.size() == 3 &&
                      n.inputs[1].starts_with("onnx::Conv") &&
                      n.inputs[2].starts_with("onnx::Conv");
        if (folded) norms.push_back(n.name);
      }
    } else if (tensorflow_) {
      return keras_batch_norms();
    }
    if (norms.empty()) return;
    add("folded-batchnorm",
        fmt::format("batch norms were folded at export ({}): what they went into trains without "
                    "batch statistics; {}",
                    quoted(norms), remedy));
  }

  void keras_batch_norms() {
    bool there =
        std::any_of(file_.nodes.begin(), file_.nodes.end(),
                    [](const FileNode& n) { return mentions_batch_norm(n.name); }) ||
        std::any_of(file_.initializers.begin(), file_.initializers.end(), mentions_batch_norm);
    if (!there) return;
    add("folded-batchnorm",
        "batch norms became constants at export: their statistics stay those of the export; train "
        "them in Keras before, if they are fresh");
  }

  // In evaluation PyTorch writes Dropout as a copy, and the copy is removed.
  void removed_dropout() {
    if (tensors_.empty() || has_op("Dropout")) return;
    bool copied = false;
    for (const FileNode& n : file_.nodes) {
      auto call = n.metadata.find(export_mark::call);
      if (call == n.metadata.end()) continue;
      for (const std::string& name : argument_names(call->second)) {
        copied |= name == "clone" || name.starts_with("clone_");
      }
    }
    if (!copied) return;
    add("no-dropout",
        fmt::format("if the net has Dropout, it was removed at export, as copies were: the file "
                    "trains without; {}",
                    pytorch_remedy));
  }

  bool is_parameter(const std::string& name) const {
    auto it = graph_.initializers.find(graph_.find(name));
    return it != graph_.initializers.end() && it->second.role == Role::Parameter;
  }

  // Values that a bias is added to.
  std::set<std::string> biased() const {
    std::set<std::string> values;
    for (const FileNode& n : file_.nodes) {
      if (n.op_type != "Add" || mentions_batch_norm(n.name)) continue;
      bool adds_parameter = std::any_of(n.inputs.begin(), n.inputs.end(),
                                        [&](const std::string& i) { return is_parameter(i); });
      if (adds_parameter) values.insert(n.inputs.begin(), n.inputs.end());
    }
    return values;
  }

  void zero_biases() {
    if (!tensorflow_) return;
    std::vector<std::string> without;
    const std::set<std::string> with_bias = biased();
    for (const FileNode& n : file_.nodes) {
      bool product = n.op_type == "MatMul" || n.op_type == "Gemm" || n.op_type.starts_with("Conv");
      if (!product || n.inputs.size() < 2 || !is_parameter(n.inputs[1])) continue;
      if (n.inputs.size() > 2 || with_bias.count(n.outputs[0])) return;  // others are not zero
      without.push_back(n.name);
    }
    if (without.empty()) return;
    add("no-biases",
        fmt::format(
            "no layer has a bias ({}): Keras leaves out biases that are zero, as those of a "
            "fresh net are; train a step in Keras before the export",
            quoted(without)));
  }

  void lost_parameters() {
    std::set<std::string> there = stored_names(graph_);
    there.insert(stored_.begin(), stored_.end());
    std::set<std::string> called, scopes;
    for (const FileNode& n : file_.nodes) {
      if (auto scope = n.metadata.find(export_mark::scopes); scope != n.metadata.end()) {
        for (std::string& name : quoted_names(scope->second)) scopes.insert(std::move(name));
      }
      if (auto call = n.metadata.find(export_mark::call); call != n.metadata.end()) {
        for (std::string& name : argument_names(call->second)) called.insert(std::move(name));
      }
    }
    if (called.empty()) return;
    // A module that still has a node goes by the name of what it is tied to, or is a norm that was
    // folded.
    std::vector<std::string> lost;
    for (const ModuleTensor& t : tensors_) {
      std::string module = t.target.substr(0, t.target.rfind('.'));
      if (t.kind != "PARAMETER" || there.count(t.target) || called.count(t.input)) continue;
      if (!scopes.count(module)) lost.push_back(t.target);
    }
    if (lost.empty()) return;
    add("lost-parameters",
        fmt::format("nothing in the file uses {}: the net does not, or the layer was equal to "
                    "another at export and became one with it; {}",
                    quoted(lost), pytorch_remedy));
  }

  void quantized() {
    std::vector<std::string> weights;
    for (const FileNode& n : file_.nodes) {
      bool computes = n.op_type.find("Integer") != std::string::npos ||
                      n.op_type.starts_with("QLinear") || n.op_type.ends_with("NBits") ||
                      n.op_type == "QGemm";
      bool decodes = n.op_type == "DequantizeLinear";
      for (size_t i = 0; i < n.inputs.size() && (computes || (decodes && i == 0)); ++i) {
        auto it = graph_.initializers.find(graph_.find(n.inputs[i]));
        if (it == graph_.initializers.end() || it->second.value.dims().empty()) continue;
        if (!is_differentiable(it->second.value.dtype()) && it->second.value.size() > 1) {
          weights.push_back(n.inputs[i]);
        }
      }
    }
    if (weights.empty()) return;
    add("quantized-weights",
        fmt::format(
            "weights are quantized ({}) and do not train: train the model in floating point "
            "and quantize it afterwards",
            quoted(weights)));
  }

  const Graph& graph_;
  std::string bytes_;
  FileGraph file_;
  std::set<std::string> stored_;
  std::vector<ModuleTensor> tensors_;
  bool pytorch_, tensorflow_;
  std::vector<ExportLoss> found_;
};

}  // namespace

std::vector<ExportLoss> export_losses(const Graph& imported) {
  std::vector<ExportLoss> found;
  if (imported.source && !imported.source->bytes.empty()) found = Losses(imported).find();
  if (auto halves = half_precision(imported)) found.push_back(std::move(*halves));
  return found;
}

}  // namespace onnxrun
