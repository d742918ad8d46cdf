#include "input_file.h"

#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/processors.h"

namespace onnxrun {

InputFile::InputFile(const std::string& path, ErrorKind kind)
    : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), kind_(kind) {
  if (descriptor_ < 0) fail(kind, "cannot be opened: {}", std::strerror(errno));
  struct stat status = {};
  bool regular = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  size_ = regular ? status.st_size : 0;
  if (regular && size_ <= INT32_MAX) return;
  ::close(descriptor_);
  if (!regular) fail(kind, "is not a regular file");
  fail(kind, "has {} bytes; at most 2 GiB can be read, larger tensors belong into external data",
       size_);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(int64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    ssize_t n = ::pread(descriptor_, to.data(), to.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(kind_, "cannot be read: {}", std::strerror(errno));
    if (n == 0) fail(kind_, "became shorter while it was read");
    to = to.subspan(static_cast<size_t>(n));
    offset += n;
  }
}

std::string InputFile::read_all() const {
  std::string bytes(static_cast<size_t>(size_), '\0');
  read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

std::string read_input_file(const std::string& path, ErrorKind kind) {
  return InputFile(path, kind).read_all();
}

void silence_protobuf() {
  static const bool once = (google::protobuf::SetLogHandler(nullptr), true);
  static_cast<void>(once);
}

int64_t memory_limit(int64_t bytes) { return bytes > 0 ? bytes : usable_memory(); }

}  // namespace onnxrun
