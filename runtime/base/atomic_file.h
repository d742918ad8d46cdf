// Output files that appear whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace onnxrun {

// Writes to a temporary file beside `path`; commit() syncs it and renames it into place, so a
// reader sees the old file or the whole new one, even after a crash. Destroyed without commit(), it
// removes the temporary and leaves `path` alone.
//
// A symbolic link is followed: the file it names is replaced. The mode of an existing file is kept.
// What is no regular file (a pipe, /dev/stdout) is written to directly.
//
// Every failure is an Error of kind CannotWrite that names `path`. One thread at a time.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  // Overwrites or extends at `offset`; a gap reads as zeros. Regular files only. The position of
  // write() does not move.
  void write_at(int64_t offset, std::span<const std::byte> bytes);
  // Bytes that write() has taken so far.
  int64_t position() const { return position_; }

  // Nothing may be written afterwards.
  void commit();

  // Commits files that belong together. All are written and synced before the first is renamed; if
  // renaming one fails, those renamed before it get back what stood there.
  static void commit(std::span<AtomicFile* const> files);

 private:
  [[noreturn]] void fail_errno(std::string_view what) const;
  void flush();
  void finish();
  void replace();
  void keep_old();
  void restore_old();
  void forget_old();

  std::string path_;    // as the caller gave it, for messages
  std::string target_;  // with links resolved
  std::string temp_;    // empty when written to directly
  std::string old_;     // a second name of the file that is replaced, until all are
  bool existed_ = false, replaced_ = false;
  int fd_ = -1;
  int64_t position_ = 0;
  std::vector<std::byte> buffer_;
};

// Replaces the file at `path` by `text`.
void write_file(const std::string& path, std::string_view text);

}  // namespace onnxrun
