// Where the bytes of data files come from, and how many of them a reader may keep.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace onnxrun {

// What one read may still allocate. Sizes that a file claims are taken from it before memory is.
class MemoryBudget {
 public:
  // The machine's physical memory.
  MemoryBudget();
  explicit MemoryBudget(int64_t bytes) : left_(bytes) {}

  // Throws Limit, naming `what`, if less than `bytes` is left.
  void take(int64_t bytes, std::string_view what);

 private:
  int64_t left_;
};

// Random access to the bytes of a file, or of a stream that was read to its end. A handle: copies
// share the file. Reads from several threads are safe.
class DataFile {
 public:
  // Throws BadInput if `path` cannot be read. What is no regular file (a pipe) is read into memory.
  static DataFile open(const std::string& path, MemoryBudget& budget);
  static DataFile standard_input(MemoryBudget& budget);
  static DataFile of_bytes(std::string_view bytes);

  int64_t size() const { return size_; }
  // Exactly to.size() bytes; throws BadInput if the file has fewer.
  void read_at(int64_t offset, std::span<std::byte> to) const;
  // The bytes of [offset, offset + length); throws as read_at(), Limit beyond the budget.
  std::string text(int64_t offset, int64_t length, MemoryBudget& budget) const;
  // The same for short records that are not kept.
  std::string record(int64_t offset, int64_t length) const;
  // At most `length` of the first bytes, to tell a format by.
  std::string head(int64_t length) const;

 private:
  class Handle;
  std::shared_ptr<const Handle> handle_;      // of a regular file
  std::shared_ptr<const std::string> bytes_;  // of anything else
  int64_t size_ = 0;

  static DataFile read_stream(int fd, MemoryBudget& budget);
};

// Bytes read once, front to back.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // At least one byte unless the stream has ended; returns how many.
  virtual size_t read_some(std::span<std::byte> to) = 0;
  // No more bytes than this are to come, however large the sizes that a header claims.
  virtual int64_t upper_bound() const = 0;

  // Exactly to.size() bytes; throws BadInput if the stream ends early.
  void read(std::span<std::byte> to);
  std::string read_text(int64_t length);
  // All that is to come.
  std::string read_to_end(MemoryBudget& budget);
  // Throws BadInput if anything is to come; verifies checksums at the end.
  void expect_end();
};

// The bytes [offset, offset + length) of a file.
class RangeStream final : public ByteStream {
 public:
  explicit RangeStream(DataFile file) : RangeStream(file, 0, file.size()) {}
  RangeStream(DataFile file, int64_t offset, int64_t length)
      : file_(std::move(file)), offset_(offset), end_(offset + length) {}

  size_t read_some(std::span<std::byte> to) override;
  int64_t upper_bound() const override { return end_ - offset_; }

 private:
  DataFile file_;
  int64_t offset_, end_;
};

// An unsigned integer at `bytes`, which need not be aligned.
template <typename T>
T load_integer(const void* bytes, std::endian order) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    size_t place = order == std::endian::little ? i : sizeof(T) - 1 - i;
    value |= static_cast<T>(static_cast<T>(static_cast<const uint8_t*>(bytes)[i]) << (8 * place));
  }
  return value;
}
template <typename T>
void store_integer(std::string& to, T value, std::endian order = std::endian::little) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    size_t place = order == std::endian::little ? i : sizeof(T) - 1 - i;
    to.push_back(static_cast<char>(value >> (8 * place)));
  }
}

// A tensor of `dims` whose elements are the stream's next bytes in `order`. The size is checked
// against the stream and the budget before anything is allocated. Not for strings.
Tensor read_elements(ByteStream& stream, DType dtype, Dims dims, std::endian order,
                     MemoryBudget& budget);

// The same elements in little-endian order (`t` itself where the machine is).
Tensor to_little_endian(const Tensor& t);

// Packed 4- and 2-bit integers one a byte (uint8 or int8), which more formats can hold; any other
// tensor as it is.
Tensor unpack_small_integers(const Tensor& t);

}  // namespace onnxrun
