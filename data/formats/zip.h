// ZIP archives, as far as .npz files need them (PKWARE APPNOTE 6.3).
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "tensor/byte_source.h"

namespace onnxrun {

struct ZipEntry {
  std::string name;  // the bytes of the archive, unchanged
  int64_t size = 0;  // inflated
  int64_t packed_size = 0;
  int64_t offset = 0;  // of the packed bytes in the file
  uint32_t crc = 0;
  bool deflated = false;
};

// Reads stored and deflated entries, with or without zip64 sizes and data descriptors. The archive
// is taken at its word only where it agrees with itself: entries must lie inside the file, must not
// overlap (as those of zip bombs do), their names must be unique and equal in both headers.
class ZipReader {
 public:
  // Throws BadInput if the file is no archive, is damaged, or is encrypted.
  ZipReader(DataFile file, MemoryBudget& budget);

  // In the order of the archive's directory.
  const std::vector<ZipEntry>& entries() const { return entries_; }

  // The inflated bytes. The stream ends after exactly `entry.size` bytes whose CRC is right, or
  // throws BadInput.
  std::unique_ptr<ByteStream> open(const ZipEntry& entry) const;

 private:
  DataFile file_;
  std::vector<ZipEntry> entries_;
};

// Writes an archive of stored entries to `file`; equal contents give equal bytes.
class ZipWriter {
 public:
  explicit ZipWriter(AtomicFile& file) : file_(file) {}

  // An entry of `head` followed by `body`. Throws CannotWrite if the name is taken or has more than
  // 65535 bytes or a zero byte.
  void add(const std::string& name, std::string_view head, std::span<const std::byte> body);
  // Writes the directory; nothing may be added afterwards.
  void finish();

 private:
  AtomicFile& file_;
  std::vector<ZipEntry> entries_;
  std::set<std::string> names_;
};

}  // namespace onnxrun
