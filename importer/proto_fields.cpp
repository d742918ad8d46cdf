#include "proto_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

namespace onnxrun {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::vector<std::string> known_field(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  std::vector<std::string> result;
  if (!field->is_repeated()) {
    if (!reflection->HasField(message, field)) return result;
    result.push_back(is_message ? reflection->GetMessage(message, field).SerializeAsString()
                                : reflection->GetString(message, field));
    return result;
  }
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    result.push_back(is_message
                         ? reflection->GetRepeatedMessage(message, field, i).SerializeAsString()
                         : reflection->GetRepeatedString(message, field, i));
  }
  return result;
}

}  // namespace

std::vector<std::string> read_bytes_field(const Message& message, int number) {
  if (const FieldDescriptor* field = message.GetDescriptor()->FindFieldByNumber(number)) {
    return known_field(message, field);
  }
  std::vector<std::string> result;
  const auto& unknown = message.GetReflection()->GetUnknownFields(message);
  for (int i = 0; i < unknown.field_count(); ++i) {
    const auto& field = unknown.field(i);
    if (field.number() == number &&
        field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) {
      result.push_back(field.length_delimited());
    }
  }
  return result;
}

std::string read_string_field(const Message& message, int number) {
  auto all = read_bytes_field(message, number);
  return all.empty() ? std::string() : std::move(all.back());
}

std::map<std::string, std::string> read_metadata(const Message& message, int number) {
  std::map<std::string, std::string> result;
  for (const std::string& bytes : read_bytes_field(message, number)) {
    onnx::StringStringEntryProto entry;
    if (entry.ParseFromString(bytes)) result[entry.key()] = entry.value();
  }
  return result;
}

std::map<std::string, std::string, std::less<>> graph_metadata(
    const google::protobuf::Message& graph) {
  std::map<std::string, std::string, std::less<>> metadata;
  for (auto& [key, value] : read_metadata(graph, onnx_field::graph_metadata)) {
    metadata[key] = value;
  }
  return metadata;
}

}  // namespace onnxrun
