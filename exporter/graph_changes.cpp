#include "graph_changes.h"

#include <onnx/onnx_pb.h>

#include <cstdint>

#include "base/error.h"
#include "entry.h"
#include "wire.h"

namespace onnxrun {

namespace {

using onnx::ModelProto;

std::string changed_graph(std::string_view graph, const GraphChanges& changes) {
  std::string result;
  result.reserve(graph.size());
  std::map<int, int> counts;
  wire::Reader reader(graph);
  while (auto field = reader.next()) {
    auto it = changes.fields.find({field->number, counts[field->number]++});
    if (it == changes.fields.end()) {
      result.append(field->header).append(field->content);
    } else if (it->second) {
      wire::append_field(result, *field, *it->second);
    }
  }
  for (const auto& [number, content] : changes.added) wire::append_bytes(result, number, content);
  return result;
}

}  // namespace

std::string with_changes(std::string_view model, const GraphChanges& changes) {
  std::string result;
  std::map<std::string, std::string> metadata = changes.metadata;
  wire::Reader reader(model);
  while (auto field = reader.next()) {
    if (field->number == ModelProto::kGraphFieldNumber && field->type == wire::Type::Bytes) {
      wire::append_field(result, *field, changed_graph(field->content, changes));
      continue;
    }
    if (field->number == ModelProto::kMetadataPropsFieldNumber) {
      onnx::StringStringEntryProto entry = read_entry(field->content, "an entry of the metadata");
      if (auto it = metadata.find(entry.key()); it != metadata.end()) {
        entry.set_value(entry.value() + "\n" + it->second);
        metadata.erase(it);
        wire::append_field(result, *field, entry.SerializeAsString());
        continue;
      }
    }
    result.append(field->header).append(field->content);
  }
  for (const auto& [key, value] : metadata) {
    onnx::StringStringEntryProto entry;
    entry.set_key(key);
    entry.set_value(value);
    wire::append_bytes(result, ModelProto::kMetadataPropsFieldNumber, entry.SerializeAsString());
  }
  if (result.size() > INT32_MAX) {
    fail(ErrorKind::CannotWrite, "the model is larger than the 2 GiB of a protobuf message");
  }
  return result;
}

}  // namespace onnxrun
