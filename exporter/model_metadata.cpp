#include "model_metadata.h"

#include <onnx/onnx_pb.h>

#include "wire.h"

namespace onnxrun {

std::string with_metadata(std::string_view model, const std::string& key,
                          const std::string& value) {
  constexpr int field_number = onnx::ModelProto::kMetadataPropsFieldNumber;
  std::string result;
  result.reserve(model.size() + key.size() + value.size() + 32);
  wire::Reader reader(model);
  onnx::StringStringEntryProto entry;
  while (auto field = reader.next()) {
    bool replaced = field->number == field_number && field->type == wire::Type::Bytes &&
                    entry.ParseFromString(std::string(field->content)) && entry.key() == key;
    if (!replaced) wire::append_field(result, *field, field->content);
  }
  entry.set_key(key);
  entry.set_value(value);
  wire::append_bytes(result, field_number, entry.SerializeAsString());
  return result;
}

}  // namespace onnxrun
