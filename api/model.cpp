#include "onnxrun/model.h"

#include <algorithm>
#include <array>
#include <istream>

#include "base/error.h"
#include "base/processors.h"
#include "builtin_ops.h"
#include "graph/graph.h"
#include "graph/run_scope.h"
#include "import_options.h"
#include "lowerings.h"
#include "model_saving.h"
#include "onnx_exporter.h"
#include "onnx_importer.h"
#include "passes/parameters.h"

namespace onnxrun {

ImportOptions import_options(const LoadOptions& options) {
  ImportOptions result;
  switch (options.external_data) {
    case LoadOptions::ExternalData::Deny:
      result.external_data = ExternalData::Deny;
      break;
    case LoadOptions::ExternalData::ModelDir:
      result.external_data = ExternalData::ModelDir;
      break;
    case LoadOptions::ExternalData::Directory:
      result.external_data = ExternalData::Dir;
      break;
  }
  result.external_dir = options.external_directory;
  if (options.max_memory != INT64_MAX) result.max_memory = options.max_memory;
  result.max_depth = options.max_nesting;
  return result;
}

int64_t default_max_memory() { return usable_memory() / 2; }

// Imports and names parameters within the limits of the options.
template <typename Import>
static std::shared_ptr<Graph> limited(const LoadOptions& options, const Import& import) {
  RunControl control;
  control.max_memory = options.max_memory;
  if (options.timeout_seconds) control.limit_time(*options.timeout_seconds);
  RunScope scope(control, options.max_tensor_bytes);
  auto graph = std::make_shared<Graph>(import(import_options(options)));
  choose_parameters(*graph);
  return graph;
}

static const OpRegistry& operators_of(const LoadOptions& options) {
  return options.operators ? options.operators->registry() : builtin_ops();
}

Model::Model(std::shared_ptr<const Graph> graph, LoadOptions options)
    : graph_(std::move(graph)),
      lowerings_(std::make_shared<Lowerings>()),
      options_(std::move(options)) {}

Model Model::load(const std::string& path, const LoadOptions& options) {
  try {
    return Model(limited(options,
                         [&](const ImportOptions& import) {
                           return import_model(path, operators_of(options), import);
                         }),
                 options);
  } catch (const Error& e) {
    throw e.in(ErrorFrame{ErrorFrame::Kind::File, path});
  }
}

Model Model::from_bytes(std::string bytes, const LoadOptions& options) {
  return Model(limited(options,
                       [&](ImportOptions import) {
                         if (options.external_directory.empty())
                           import.external_data = ExternalData::Deny;
                         return import_model_bytes(std::move(bytes), options.external_directory,
                                                   operators_of(options), import);
                       }),
               options);
}

Model Model::load(std::istream& stream, const LoadOptions& options) {
  std::string bytes;
  std::array<char, 1 << 16> block;
  while (stream.read(block.data(), block.size()), stream.gcount() > 0) {
    bytes.append(block.data(), static_cast<size_t>(stream.gcount()));
    if (static_cast<int64_t>(bytes.size()) > options.max_memory) {
      fail(ErrorKind::Limit, "the model is longer than {} bytes", options.max_memory);
    }
  }
  if (stream.bad()) fail(ErrorKind::BadModel, "the stream cannot be read");
  return from_bytes(std::move(bytes), options);
}

static std::vector<ValueInfo> infos(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<ValueInfo> list;
  for (ValueId v : ids) list.push_back({graph.name_of(v), graph.value(v).type.to_string()});
  return list;
}

std::vector<ValueInfo> Model::inputs() const { return infos(*graph_, graph_->inputs); }
std::vector<ValueInfo> Model::outputs() const { return infos(*graph_, graph_->outputs); }

std::vector<InitializerInfo> Model::initializers() const {
  std::vector<InitializerInfo> list;
  for (const auto& [id, init] : graph_->initializers) {
    list.push_back({graph_->name_of(id), init.value, init.role == Role::Parameter,
                    std::string(to_string(init.role)), init.reason});
  }
  std::sort(list.begin(), list.end(),
            [](const InitializerInfo& a, const InitializerInfo& b) { return a.name < b.name; });
  return list;
}

void Model::save(const std::string& path, const std::map<std::string, Tensor>& weights,
                 bool in_place) const {
  save_model(*this, path, weights, in_place);
}

void save_model(const Model& model, const std::string& path,
                const std::map<std::string, Tensor>& weights, bool in_place,
                std::function<std::string(std::string)> finish) {
  const Graph& graph = model.graph();
  std::map<int, Tensor> payloads;
  for (const auto& [name, tensor] : weights) {
    auto it = graph.initializers.find(graph.find(name));
    if (it == graph.initializers.end() || it->second.stored < 0) {
      fail(ErrorKind::Usage, "the model stores no tensor '{}'", name);
    }
    if (it->second.value.type_text() != tensor.type_text()) {
      fail(ErrorKind::BadInput, "'{}' is {}, not {}", name, it->second.value.type_text(),
           tensor.type_text());
    }
    payloads[it->second.stored] = tensor;
    for (int copy : it->second.copies) payloads[copy] = tensor;
  }
  export_trained(graph, payloads, path, {.in_place = in_place, .finish = std::move(finish)});
}

}  // namespace onnxrun
