#include "payload_writer.h"

#include <onnx/onnx_pb.h>

#include <charconv>
#include <cstring>

#include "base/error.h"
#include "entry.h"
#include "wire.h"

namespace onnxrun {

namespace {

using onnx::AttributeProto;
using onnx::TensorProto;

// How the elements lie in a field: in one string of bytes, as fixed-size or variable-size numbers
// (packed or one by one), or as strings.
enum class Layout : uint8_t { Raw, Fixed, Varint, Text };

struct ElementField {
  int number;
  Layout layout;
};

constexpr ElementField tensor_fields[] = {
    {TensorProto::kRawDataFieldNumber, Layout::Raw},
    {TensorProto::kFloatDataFieldNumber, Layout::Fixed},
    {TensorProto::kInt32DataFieldNumber, Layout::Varint},
    {TensorProto::kStringDataFieldNumber, Layout::Text},
    {TensorProto::kInt64DataFieldNumber, Layout::Varint},
    {TensorProto::kDoubleDataFieldNumber, Layout::Fixed},
    {TensorProto::kUint64DataFieldNumber, Layout::Varint},
};
constexpr ElementField attribute_fields[] = {
    {AttributeProto::kFFieldNumber, Layout::Fixed},
    {AttributeProto::kIFieldNumber, Layout::Varint},
    {AttributeProto::kSFieldNumber, Layout::Text},
    {AttributeProto::kFloatsFieldNumber, Layout::Fixed},
    {AttributeProto::kIntsFieldNumber, Layout::Varint},
    {AttributeProto::kStringsFieldNumber, Layout::Text},
};

// Hands out the elements of a tensor in the form that a field wants.
class ElementSource {
 public:
  explicit ElementSource(const Tensor& value) : value_(value) {}

  std::string_view bytes(size_t count) {
    auto total = static_cast<size_t>(value_.bytes());
    if (count > total - at_) surplus();
    const char* begin = reinterpret_cast<const char*>(value_.raw()) + at_;
    at_ += count;
    return {begin, count};
  }

  const std::string& text() {
    if (at_ >= static_cast<size_t>(value_.size())) surplus();
    return value_.data<std::string>()[at_++];
  }

  // As protobuf's varints hold the element: 4- and 2-bit types as packed bytes, floats as bit
  // patterns, those of six bits each by itself.
  uint64_t number() {
    switch (value_.dtype()) {
      case DType::Float6E2M3:
      case DType::Float6E3M2:
        return six_bits();
      case DType::Int64:
      case DType::UInt64:
        return fixed<uint64_t>();
      case DType::UInt32:
        return fixed<uint32_t>();
      case DType::Int32:
        return extended<int32_t>();
      case DType::Int16:
        return extended<int16_t>();
      case DType::Int8:
        return extended<int8_t>();
      default:
        return bits_of(value_.dtype()) == 16 ? fixed<uint16_t>() : fixed<uint8_t>();
    }
  }

  bool empty() const {
    auto total = value_.dtype() == DType::String ? value_.size() : value_.bytes();
    return at_ == static_cast<size_t>(total);
  }

 private:
  template <typename T>
  T fixed() {
    T element;
    std::memcpy(&element, bytes(sizeof(T)).data(), sizeof(T));
    return element;
  }
  template <typename T>
  uint64_t extended() {
    return static_cast<uint64_t>(static_cast<int64_t>(fixed<T>()));
  }
  uint64_t six_bits() {
    if (element_ >= value_.size()) surplus();
    uint8_t bits = packed_bits(value_.raw(), element_++, 6);
    if (element_ == value_.size()) at_ = static_cast<size_t>(value_.bytes());
    return bits;
  }
  [[noreturn]] void surplus() const {
    fail(ErrorKind::BadModel, "more elements are stored than {} has", value_.type_text());
  }

