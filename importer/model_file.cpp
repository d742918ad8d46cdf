#include "model_file.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace onnxrun {

namespace {

// Smaller ones are not worth a read of their own.
constexpr uint64_t min_raw_bytes = 4096;

enum WireType : uint32_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

void append_varint(std::string& to, uint64_t value) {
  for (; value >= 128; value >>= 7) to += static_cast<char>(value | 128);
  to += static_cast<char>(value);
}

void append_message(std::string& to, uint32_t field, const std::string& content) {
  append_varint(to, field << 3 | WireType::Bytes);
  append_varint(to, content.size());
  to += content;
}

// The file from front to back.
class Cursor {
 public:
  explicit Cursor(const InputFile& file) : file_(file) {}

  int64_t position() const { return position_; }
  void skip(int64_t count) { position_ += count; }

  // Appends `count` bytes to `to`.
  void copy(int64_t count, std::string& to) {
    while (count > 0) {
      fill();
      int64_t n = std::min(count, start_ + static_cast<int64_t>(buffer_.size()) - position_);
      to.append(buffer_, static_cast<size_t>(position_ - start_), static_cast<size_t>(n));
      position_ += n;
      count -= n;
    }
  }

  // False if there is none before `end`.
  bool varint(int64_t end, uint64_t& value, std::string& to) {
    value = 0;
    for (int shift = 0; shift < 64 && position_ < end; shift += 7) {
      fill();
      auto byte = static_cast<unsigned char>(buffer_[static_cast<size_t>(position_ - start_)]);
      ++position_;
      to += static_cast<char>(byte);
      value |= uint64_t{byte & 127u} << shift;
      if (byte < 128) return true;
    }
    return false;
  }

 private:
  void fill() {
    if (position_ >= start_ && position_ < start_ + static_cast<int64_t>(buffer_.size())) return;
    start_ = position_;
    buffer_.resize(static_cast<size_t>(std::min<int64_t>(1 << 16, file_.size() - start_)));
    file_.read(start_, std::as_writable_bytes(std::span(buffer_)));
  }

  const InputFile& file_;
  int64_t position_ = 0, start_ = 0;
  std::string buffer_;
};

}  // namespace

// Copies messages field by field; false where something is no message.
class ModelFile::Splitter {
 public:
  explicit Splitter(ModelFile& to) : to_(to), in_(to.file_) {}

  bool split() {
    bool seen = false;
    return fields(to_.file_.size(), to_.message_, [&](const Field& field, std::string& message) {
      bool graph =
          field.number == onnx::ModelProto::kGraphFieldNumber && !std::exchange(seen, true);
      return graph ? nested(field, message,
                            [this](int64_t end, std::string& m) { return graph_fields(end, m); })
                   : copy(field, message);
    });
  }

 private:
  struct Field {
    uint32_t number;
    int64_t length;
    std::string head;
  };

  // Calls on_bytes for each length-delimited field, at the start of its content.
  template <typename F>
  bool fields(int64_t end, std::string& message, const F& on_bytes) {
    while (in_.position() < end) {
      Field field;
      uint64_t tag = 0, value = 0;
      if (!in_.varint(end, tag, field.head) || tag >> 32 != 0) return false;
      field.number = static_cast<uint32_t>(tag >> 3);
      switch (tag & 7) {
        case WireType::Varint:
          if (!in_.varint(end, value, field.head)) return false;
          field.length = 0;
          break;
        case WireType::Fixed64:
        case WireType::Fixed32:
          field.length = (tag & 7) == WireType::Fixed64 ? 8 : 4;
          break;
        case WireType::Bytes:
          if (!in_.varint(end, value, field.head)) return false;
          if (value > static_cast<uint64_t>(end - in_.position())) return false;
          field.length = static_cast<int64_t>(value);
          if (!on_bytes(field, message)) return false;
          continue;
        default:
          return false;
      }
      if (field.length > end - in_.position() || !copy(field, message)) return false;
    }
    return true;
  }

