#include "model_check.h"

#include <filesystem>
#include <set>

#include "base/error.h"
#include "external_data.h"
#include "function_table.h"
#include "graph_reader.h"
#include "input_file.h"
#include "model_file.h"
#include "model_lints.h"
#include "model_message.h"
#include "proto_fields.h"
#include "training_importer.h"

namespace onnxrun {

namespace {

using Imports = google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>;

// Notes what is wrong with opsets and leaves such as nodes can be checked by.
class OpsetRepair {
 public:
  OpsetRepair(onnx::ModelProto& model, Findings& findings) : model_(model), findings_(findings) {}

  void run() {
    try {
      check_ir_version(model_);
    } catch (const Error& e) {
      findings_.note(e);
    }
    Imports& imports = *model_.mutable_opset_import();
    remove_doubles(imports);
    for (auto& import : imports) check_known(import);
    // Functions know their own; early writers leave them to the model.
    std::set<std::pair<std::string, std::string>> functions;
    for (const auto& f : model_.functions()) {
      functions.emplace(normalized_domain(f.domain()), f.name());
    }
    std::set<std::string> used;
    collect_domains(model_.graph().node(), functions, used);
    for (const std::string& domain : used) require(domain, imports);
    for (auto& function : *model_.mutable_functions()) {
      remove_doubles(*function.mutable_opset_import());
      for (auto& import : *function.mutable_opset_import()) check_known(import);
    }
    remove_double_functions();
  }

 private:
  void remove_doubles(Imports& imports) {
    Opsets seen;
    for (int i = 0; i < imports.size();) {
      auto [it, first] =
          seen.emplace(normalized_domain(imports.Get(i).domain()), imports.Get(i).version());
      if (!first && it->second != imports.Get(i).version()) {
        findings_.note(Error(ErrorKind::BadModel,
                             fmt::format("domain '{}' is imported in versions {} and {}",
                                         shown(it->first), it->second, imports.Get(i).version())));
      }
      if (first) {
        ++i;
      } else {
        imports.DeleteSubrange(i, 1);
      }
    }
  }

  void check_known(onnx::OperatorSetIdProto& import) {
    std::string domain = normalized_domain(import.domain());
    try {
      checked_opset({{domain, import.version()}}, domain);
    } catch (const Error& e) {
      findings_.note(e);
      import.set_version(newest_opset(domain));
    }
  }

  void require(const std::string& domain, Imports& imports) {
    for (const auto& import : imports) {
      if (normalized_domain(import.domain()) == domain) return;
    }
    try {
      checked_opset({}, domain);
    } catch (const Error& e) {
      findings_.note(e);
    }
    auto* import = imports.Add();
    import->set_domain(domain);
    import->set_version(newest_opset(domain));
  }

  void remove_double_functions() {
    std::set<std::tuple<std::string, std::string, std::string>> seen;
    auto& functions = *model_.mutable_functions();
    for (int i = 0; i < functions.size();) {
      const auto& f = functions.Get(i);
      bool first = seen.emplace(normalized_domain(f.domain()), f.name(),
                                read_string_field(f, onnx_field::function_overload))
                       .second;
      if (first) {
        ++i;
        continue;
      }
      findings_.note(
          Error(ErrorKind::BadModel, fmt::format("function '{}' of domain '{}' is defined twice",
                                                 f.name(), shown(f.domain()))));
      functions.DeleteSubrange(i, 1);
    }
  }

  template <typename Nodes>
  static void collect_domains(const Nodes& nodes,
                              const std::set<std::pair<std::string, std::string>>& functions,
                              std::set<std::string>& domains) {
    for (const onnx::NodeProto& node : nodes) {
      std::string domain = normalized_domain(node.domain());
      if (!functions.count({domain, node.op_type()})) domains.insert(domain);
      for (const auto& a : node.attribute()) {
        if (a.has_g()) collect_domains(a.g().node(), functions, domains);
      }
    }
  }

  static std::string shown(const std::string& domain) {
    return domain.empty() ? "ai.onnx" : domain;
  }

  static int64_t newest_opset(const std::string& domain) {
    if (domain.empty()) return current_opset;
    return domain == "ai.onnx.ml" ? current_ml_opset : 1;
  }

  onnx::ModelProto& model_;
  Findings& findings_;
};

}  // namespace

namespace {

// What is wrong with the training that the file describes. `source` is of the model's graph.
void check_training(const ModelSource& source, std::string bytes, const OpRegistry& registry,
                    const ImportOptions& options, Findings& findings) {
  ModelSource whole;
  whole.path = source.path;
  whole.bytes = std::move(bytes);
  try {
    import_training(whole, registry, options);
  } catch (const Error& e) {
    findings.note(e.in("training_info"));
  }
}

// `file` has what the message lacks; null for a model from memory.
ModelCheck check_message(const std::string& bytes, const ModelFile* file, const std::string& path,
                         const std::string& directory, const OpRegistry& registry,
                         const ImportOptions& options) {
  Findings findings;
  ModelCheck check;
  try {
    onnx::ModelProto model = parse_model(bytes, options);
    lint_model(model, findings);
    OpsetRepair(model, findings).run();
    ModelSource source;
    source.path = path;
    source.ir_version = model.ir_version();
    source.opsets = read_opsets(model.opset_import());
    source.producer = model.producer_name();
    source.metadata = graph_metadata(model.graph());
    source.bytes = bytes;
    MemoryBudget budget(memory_limit(options.max_memory));
    ExternalDataReader external(options.external_data, directory, options.external_dir);
    GraphReader reader(model, registry, options, TensorDecoder(budget, &external), file, source,
                       &findings);
    Graph graph = reader.read();
    graph.source = std::make_shared<const ModelSource>(std::move(source));
    if (!findings.has_errors() && model.training_info_size() > 0) {
      check_training(*graph.source, file ? read_input_file(path, ErrorKind::BadModel) : bytes,
                     registry, options, findings);
    }
    if (!findings.has_errors()) check.graph = std::move(graph);
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::Limit) {
      findings.add({Severity::Error, "limit", e});
    } else {
      findings.note(e);
    }
  }
  check.findings = findings.all();
  return check;
}

}  // namespace

ModelCheck check_model(const std::string& path, const OpRegistry& registry,
                       const ImportOptions& options) {
  ModelFile file(path, memory_limit(options.max_memory));
  std::string directory = std::filesystem::path(path).parent_path().string();
  return check_message(file.message(), &file, path, directory.empty() ? "." : directory, registry,
                       options);
}

ModelCheck check_model_bytes(const std::string& bytes, const OpRegistry& registry,
                             const ImportOptions& options) {
  return check_message(bytes, nullptr, options.path, "", registry, options);
}

}  // namespace onnxrun
