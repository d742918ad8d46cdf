#include "value_writer.h"

#include <onnx/onnx-data_pb.h>

#include "base/error.h"
#include "proto_writer.h"

namespace onnxrun {

namespace {

using Kind = RuntimeValue::Kind;

// The kind of the items of a sequence or an optional.
Kind item_kind(const RuntimeValue& value, const Type& type) {
  if (!value.items->empty()) return value.items->front().kind;
  if (!type.element) return Kind::None;
  switch (type.element->kind) {
    case Type::Kind::Tensor:
      return Kind::Tensor;
    case Type::Kind::Sequence:
      return Kind::Sequence;
    case Type::Kind::Optional:
      return Kind::Optional;
    case Type::Kind::Map:
      return Kind::Map;
    case Type::Kind::Unknown:
      break;
  }
  return Kind::None;
}

Type element_of(const Type& type) { return type.element ? *type.element : Type(); }

onnx::SequenceProto write_sequence(const RuntimeValue& value, const Type& type);

onnx::MapProto write_map(const RuntimeValue& value, const Type& type) {
  onnx::MapProto proto;
  const Tensor& keys = value.tensor;
  proto.set_key_type(static_cast<int32_t>(keys.dtype()));
  if (keys.dtype() == DType::String) {
    for (const std::string& key : keys.span<std::string>()) proto.add_string_keys(key);
  } else {
    for (int64_t key : to_int64s(keys)) proto.add_keys(key);
  }
  RuntimeValue values = RuntimeValue::sequence(*value.items);
  *proto.mutable_values() = write_sequence(values, Type::sequence(element_of(type)));
  return proto;
}

onnx::OptionalProto write_optional(const RuntimeValue& value, const Type& type) {
  onnx::OptionalProto proto;
  bool full = !value.items->empty();
  Type element = element_of(type);
  switch (item_kind(value, type)) {
    case Kind::Tensor:
      proto.set_elem_type(onnx::OptionalProto::TENSOR);
      if (full) *proto.mutable_tensor_value() = write_tensor(value.items->front().tensor);
      break;
    case Kind::Sequence:
      proto.set_elem_type(onnx::OptionalProto::SEQUENCE);
      if (full) *proto.mutable_sequence_value() = write_sequence(value.items->front(), element);
      break;
    case Kind::Map:
      proto.set_elem_type(onnx::OptionalProto::MAP);
      if (full) *proto.mutable_map_value() = write_map(value.items->front(), element);
      break;
    case Kind::Optional:
      proto.set_elem_type(onnx::OptionalProto::OPTIONAL);
      if (full) *proto.mutable_optional_value() = write_optional(value.items->front(), element);
      break;
    case Kind::None:
      proto.set_elem_type(onnx::OptionalProto::UNDEFINED);
      break;
  }
  return proto;
}

onnx::SequenceProto write_sequence(const RuntimeValue& value, const Type& type) {
  onnx::SequenceProto proto;
  Type element = element_of(type);
  switch (item_kind(value, type)) {
    case Kind::None:  // as onnx.numpy_helper.from_list has it
    case Kind::Tensor:
      proto.set_elem_type(onnx::SequenceProto::TENSOR);
      for (const auto& v : *value.items) *proto.add_tensor_values() = write_tensor(v.tensor);
      break;
    case Kind::Sequence:
      proto.set_elem_type(onnx::SequenceProto::SEQUENCE);
      for (const auto& v : *value.items) *proto.add_sequence_values() = write_sequence(v, element);
      break;
    case Kind::Map:
      proto.set_elem_type(onnx::SequenceProto::MAP);
      for (const auto& v : *value.items) *proto.add_map_values() = write_map(v, element);
      break;
    case Kind::Optional:
      proto.set_elem_type(onnx::SequenceProto::OPTIONAL);
      for (const auto& v : *value.items) *proto.add_optional_values() = write_optional(v, element);
      break;
  }
  return proto;
}

template <typename Proto>
std::string named(Proto proto, const std::string& name) {
  if (!name.empty()) proto.set_name(name);
  std::string bytes;
  if (!proto.SerializeToString(&bytes)) {
    fail(ErrorKind::CannotWrite, "'{}' is larger than the 2 GiB of a protobuf message", name);
  }
  return bytes;
}

}  // namespace

std::string write_value_bytes(const RuntimeValue& value, const std::string& name,
                              const Type& type) {
  switch (value.kind) {
    case Kind::Tensor:
      return named(write_tensor(value.tensor), name);
    case Kind::Sequence:
      return named(write_sequence(value, type), name);
    case Kind::Optional:
      return named(write_optional(value, type), name);
    case Kind::Map:
      return named(write_map(value, type), name);
    case Kind::None:
      break;
  }
  fail(ErrorKind::Internal, "'{}' has no value to write", name);
}

}  // namespace onnxrun
