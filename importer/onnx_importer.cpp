#include "onnx_importer.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/one_line.h"
#include "base/work.h"
#include "external_data.h"
#include "graph_reader.h"
#include "input_file.h"
#include "message_size.h"
#include "model_message.h"
#include "proto_fields.h"

namespace onnxrun {

namespace {

// A subgraph is three messages deep: node, attribute, graph.
constexpr int messages_per_level = 4;

}  // namespace

onnx::ModelProto parse_model(const std::string& bytes, const ImportOptions& options) {
  silence_protobuf();
  if (bytes.empty()) fail(ErrorKind::BadModel, "the file is empty");
  if (bytes.size() > INT32_MAX) fail(ErrorKind::BadModel, "a model is at most 2 GiB");
  // A small model may always be read.
  int64_t allowed = std::max<int64_t>(memory_limit(options.max_memory), 1 << 20);
  int depth = (options.max_depth + 8) * messages_per_level;
  int64_t size = parsed_size(bytes, *onnx::ModelProto::descriptor(), depth);
  if (size > allowed) {
    fail(ErrorKind::Limit, "the model without its tensors needs {} bytes, allowed are {}", size,
         allowed);
  }
  std::shared_ptr<void> taken = take_memory(size, "the model without its tensors");
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(INT32_MAX);
  coded.SetRecursionLimit(depth);
  onnx::ModelProto model;
  if (!model.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    fail(ErrorKind::BadModel, "not an ONNX model: damaged, cut off or nested too deep ({} bytes)",
         bytes.size());
  }
  if (!model.has_graph() || !model.has_ir_version()) {
    fail(ErrorKind::BadModel, "not an ONNX model: {} is missing",
         model.has_graph() ? "the IR version" : "the graph");
  }
  return model;
}

void check_ir_version(const onnx::ModelProto& model) {
  if (model.ir_version() >= oldest_ir && model.ir_version() <= newest_ir) return;
  fail(ErrorKind::Unsupported, "IR version {}, known are {} to {}", model.ir_version(), oldest_ir,
       newest_ir);
}

namespace {

void check_versions(const onnx::ModelProto& model, const Opsets& opsets) {
  check_ir_version(model);
  if (opsets.count("")) checked_opset(opsets, "");
}

// Without a run there is no input to be wrong: what does not fit is the model.
Graph read_graph(GraphReader& reader) {
  try {
    return reader.read();
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::BadInput) throw e.as(ErrorKind::BadModel);
    throw;
  }
}

// What the main graph's initializers have become, by their numbers in the file.
std::map<int, const Tensor*> elements_of(const Graph& graph, const ModelSource& source) {
  std::map<int, const Tensor*> elements;
  for (const auto& [id, init] : graph.initializers) {
    if (init.stored < 0) continue;
    const auto& path = source.stored[static_cast<size_t>(init.stored)].path;
    if (path.size() == 2 && path[1].first == onnx::GraphProto::kInitializerFieldNumber) {
      elements[path[1].second] = &init.value;
    }
  }
  return elements;
}

// For those who listen (onnxrun/log.h): what a file is, and what was made of it.
void log_import(const Graph& graph, const std::string& raised) {
  if (!is_logged(LogLevel::Debug)) return;
  const ModelSource& source = *graph.source;
  std::string opsets;
  for (const auto& [domain, version] : source.opsets) {
    opsets += fmt::format(", opset {}{}{}", version, domain.empty() ? "" : " of ", domain);
  }
  int64_t bytes = 0;
  for (const auto& entry : graph.initializers) bytes += entry.second.value.bytes();
  log_text(LogLevel::Debug,
           without_controls(fmt::format(
               "loaded {}: {}, IR version {}{}; {} nodes, {} initializers of {} bytes",
               source.path.empty() ? "a model in memory" : source.path,
               source.producer.empty() ? "no producer" : source.producer, source.ir_version, opsets,
               graph.nodes.size(), graph.initializers.size(), bytes)));
  if (!raised.empty()) {
    log_text(LogLevel::Debug,
             without_controls(fmt::format("raised to today's operators: {}", raised)));
  }
}

Graph import_parsed(ModelSource source, const onnx::ModelProto& model, ModelFile* file,
                    const std::string& directory, const OpRegistry& registry,
                    const ImportOptions& options) {
  std::shared_ptr<void> taken =
      take_memory(static_cast<int64_t>(model.SpaceUsedLong()), "the model without its tensors");
  source.ir_version = model.ir_version();
  source.opsets = read_opsets(model.opset_import());
  source.producer = model.producer_name();
  if (!model.producer_version().empty()) source.producer += " " + model.producer_version();
  source.metadata = graph_metadata(model.graph());
  // What this library wrote about a model stands where any format's readers look for such things.
  for (const auto& entry : model.metadata_props()) {
    if (entry.key().starts_with("onnxrun.")) source.metadata[entry.key()] = entry.value();
  }
  check_versions(model, source.opsets);

  MemoryBudget budget(memory_limit(options.max_memory));
  ExternalDataReader external(options.external_data, directory, options.external_dir);
  GraphReader reader(model, registry, options, TensorDecoder(budget, &external), file, source);
  Graph graph = read_graph(reader);
  if (file) {
    auto elements = elements_of(graph, source);
    file->keep(source, [&](int index) {
      auto it = elements.find(index);
      return it == elements.end() ? nullptr : it->second;
    });
  }
  source.data_files = external.files();
  graph.source = std::make_shared<const ModelSource>(std::move(source));
  log_import(graph, reader.raised());
  return graph;
}

}  // namespace

Graph import_model(const std::string& path, const OpRegistry& registry,
                   const ImportOptions& options) {
  ModelSource source;
  source.path = path;
  ModelFile file(path, memory_limit(options.max_memory));
  std::string directory = std::filesystem::path(path).parent_path().string();
  onnx::ModelProto model = parse_model(file.message(), options);
  return import_parsed(std::move(source), model, &file, directory.empty() ? "." : directory,
                       registry, options);
}

Graph import_model_bytes(std::string bytes, const std::string& directory,
                         const OpRegistry& registry, const ImportOptions& options) {
  ModelSource source;
  source.path = options.path;
  source.bytes = std::move(bytes);
  onnx::ModelProto model = parse_model(source.bytes, options);
  return import_parsed(std::move(source), model, nullptr, directory, registry, options);
}

}  // namespace onnxrun
