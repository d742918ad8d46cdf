#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/error.h"

namespace onnxrun {

namespace {

constexpr size_t buffer_bytes = size_t{1} << 18;

std::string resolve_links(const std::string& path) {
  std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
  return real ? std::string(real.get()) : path;
}

std::string folder_of(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string temporary_name(const std::string& target) {
  static std::atomic<unsigned> serial{0};
  size_t slash = target.rfind('/');
  size_t start = slash == std::string::npos ? 0 : slash + 1;
  // A file name may have 255 bytes; the start of the real name is enough to tell whose it is.
  return fmt::format("{}.{}.{}-{}.tmp", target.substr(0, start), target.substr(start, 200),
                     ::getpid(), serial.fetch_add(1));
}

// Retries what a signal interrupted; false on an error that errno tells.
bool write_all(int fd, std::span<const std::byte> bytes, int64_t offset) {
  while (!bytes.empty()) {
    ssize_t n = offset < 0 ? ::write(fd, bytes.data(), bytes.size())
                           : ::pwrite(fd, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
    if (offset >= 0) offset += n;
  }
  return true;
}

// Makes the rename itself durable. Some file systems refuse to sync a folder; the data is safe
// then.
void sync_folder(const std::string& folder) {
  int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)::fsync(fd);
  ::close(fd);
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(resolve_links(path)) {
  if (path.empty()) fail(ErrorKind::CannotWrite, "cannot write '': the name is empty");
  struct stat info {};
  bool exists = ::stat(target_.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) {
    fail(ErrorKind::CannotWrite, "cannot write '{}': it is a directory", path_);
  }
  if (exists && !S_ISREG(info.st_mode)) {
    fd_ = ::open(target_.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd_ < 0) fail_errno("cannot write");
    return;
  }
  std::string temp = temporary_name(target_);
  fd_ = ::open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) fail_errno("cannot write");
  temp_ = temp;
  existed_ = exists;
  if (exists) (void)::fchmod(fd_, info.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temp_.empty()) ::unlink(temp_.c_str());
  forget_old();
}

void AtomicFile::fail_errno(std::string_view what) const {
  fail(ErrorKind::CannotWrite, "{} '{}': {}", what, path_, std::strerror(errno));
}

void AtomicFile::flush() {
  if (!write_all(fd_, buffer_, -1)) fail_errno("cannot write");
  buffer_.clear();
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  position_ += static_cast<int64_t>(bytes.size());
  if (buffer_.size() + bytes.size() > buffer_bytes) flush();
  if (bytes.size() > buffer_bytes) {
    if (!write_all(fd_, bytes, -1)) fail_errno("cannot write");
  } else {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }
}

void AtomicFile::write_at(int64_t offset, std::span<const std::byte> bytes) {
  flush();
  if (!write_all(fd_, bytes, offset)) fail_errno("cannot write");
}

// Everything that can fail for want of space.
void AtomicFile::finish() {
  flush();
  if (!temp_.empty() && ::fsync(fd_) != 0) fail_errno("cannot sync");
  int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail_errno("cannot write");
}

void AtomicFile::replace() {
  if (temp_.empty()) return;
  if (::rename(temp_.c_str(), target_.c_str()) != 0) fail_errno("cannot replace");
  temp_.clear();
  replaced_ = true;
  sync_folder(folder_of(target_));
}

void AtomicFile::commit() {
  finish();
  replace();
}

// Some file systems have no second names; the file is replaced all the same.
void AtomicFile::keep_old() {
  if (temp_.empty()) return;
  std::string name = temporary_name(target_);
  if (::link(target_.c_str(), name.c_str()) == 0) old_ = name;
}

void AtomicFile::restore_old() {
  if (!replaced_) return;
  if (!existed_) ::unlink(target_.c_str());
  if (!old_.empty() && ::rename(old_.c_str(), target_.c_str()) == 0) old_.clear();
}

void AtomicFile::forget_old() {
  if (!old_.empty()) ::unlink(old_.c_str());
  old_.clear();
}

void AtomicFile::commit(std::span<AtomicFile* const> files) {
  for (AtomicFile* file : files) file->finish();
  for (AtomicFile* file : files) file->keep_old();
  size_t done = 0;
  try {
    for (; done < files.size(); ++done) files[done]->replace();
  } catch (...) {
    while (done > 0) files[--done]->restore_old();
    throw;
  }
  for (AtomicFile* file : files) file->forget_old();
}

void write_file(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace onnxrun