  const Tensor& value_;
  size_t at_ = 0;        // bytes handed out, strings
  int64_t element_ = 0;  // 6-bit elements handed out as numbers
};

std::string packed_varints(std::string_view old, ElementSource& source) {
  std::string result;
  while (!old.empty()) {
    wire::take_varint(old);
    wire::append_varint(result, source.number());
  }
  return result;
}

std::string new_content(const wire::Field& field, Layout layout, const Tensor& value,
                        ElementSource& source) {
  switch (layout) {
    case Layout::Raw: {
      // More bytes than elements are legal; the rest stays.
      std::string content(field.content);
      std::string_view bytes = source.bytes(static_cast<size_t>(value.bytes()));
      if (bytes.size() > content.size()) fail(ErrorKind::BadModel, "raw_data is too short");
      return content.replace(0, bytes.size(), bytes);
    }
    case Layout::Fixed:
      return std::string(source.bytes(field.content.size()));
    case Layout::Text:
      return source.text();
    case Layout::Varint:
      return packed_varints(field.content, source);
  }
  return {};
}

template <size_t N>
const ElementField* find_field(const ElementField (&fields)[N], int number) {
  for (const ElementField& f : fields) {
    if (f.number == number) return &f;
  }
  return nullptr;
}

template <size_t N>
std::string replace_elements(std::string_view message, const ElementField (&fields)[N],
                             const Tensor& value) {
  ElementSource source(value);
  wire::Reader reader(message);
  std::string result;
  result.reserve(message.size());
  while (auto field = reader.next()) {
    const ElementField* known = find_field(fields, field->number);
    bool empty_raw = known && known->layout == Layout::Raw && field->content.empty();
    if (known && !empty_raw && !source.empty()) {
      wire::append_field(result, *field, new_content(*field, known->layout, value, source));
    } else {
      result.append(field->header).append(field->content);
    }
  }
  if (!source.empty())
    fail(ErrorKind::BadModel, "fewer elements are stored than {} has", value.type_text());
  return result;
}

int64_t number_of(const std::string& text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    fail(ErrorKind::BadModel, "external data offset is '{}'", text);
  }
  return value;
}

// The entry with another value, all else kept.
std::string entry_with_value(std::string_view entry, const std::string& value) {
  std::string result;
  wire::Reader reader(entry);
  while (auto field = reader.next()) {
    bool is_value = field->number == onnx::StringStringEntryProto::kValueFieldNumber;
    wire::append_field(result, *field, is_value ? std::string_view(value) : field->content);
  }
  return result;
}

int64_t linear_index(const Tensor& indices, int64_t i, const Dims& dims) {
  const int64_t* index = indices.data<int64_t>();
  if (indices.rank() == 1) return index[i];
  auto rank = static_cast<int64_t>(dims.size());
  int64_t at = 0;
  for (int64_t axis = 0; axis < rank; ++axis) {
    at = at * dims[static_cast<size_t>(axis)] + index[i * rank + axis];
  }
  return at;
}

Tensor read_indices(const TensorProto& proto) {
  Tensor indices(DType::Int64, Dims(proto.dims().begin(), proto.dims().end()));
  auto bytes = static_cast<size_t>(indices.bytes());
  if (proto.has_raw_data() && proto.raw_data().size() >= bytes) {
    std::memcpy(indices.raw(), proto.raw_data().data(), bytes);
  } else if (proto.int64_data_size() == indices.size()) {
    std::memcpy(indices.raw(), proto.int64_data().data(), bytes);
  } else {
    fail(ErrorKind::CannotWrite, "sparse indices in external data cannot be followed");
  }
  return indices;
}

}  // namespace

TensorStorage storage_of(std::string_view tensor_proto) {
  TensorStorage storage;
  wire::Reader reader(tensor_proto);
  while (auto field = reader.next()) {
    if (field->number == TensorProto::kDataLocationFieldNumber) {
      std::string_view content = field->content;
      storage.external = wire::take_varint(content) == TensorProto::EXTERNAL;
    }
    if (field->number == TensorProto::kNameFieldNumber) storage.name = field->content;
    if (field->number != TensorProto::kExternalDataFieldNumber) continue;
    onnx::StringStringEntryProto entry = read_entry(field->content, "an external data entry");
    if (entry.key() == "location") storage.location = entry.value();
    if (entry.key() == "offset") storage.offset = number_of(entry.value());
    if (entry.key() == "length") storage.length = number_of(entry.value());
  }
  return storage;
}

std::string with_elements(std::string_view tensor_proto, const Tensor& value) {
  return replace_elements(tensor_proto, tensor_fields, value);
}

std::string with_attribute_elements(std::string_view attribute_proto, const Tensor& value) {
  return replace_elements(attribute_proto, attribute_fields, value);
}

std::string with_sparse_elements(std::string_view sparse_proto, const Tensor& value) {
  onnx::SparseTensorProto sparse;
  if (!sparse.ParseFromArray(sparse_proto.data(), static_cast<int>(sparse_proto.size()))) {
    fail(ErrorKind::BadModel, "a sparse tensor is damaged");
  }
  Tensor indices = read_indices(sparse.indices());
  int64_t count = indices.rank() == 0 ? 0 : indices.dim(0);
  int64_t size = bytes_of(value.dtype(), 1);
  Tensor values(value.dtype(), {count});
  Tensor rest = value.clone();
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = linear_index(indices, i, value.dims());
    if (at < 0 || at >= value.size()) fail(ErrorKind::BadModel, "a sparse index is out of range");
    std::memcpy(values.raw() + i * size, value.raw() + at * size, static_cast<size_t>(size));
    std::memset(rest.raw() + at * size, 0, static_cast<size_t>(size));
  }
  for (int64_t i = 0; i < rest.bytes(); ++i) {
    if (rest.raw()[i] != std::byte{0}) {
      fail(ErrorKind::CannotWrite,
           "the tensor is stored sparse, but an element without a place is no longer zero");
    }
  }
  std::string result;
  wire::Reader reader(sparse_proto);
  while (auto field = reader.next()) {
    bool is_values = field->number == onnx::SparseTensorProto::kValuesFieldNumber;
    wire::append_field(
        result, *field,
        is_values ? with_elements(field->content, values) : std::string(field->content));
  }
  return result;
}

std::string with_location(std::string_view tensor_proto,
                          const std::map<std::string, std::string>& names) {
  std::string result;
  wire::Reader reader(tensor_proto);
  while (auto field = reader.next()) {
    if (field->number == TensorProto::kExternalDataFieldNumber) {
      onnx::StringStringEntryProto entry = read_entry(field->content, "an external data entry");
      auto it = names.find(entry.value());
      if (entry.key() == "location" && it != names.end()) {
        wire::append_field(result, *field, entry_with_value(field->content, it->second));
        continue;
      }
    }
    result.append(field->header).append(field->content);
  }
  return result;
}

}  // namespace onnxrun
