// The wire form of protobuf messages, walked without parsing them: what is not changed stays the
// same byte for byte, whatever it is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace onnxrun::wire {

enum class Type : uint8_t {
  Varint = 0,
  Fixed64 = 1,
  Bytes = 2,
  Group = 3,
  EndGroup = 4,
  Fixed32 = 5
};

// One occurrence of a field.
struct Field {
  int number = 0;
  Type type = Type::Varint;
  std::string_view header;   // tag and, for Bytes, length
  std::string_view content;  // without them; of a group its fields and end tag
};

// Reads fields one after the other. Throws BadModel if the bytes are no message.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::optional<Field> next();

 private:
  std::string_view rest_;
};

// Reads a varint from the front of `bytes` and removes it. Throws BadModel.
uint64_t take_varint(std::string_view& bytes);
void append_varint(std::string& to, uint64_t value);

// Appends the field with other content; its header changes only if a Bytes field's length does.
void append_field(std::string& to, const Field& field, std::string_view content);
// A new field of type Bytes.
void append_bytes(std::string& to, int number, std::string_view content);

}  // namespace onnxrun::wire
