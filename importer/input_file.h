// What reading any protobuf file needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"

namespace onnxrun {

// A file that is read at any place. Every failure is an Error of the given kind.
class InputFile {
 public:
  // Throws if it is no regular file, cannot be opened, or is larger than the 2 GiB that protobuf
  // allows.
  InputFile(const std::string& path, ErrorKind kind);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int64_t size() const { return size_; }
  // Exactly to.size() bytes from `offset` on; throws if the file has become shorter.
  void read(int64_t offset, std::span<std::byte> to) const;
  std::string read_all() const;

 private:
  int descriptor_ = -1;
  int64_t size_ = 0;
  ErrorKind kind_;
};

// The whole file. Throws `kind` if it is no regular file, cannot be read, or is larger than the 2
// GiB that protobuf allows.
std::string read_input_file(const std::string& path, ErrorKind kind);

// Protobuf prints complaints of its own to standard error; ours say what matters.
void silence_protobuf();

// `bytes`, or if that is 0 the memory of the machine or, if less, of the control group.
int64_t memory_limit(int64_t bytes);

}  // namespace onnxrun
