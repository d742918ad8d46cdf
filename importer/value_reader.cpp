#include "value_reader.h"

#include <onnx/onnx-data_pb.h>

#include "base/error.h"
#include "input_file.h"
#include "tensor_decoder.h"

namespace onnxrun {

namespace {

template <typename Proto>
Proto parse(std::string_view bytes, std::string_view what) {
  silence_protobuf();
  Proto proto;
  if (bytes.size() > INT32_MAX ||
      !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    fail(ErrorKind::BadInput, "no {} but {} bytes of something else, or damaged", what,
         bytes.size());
  }
  return proto;
}

class ValueReader {
 public:
  explicit ValueReader(MemoryBudget& budget) : decoder_(budget, nullptr) {}

  RuntimeValue sequence(const onnx::SequenceProto& p) const {
    std::vector<RuntimeValue> items;
    switch (p.elem_type()) {
      case onnx::SequenceProto::TENSOR:
        return list(p.tensor_values());
      case onnx::SequenceProto::SPARSE_TENSOR:
        return list(p.sparse_tensor_values());
      case onnx::SequenceProto::SEQUENCE:
        for (const auto& v : p.sequence_values()) items.push_back(sequence(v));
        break;
      case onnx::SequenceProto::MAP:
        for (const auto& v : p.map_values()) items.push_back(map(v));
        break;
      case onnx::SequenceProto::OPTIONAL:
        for (const auto& v : p.optional_values()) items.push_back(optional(v));
        break;
      default:
        break;
    }
    return RuntimeValue::sequence(std::move(items));
  }

  RuntimeValue optional(const onnx::OptionalProto& p) const {
    std::vector<RuntimeValue> item;
    switch (p.elem_type()) {
      case onnx::OptionalProto::TENSOR:
        if (p.has_tensor_value()) item.push_back(decoder_.decode(p.tensor_value()));
        break;
      case onnx::OptionalProto::SPARSE_TENSOR:
        if (p.has_sparse_tensor_value()) item.push_back(decoder_.decode(p.sparse_tensor_value()));
        break;
      case onnx::OptionalProto::SEQUENCE:
        if (p.has_sequence_value()) item.push_back(sequence(p.sequence_value()));
        break;
      case onnx::OptionalProto::MAP:
        if (p.has_map_value()) item.push_back(map(p.map_value()));
        break;
      case onnx::OptionalProto::OPTIONAL:
        if (p.has_optional_value()) item.push_back(optional(p.optional_value()));
        break;
      default:
        break;
    }
    return RuntimeValue::optional(std::move(item));
  }

  RuntimeValue map(const onnx::MapProto& p) const {
    Tensor keys;
    if (p.key_type() == onnx::TensorProto::STRING) {
      keys = Tensor::of<std::string>(
          {p.string_keys_size()},
          std::vector<std::string>(p.string_keys().begin(), p.string_keys().end()));
    } else {
      keys = Tensor::of<int64_t>({p.keys_size()},
                                 std::vector<int64_t>(p.keys().begin(), p.keys().end()));
    }
    RuntimeValue values = sequence(p.values());
    if (static_cast<int64_t>(values.items->size()) != keys.size()) {
      fail(ErrorKind::BadInput, "a map has {} keys and {} values", keys.size(),
           values.items->size());
    }
    return RuntimeValue::map(std::move(keys), *values.items);
  }

  RuntimeValue tensor(const onnx::TensorProto& p) const { return decoder_.decode(p); }

 private:
  template <typename Protos>
  RuntimeValue list(const Protos& protos) const {
    std::vector<RuntimeValue> items;
    for (const auto& p : protos) items.push_back(decoder_.decode(p));
    return RuntimeValue::sequence(std::move(items));
  }

  TensorDecoder decoder_;
};

}  // namespace

RuntimeValue read_value_bytes(std::string_view bytes, const Type& expected, int64_t max_memory) {
  MemoryBudget budget(memory_limit(max_memory));
  ValueReader reader(budget);
  try {
    switch (expected.kind) {
      case Type::Kind::Sequence:
        return reader.sequence(parse<onnx::SequenceProto>(bytes, "SequenceProto"));
      case Type::Kind::Optional:
        return reader.optional(parse<onnx::OptionalProto>(bytes, "OptionalProto"));
      case Type::Kind::Map:
        return reader.map(parse<onnx::MapProto>(bytes, "MapProto"));
      default:
        return reader.tensor(parse<onnx::TensorProto>(bytes, "TensorProto"));
    }
  } catch (const Error& e) {
    // What is a bad model inside a model is bad data in a data file.
    if (e.kind() == ErrorKind::BadModel) throw e.as(ErrorKind::BadInput);
    throw;
  }
}

RuntimeValue read_value_file(const std::string& path, const Type& expected, int64_t max_memory) {
  try {
    return read_value_bytes(read_input_file(path, ErrorKind::BadInput), expected, max_memory);
  } catch (const Error& e) {
    throw e.in_file(path);
  }
}

std::string read_value_name(std::string_view bytes, const Type& expected) {
  switch (expected.kind) {
    case Type::Kind::Sequence:
      return parse<onnx::SequenceProto>(bytes, "SequenceProto").name();
    case Type::Kind::Optional:
      return parse<onnx::OptionalProto>(bytes, "OptionalProto").name();
    case Type::Kind::Map:
      return parse<onnx::MapProto>(bytes, "MapProto").name();
    default:
      return parse<onnx::TensorProto>(bytes, "TensorProto").name();
  }
}

}  // namespace onnxrun
