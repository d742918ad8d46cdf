#include "training_importer.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/work.h"
#include "external_data.h"
#include "graph_reader.h"
#include "input_file.h"
#include "model_message.h"
#include "proto_fields.h"

namespace onnxrun {

namespace {

using Bindings = google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto>;

class TrainingReader {
 public:
  TrainingReader(const ModelSource& file, const onnx::ModelProto& model, const OpRegistry& registry,
                 const ImportOptions& options)
      : model_(model),
        registry_(registry),
        options_(options),
        source_(file),
        budget_(memory_limit(options.max_memory)),
        external_(options.external_data, directory_of(file), options.external_dir) {
    source_.stored.clear();
  }

  ImportedTraining run() {
    collect_keys();
    for (int i = 0; i < model_.training_info_size(); ++i) {
      const onnx::TrainingInfoProto& info = model_.training_info(i);
      Graph step = read([&](GraphReader& reader) { return reader.read_step(i); });
      result_.steps.push_back(procedure(std::move(step), info.update_binding(), true));
    }
    for (int i = 0; i < model_.training_info_size(); ++i) {
      const onnx::TrainingInfoProto& info = model_.training_info(i);
      if (info.initialization_binding().empty()) continue;
      Graph graph = read([&](GraphReader& reader) { return reader.read_initialization(i); });
      if (!graph.inputs.empty()) {
        fail(ErrorKind::BadModel, "the initialization has input '{}', expected none",
             graph.name_of(graph.inputs[0]));
      }
      graph.outputs.clear();
      result_.initializations.push_back(
          procedure(std::move(graph), info.initialization_binding(), false));
    }
    source_.data_files = external_.files();
    result_.source = std::make_shared<const ModelSource>(std::move(source_));
    return std::move(result_);
  }

 private:
  static std::string directory_of(const ModelSource& file) {
    if (file.path.empty()) return "";
    std::string directory = std::filesystem::path(file.path).parent_path().string();
    return directory.empty() ? "." : directory;
  }

  template <typename Read>
  Graph read(Read&& read_graph) {
    GraphReader reader(model_, registry_, options_, TensorDecoder(budget_, &external_), nullptr,
                       source_);
    return read_graph(reader);
  }

  void collect_keys() {
    std::set<std::string> updated, initialized;
    auto add = [](const char* what, const Bindings& bindings, std::set<std::string>& keys) {
      for (const auto& binding : bindings) {
        if (keys.insert(binding.key()).second) continue;
        fail(ErrorKind::BadModel, "two {} bindings of '{}'", what, binding.key());
      }
    };
    for (const auto& info : model_.training_info()) {
      add("update", info.update_binding(), updated);
      add("initialization", info.initialization_binding(), initialized);
    }
    keys_ = std::move(updated);
    keys_.merge(initialized);
  }

  ImportedTraining::Procedure procedure(Graph read, const Bindings& bindings, bool is_step) {
    ImportedTraining::Procedure p(std::move(read));
    Graph& graph = p.graph;
    p.inputs = graph.inputs.size();
    std::map<std::string, ValueId> values;
    for (size_t i = 0; i < graph.value_count(); ++i) {
      values.emplace(graph.value(static_cast<ValueId>(i)).name, static_cast<ValueId>(i));
    }
    if (is_step) take_state(p, values);
    p.outputs = graph.outputs.size();
    for (const auto& binding : bindings) bind(p, binding, values);
    return p;
  }

  // Initializers that training changes become inputs.
  void take_state(ImportedTraining::Procedure& p, const std::map<std::string, ValueId>& values) {
    for (const std::string& key : keys_) {
      auto value = values.find(key);
      if (value == values.end()) continue;
      auto initializer = p.graph.initializers.find(value->second);
      if (initializer == p.graph.initializers.end() || initializer->second.stored < 0) continue;
      p.reads.push_back(state_of(key, initializer->second));
      p.graph.value(value->second).content.reset();
      p.graph.initializers.erase(initializer);
      std::erase(p.graph.overridable, value->second);
      p.graph.inputs.push_back(value->second);
    }
  }

  size_t state_of(const std::string& name, const Initializer& initializer) {
    auto& state = result_.state;
    auto known =
        std::find_if(state.begin(), state.end(), [&](const auto& s) { return s.name == name; });
    if (known == state.end()) {
      state.push_back({name, initializer.value, initializer.stored});
      return state.size() - 1;
    }
    if (path_of(known->stored) != path_of(initializer.stored)) {
      fail(ErrorKind::BadModel, "training changes two initializers called '{}'", name);
    }
    return static_cast<size_t>(known - state.begin());
  }

  const Path& path_of(int stored) const { return source_.stored[static_cast<size_t>(stored)].path; }

  void bind(ImportedTraining::Procedure& p, const onnx::StringStringEntryProto& binding,
            const std::map<std::string, ValueId>& values) const {
    const auto& state = result_.state;
    auto target = std::find_if(state.begin(), state.end(),
                               [&](const auto& s) { return s.name == binding.key(); });
    if (target == state.end()) {
      fail(ErrorKind::BadModel, "a binding of '{}', which is no initializer of graph or algorithm",
           binding.key());
    }
    auto value = values.find(binding.value());
    if (value == values.end()) {
      fail(ErrorKind::BadModel, "the binding of '{}' names '{}', which there is not", binding.key(),
           binding.value());
    }
    const Type& type = p.graph.value(value->second).type;
    Type expected = Type::tensor(target->initial.dtype(), to_shape(target->initial.dims()));
    if (!compatible(type, expected)) {
      fail(ErrorKind::BadModel, "'{}', {}, cannot become '{}', {}", binding.key(),
           expected.to_string(), binding.value(), type.to_string());
    }
    p.graph.outputs.push_back(value->second);
    p.writes.push_back(static_cast<size_t>(target - state.begin()));
  }

  const onnx::ModelProto& model_;
  const OpRegistry& registry_;
  const ImportOptions& options_;
  ModelSource source_;
  MemoryBudget budget_;
  ExternalDataReader external_;
  std::set<std::string> keys_;
  ImportedTraining result_;
};

}  // namespace

ImportedTraining import_training(const ModelSource& file, const OpRegistry& registry,
                                 const ImportOptions& options) {
  onnx::ModelProto model = parse_model(file.file_bytes(), options);
  std::shared_ptr<void> taken =
      take_memory(static_cast<int64_t>(model.SpaceUsedLong()), "the model's training information");
  try {
    return TrainingReader(file, model, registry, options).run();
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::BadInput) throw e.as(ErrorKind::BadModel);
    throw;
  }
}

}  // namespace onnxrun
