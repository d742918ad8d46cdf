#include "proto_writer.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <bit>

namespace onnxrun {

namespace {

using onnx::AttributeProto;

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

void write_dim(const Dim& dim, onnx::TensorShapeProto::Dimension& to) {
  if (dim.is_known()) to.set_dim_value(dim.value());
  if (dim.is_symbolic()) to.set_dim_param(dim.to_string());
}

struct AttributeWriter {
  AttributeProto& to;

  void operator()(int64_t v) const {
    to.set_type(AttributeProto::INT);
    to.set_i(v);
  }
  void operator()(float v) const {
    to.set_type(AttributeProto::FLOAT);
    to.set_f(v);
  }
  void operator()(const std::string& v) const {
    to.set_type(AttributeProto::STRING);
    to.set_s(v);
  }
  void operator()(const Tensor& v) const {
    to.set_type(AttributeProto::TENSOR);
    *to.mutable_t() = write_tensor(v);
  }
  void operator()(const Type& v) const {
    to.set_type(AttributeProto::TYPE_PROTO);
    *to.mutable_tp() = write_type(v);
  }
  void operator()(const std::vector<int64_t>& list) const {
    to.set_type(AttributeProto::INTS);
    to.mutable_ints()->Add(list.begin(), list.end());
  }
  void operator()(const std::vector<float>& list) const {
    to.set_type(AttributeProto::FLOATS);
    to.mutable_floats()->Add(list.begin(), list.end());
  }
  void operator()(const std::vector<std::string>& list) const {
    to.set_type(AttributeProto::STRINGS);
    for (const std::string& v : list) to.add_strings(v);
  }
  void operator()(const std::vector<Tensor>& list) const {
    to.set_type(AttributeProto::TENSORS);
    for (const Tensor& v : list) *to.add_tensors() = write_tensor(v);
  }
  void operator()(const std::vector<Type>& list) const {
    to.set_type(AttributeProto::TYPE_PROTOS);
    for (const Type& v : list) *to.add_type_protos() = write_type(v);
  }
};

}  // namespace

onnx::TensorProto write_tensor(const Tensor& tensor, const std::string& name) {
  onnx::TensorProto proto;
  if (!name.empty()) proto.set_name(name);
  proto.set_data_type(static_cast<int32_t>(tensor.dtype()));
  proto.mutable_dims()->Add(tensor.dims().begin(), tensor.dims().end());
  if (tensor.dtype() == DType::String) {
    for (const std::string& s : tensor.span<std::string>()) proto.add_string_data(s);
  } else {
    proto.set_raw_data(tensor.raw(), static_cast<size_t>(tensor.bytes()));
  }
  return proto;
}

onnx::TypeProto write_type(const Type& type) {
  onnx::TypeProto proto;
  switch (type.kind) {
    case Type::Kind::Unknown:
      break;
    case Type::Kind::Tensor: {
      auto* tensor = proto.mutable_tensor_type();
      tensor->set_elem_type(static_cast<int32_t>(type.dtype));
      if (!type.shape) break;
      tensor->mutable_shape();
      for (const Dim& dim : *type.shape) write_dim(dim, *tensor->mutable_shape()->add_dim());
      break;
    }
    case Type::Kind::Sequence:
      *proto.mutable_sequence_type()->mutable_elem_type() = write_type(*type.element);
      break;
    case Type::Kind::Optional:
      *proto.mutable_optional_type()->mutable_elem_type() = write_type(*type.element);
      break;
    case Type::Kind::Map:
      proto.mutable_map_type()->set_key_type(static_cast<int32_t>(type.dtype));
      *proto.mutable_map_type()->mutable_value_type() = write_type(*type.element);
      break;
  }
  return proto;
}

onnx::AttributeProto write_attribute(const std::string& name, const AttributeValue& value) {
  AttributeProto proto;
  proto.set_name(name);
  std::visit(AttributeWriter{proto}, value);
  return proto;
}

void write_metadata(google::protobuf::Message& message, int number,
                    const std::map<std::string, std::string>& metadata) {
  const auto* field = message.GetDescriptor()->FindFieldByNumber(number);
  const auto* reflection = message.GetReflection();
  for (const auto& [key, value] : metadata) {
    onnx::StringStringEntryProto entry;
    entry.set_key(key);
    entry.set_value(value);
    if (field) {
      reflection->AddMessage(&message, field)->CopyFrom(entry);
    } else {
      reflection->MutableUnknownFields(&message)->AddLengthDelimited(number,
                                                                     entry.SerializeAsString());
    }
  }
}

}  // namespace onnxrun
