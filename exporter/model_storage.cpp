#include "model_storage.h"

#include <onnx/onnx_pb.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "model_rewriter.h"
#include "payload_writer.h"
#include "wire.h"

namespace onnxrun {

namespace {

using onnx::TensorProto;

constexpr size_t smallest_external = 1024;
constexpr int64_t alignment = 64;  // of elements in the data file

bool holds_elements(int number) {
  switch (number) {
    case TensorProto::kFloatDataFieldNumber:
    case TensorProto::kInt32DataFieldNumber:
    case TensorProto::kStringDataFieldNumber:
    case TensorProto::kInt64DataFieldNumber:
    case TensorProto::kRawDataFieldNumber:
    case TensorProto::kDoubleDataFieldNumber:
    case TensorProto::kUint64DataFieldNumber:
    case TensorProto::kExternalDataFieldNumber:
    case TensorProto::kDataLocationFieldNumber:
      return true;
    default:
      return false;
  }
}

// The TensorProto without its elements and without what says where they are.
std::string without_elements(std::string_view tensor) {
  std::string result;
  wire::Reader reader(tensor);
  while (auto field = reader.next()) {
    if (!holds_elements(field->number)) result.append(field->header).append(field->content);
  }
  return result;
}

std::string with_raw_data(std::string_view tensor, std::string_view elements) {
  std::string result = without_elements(tensor);
  wire::append_bytes(result, TensorProto::kRawDataFieldNumber, elements);
  return result;
}

std::string read_part(const std::string& path, int64_t offset, int64_t length) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  int64_t size = file ? static_cast<int64_t>(file.tellg()) : -1;
  if (length == 0) length = size - offset;
  if (size < 0 || offset > size || length > size - offset || length < 0) {
    fail(ErrorKind::CannotWrite, "the input's data file '{}' cannot be read again", path);
  }
  std::string bytes(static_cast<size_t>(length), '\0');
  file.seekg(offset);
  if (!file.read(bytes.data(), length)) {
    fail(ErrorKind::CannotWrite, "the input's data file '{}' cannot be read again", path);
  }
  return bytes;
}

class Inliner {
 public:
  Inliner(const ModelSource& source, const std::map<int, Tensor>& payloads) : source_(source) {
    for (const auto& [index, value] : payloads) {
      const StoredTensor& stored = source.stored.at(static_cast<size_t>(index));
      if (value.dtype() != stored.dtype) {
        fail(ErrorKind::Usage, "tensor '{}' is {} in the file, {} was given", stored.name,
             to_string(stored.dtype), value.type_text());
      }
      payloads_[stored.path] = &value;
    }
  }

  std::string inlined(std::string bytes) {
    if (has_split_messages(bytes)) {
      onnx::ModelProto model;
      model.ParseFromString(bytes);
      bytes = model.SerializeAsString();
    }
    return rewrite_model(bytes,
                         [this](MessageKind kind, const WirePath& path, std::string_view message) {
                           return replace(kind, path, message);
                         });
  }

 private:
  std::optional<std::string> replace(MessageKind kind, const WirePath& path,
                                     std::string_view message) {
    auto it = payloads_.find(path);
    const Tensor* payload = it == payloads_.end() ? nullptr : it->second;
    if (payload && kind == MessageKind::Attribute) {
      return with_attribute_elements(message, *payload);
    }
    if (payload && kind == MessageKind::SparseTensor) {
      return with_sparse_elements(message, *payload);
    }
    if (kind != MessageKind::Tensor) return std::nullopt;
    TensorStorage storage = storage_of(message);
    if (!storage.external) {
      return payload ? std::optional(with_elements(message, *payload)) : std::nullopt;
    }
    if (payload) {
      return with_raw_data(message, {reinterpret_cast<const char*>(payload->raw()),
                                     static_cast<size_t>(payload->bytes())});
    }
    auto file = source_.data_files.find(storage.location);
    if (file == source_.data_files.end()) return std::nullopt;  // nothing of it was needed
    std::string elements = read_part(file->second, storage.offset, storage.length);
    total_ += elements.size();
    if (total_ > INT32_MAX) {
      fail(ErrorKind::CannotWrite, "with its tensors the model is larger than the 2 GiB of a file");
    }
    return with_raw_data(message, elements);
  }

