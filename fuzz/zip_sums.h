// Zip archives with the checksums of their contents, so that what is damaged is not the sums alone.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string>

namespace onnxrun::fuzz {

// Writes the sums of all stored entries that the directory lists where they lie inside the file.
inline void mend_zip_sums(std::string& bytes) {
  auto number = [&](size_t at, int length) {
    uint32_t n = 0;
    for (int k = length - 1; k >= 0; --k) {
      n = n << 8 | static_cast<uint8_t>(bytes[at + static_cast<size_t>(k)]);
    }
    return size_t{n};
  };
  constexpr size_t entry_header = 46, local_header = 30;
  for (size_t at = bytes.find("PK\1\2"); at != std::string::npos;
       at = bytes.find("PK\1\2", at + 4)) {
    if (at + entry_header > bytes.size() || number(at + 10, 2) != 0) continue;
    const size_t length = number(at + 20, 4), local = number(at + 42, 4);
    if (local > bytes.size() || bytes.size() - local < local_header) continue;
    const size_t begin = local + local_header + number(local + 26, 2) + number(local + 28, 2);
    if (begin > bytes.size() || bytes.size() - begin < length) continue;
    const uint32_t sum = static_cast<uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(&bytes[begin]), static_cast<uInt>(length)));
    std::memcpy(&bytes[local + 14], &sum, sizeof sum);
    std::memcpy(&bytes[at + 16], &sum, sizeof sum);
  }
}

}  // namespace onnxrun::fuzz
