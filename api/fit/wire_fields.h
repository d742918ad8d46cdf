// Fields of Protocol Buffers' wire format, for messages that the library only writes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace onnxrun::fields {

template <typename T>
std::string raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

inline std::string varint(uint64_t v) {
  std::string bytes;
  for (; v >= 128; v >>= 7) bytes += static_cast<char>(v | 128);
  return bytes + static_cast<char>(v);
}
inline std::string key(int field, int wire) {
  return varint(static_cast<uint64_t>(field << 3 | wire));
}
inline std::string integer_field(int field, int64_t v) {
  return key(field, 0) + varint(static_cast<uint64_t>(v));
}
inline std::string double_field(int field, double v) { return key(field, 1) + raw(v); }
inline std::string float_field(int field, float v) { return key(field, 5) + raw(v); }
inline std::string bytes_field(int field, std::string_view v) {
  return key(field, 2) + varint(v.size()) + std::string(v);
}

}  // namespace onnxrun::fields