  const ModelSource& source_;
  std::map<WirePath, const Tensor*> payloads_;
  size_t total_ = 0;
};

template <typename List>
std::string bytes_of_list(const List& list) {
  std::string bytes(static_cast<size_t>(list.size()) * sizeof(list[0]), '\0');
  if (list.size() > 0) std::memcpy(bytes.data(), list.data(), bytes.size());
  return bytes;
}

// Of int32_data, where narrower types have an element a number.
std::string narrowed(const TensorProto& tensor) {
  auto dtype = static_cast<DType>(tensor.data_type());
  int width = bits_of(dtype) / 8;
  if (bits_of(dtype) % 8 != 0 || is_packed(dtype)) return {};
  std::string bytes;
  for (int32_t number : tensor.int32_data()) {
    bytes.append(reinterpret_cast<const char*>(&number), static_cast<size_t>(width));
  }
  return bytes;
}

// The elements as raw_data has them; empty for strings and other tensors that stay where they are.
std::string raw_elements(std::string_view message) {
  TensorProto tensor;
  if (message.size() > INT32_MAX ||
      !tensor.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    fail(ErrorKind::BadModel, "a tensor is damaged");
  }
  if (tensor.has_raw_data()) return std::move(*tensor.mutable_raw_data());
  if (tensor.float_data_size() > 0) return bytes_of_list(tensor.float_data());
  if (tensor.double_data_size() > 0) return bytes_of_list(tensor.double_data());
  if (tensor.int64_data_size() > 0) return bytes_of_list(tensor.int64_data());
  if (tensor.data_type() == TensorProto::UINT64) return bytes_of_list(tensor.uint64_data());
  return narrowed(tensor);
}

void append_entry(std::string& tensor, const std::string& key, const std::string& value) {
  onnx::StringStringEntryProto entry;
  entry.set_key(key);
  entry.set_value(value);
  wire::append_bytes(tensor, TensorProto::kExternalDataFieldNumber, entry.SerializeAsString());
}

// The TensorProto whose elements go to `data`, the file `location`.
std::string moved_out(std::string_view message, const std::string& elements, AtomicFile& data,
                      const std::string& location) {
  int64_t gap = (alignment - data.position() % alignment) % alignment;
  data.write(std::string(static_cast<size_t>(gap), '\0'));
  int64_t offset = data.position();
  data.write(elements);
  std::string tensor = without_elements(message);
  append_entry(tensor, "location", location);
  append_entry(tensor, "offset", std::to_string(offset));
  append_entry(tensor, "length", std::to_string(elements.size()));
  wire::append_varint(tensor, TensorProto::kDataLocationFieldNumber << 3);
  wire::append_varint(tensor, TensorProto::EXTERNAL);
  return tensor;
}

bool is_main_initializer(const WirePath& path) {
  return path.size() == 2 && path[0].first == onnx::ModelProto::kGraphFieldNumber &&
         path[1].first == onnx::GraphProto::kInitializerFieldNumber;
}

}  // namespace

std::string inlined_model(const Graph& imported, const std::map<int, Tensor>& payloads) {
  if (!imported.source || imported.source->bytes.empty()) {
    fail(ErrorKind::Usage, "the graph was not read from a model file");
  }
  return Inliner(*imported.source, payloads).inlined(imported.source->file_bytes());
}

void write_model(const std::string& model, const std::string& path, Storage storage) {
  if (storage == Storage::Inline) return write_file(path, model);
  std::string location = std::filesystem::path(path).filename().string() + ".data";
  std::unique_ptr<AtomicFile> data;
  std::string outer = rewrite_model(model,
                                    [&](MessageKind kind, const WirePath& where,
                                        std::string_view message) -> std::optional<std::string> {
                                      bool candidate =
                                          kind == MessageKind::Tensor && is_main_initializer(where);
                                      if (!candidate || message.size() < smallest_external)
                                        return std::nullopt;
                                      std::string elements = raw_elements(message);
                                      if (elements.size() < smallest_external) return std::nullopt;
                                      if (!data)
                                        data = std::make_unique<AtomicFile>(path + ".data");
                                      return moved_out(message, elements, *data, location);
                                    });
  AtomicFile file(path);
  file.write(outer);
  if (!data) return file.commit();
  AtomicFile* together[] = {data.get(), &file};
  AtomicFile::commit(together);
}

}  // namespace onnxrun
