#include "wire.h"

#include "base/error.h"

namespace onnxrun::wire {

namespace {

constexpr int max_group_depth = 100;

[[noreturn]] void damaged() { fail(ErrorKind::BadModel, "the message is damaged"); }

std::string_view take(std::string_view& bytes, uint64_t count) {
  if (count > bytes.size()) damaged();
  std::string_view front = bytes.substr(0, count);
  bytes.remove_prefix(count);
  return front;
}

// Removes one field after its tag.
void skip(std::string_view& bytes, int number, Type type, int depth) {
  switch (type) {
    case Type::Varint:
      take_varint(bytes);
      return;
    case Type::Fixed64:
      take(bytes, 8);
      return;
    case Type::Fixed32:
      take(bytes, 4);
      return;
    case Type::Bytes: {
      uint64_t length = take_varint(bytes);
      take(bytes, length);
      return;
    }
    case Type::Group: {
      if (depth > max_group_depth) damaged();
      for (;;) {
        uint64_t tag = take_varint(bytes);
        if (static_cast<Type>(tag & 7) == Type::EndGroup) {
          if (static_cast<int>(tag >> 3) != number) damaged();
          return;
        }
        skip(bytes, static_cast<int>(tag >> 3), static_cast<Type>(tag & 7), depth + 1);
      }
    }
    default:
      damaged();
  }
}

}  // namespace

uint64_t take_varint(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    auto byte = static_cast<uint8_t>(take(bytes, 1).front());
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  damaged();
}

void append_varint(std::string& to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<char>(value | 0x80));
  to.push_back(static_cast<char>(value));
}

std::optional<Field> Reader::next() {
  if (rest_.empty()) return std::nullopt;
  const char* begin = rest_.data();
  uint64_t tag = take_varint(rest_);
  Field field;
  field.number = static_cast<int>(tag >> 3);
  field.type = static_cast<Type>(tag & 7);
  if (field.type == Type::Bytes) {
    uint64_t length = take_varint(rest_);
    field.header = {begin, static_cast<size_t>(rest_.data() - begin)};
    field.content = take(rest_, length);
    return field;
  }
  field.header = {begin, static_cast<size_t>(rest_.data() - begin)};
  const char* content = rest_.data();
  skip(rest_, field.number, field.type, 0);
  field.content = {content, static_cast<size_t>(rest_.data() - content)};
  return field;
}

void append_field(std::string& to, const Field& field, std::string_view content) {
  if (field.type != Type::Bytes || content.size() == field.content.size()) {
    to.append(field.header).append(content);
  } else {
    append_bytes(to, field.number, content);
  }
}

void append_bytes(std::string& to, int number, std::string_view content) {
  append_varint(to, static_cast<uint64_t>(number) << 3 | static_cast<uint64_t>(Type::Bytes));
  append_varint(to, content.size());
  to.append(content);
}

}  // namespace onnxrun::wire
