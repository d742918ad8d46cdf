#include "input_file.h"

#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace onnxrun {

namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~FileDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

std::string read_input_file(const std::string& path, ErrorKind kind) {
  FileDescriptor file(path);
  if (file.get() < 0) fail(kind, "cannot be opened: {}", std::strerror(errno));
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    fail(kind, "is not a regular file");
  }
  if (status.st_size > INT32_MAX) {
    fail(kind, "has {} bytes; at most 2 GiB can be read, larger tensors belong into external data",
         status.st_size);
  }
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t n = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(kind, "cannot be read: {}", std::strerror(errno));
    if (n == 0) fail(kind, "became shorter while it was read");
    done += static_cast<size_t>(n);
  }
  return bytes;
}

void silence_protobuf() {
  static const bool once = (google::protobuf::SetLogHandler(nullptr), true);
  static_cast<void>(once);
}

int64_t memory_limit(int64_t bytes) {
  if (bytes > 0) return bytes;
  int64_t machine = int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE), group = 0;
  // "max" where the control group (cgroup v2, memory.max) sets no limit.
  bool limited = static_cast<bool>(std::ifstream("/sys/fs/cgroup/memory.max") >> group);
  return limited && group > 0 ? std::min(machine, group) : machine;
}

}  // namespace onnxrun