  bool copy(const Field& field, std::string& message) {
    to_.check_size(static_cast<int64_t>(to_.rest_.size()) + field.length);
    size_t begin = message.size();
    message += field.head;
    in_.copy(field.length, message);
    to_.rest_.append(message, begin);
    return true;
  }

  // The length of a message that loses something is another one.
  template <typename F>
  bool nested(const Field& field, std::string& message, const F& content_of) {
    to_.rest_ += field.head;
    std::string content;
    if (!content_of(in_.position() + field.length, content)) return false;
    append_message(message, field.number, content);
    return true;
  }

  bool graph_fields(int64_t end, std::string& message) {
    int index = 0;
    return fields(end, message, [&](const Field& field, std::string& m) {
      if (field.number != onnx::GraphProto::kInitializerFieldNumber) return copy(field, m);
      int own = index++;
      return nested(field, m, [&](int64_t tensor_end, std::string& tensor) {
        return tensor_fields(tensor_end, tensor, own);
      });
    });
  }

  bool tensor_fields(int64_t end, std::string& message, int index) {
    bool seen = false;
    return fields(end, message, [&](const Field& field, std::string& m) {
      if (field.number != onnx::TensorProto::kRawDataFieldNumber) return copy(field, m);
      // The last of several counts: a file like that is read as it is.
      if (std::exchange(seen, true)) return false;
      if (field.length < static_cast<int64_t>(min_raw_bytes)) return copy(field, m);
      to_.rest_ += field.head;
      to_.raw_[index] = {in_.position(), field.length, to_.rest_.size()};
      in_.skip(field.length);
      return true;
    });
  }

  ModelFile& to_;
  Cursor in_;
};

ModelFile::ModelFile(const std::string& path, int64_t max_bytes)
    : file_(path, ErrorKind::BadModel), max_bytes_(max_bytes) {
  if (Splitter(*this).split()) return;
  check_size(file_.size());
  raw_.clear();
  message_ = file_.read_all();
  rest_ = message_;
}

// They are there twice, with and without what is cut out of them.
void ModelFile::check_size(int64_t bytes) const {
  if (bytes <= std::max<int64_t>(max_bytes_ / 2, 1 << 20)) return;
  fail(ErrorKind::Limit, "the model without its tensors has more bytes than the {} allowed",
       max_bytes_);
}

const ModelFile::RawData* ModelFile::raw_data(int index) const {
  auto it = raw_.find(index);
  return it == raw_.end() ? nullptr : &it->second;
}

void ModelFile::read(const RawData& raw, std::span<std::byte> to) const {
  file_.read(raw.offset, to);
}

// A bool that was neither 0 nor 1, and bits behind the last packed element, are not in the tensor.
static bool is_as_stored(const Tensor& t, int64_t bytes) {
  return t.defined() && t.dtype() != DType::Bool && t.dtype() != DType::String &&
         t.bytes() == bytes && t.size() * bits_of(t.dtype()) == bytes * 8;
}

void ModelFile::keep(ModelSource& source, const std::function<const Tensor*(int index)>& elements) {
  message_ = {};
  std::vector<std::pair<RawData, int>> by_place;
  for (const auto& [index, raw] : raw_) by_place.emplace_back(raw, index);
  std::sort(by_place.begin(), by_place.end(),
            [](const auto& a, const auto& b) { return a.first.at < b.first.at; });
  std::string whole;
  size_t done = 0;
  for (const auto& [raw, index] : by_place) {
    whole.append(rest_, done, raw.at - done);
    done = raw.at;
    const Tensor* tensor = elements(index);
    if (tensor && is_as_stored(*tensor, raw.bytes)) {
      source.cuts.push_back({whole.size(), *tensor});
      continue;
    }
    size_t at = whole.size();
    whole.resize(at + static_cast<size_t>(raw.bytes));
    read(raw, std::as_writable_bytes(std::span(whole).subspan(at)));
  }
  source.bytes = std::move(whole.append(rest_, done));
  rest_ = {};
}

}  // namespace onnxrun
