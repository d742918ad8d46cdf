#include "external_data.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/error.h"

namespace onnxrun {

namespace {

namespace fs = std::filesystem;

struct Reference {
  std::string location;
  int64_t offset = 0;
  std::optional<int64_t> length;
};

int64_t parse_decimal(const std::string& key, const std::string& text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    fail(ErrorKind::BadModel, "external data {} is '{}', a non-negative number was expected", key,
         text);
  }
  return value;
}

Reference read_reference(const onnx::TensorProto& tensor) {
  Reference r;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") r.location = entry.value();
    if (entry.key() == "offset") r.offset = parse_decimal("offset", entry.value());
    if (entry.key() == "length") r.length = parse_decimal("length", entry.value());
  }
  return r;
}

void check_location(const std::string& location) {
  auto reject = [&](std::string_view why) {
    fail(ErrorKind::BadModel, "external data location '{}' {}", location.c_str(), why);
  };
  if (location.empty()) reject("is empty");
  if (location.find('\0') != std::string::npos) reject("contains a zero byte");
  fs::path path(location);
  if (path.is_absolute()) reject("is absolute; it must be relative to the model's folder");
  for (const fs::path& part : path) {
    if (part == "..") reject("leads out of the model's folder");
  }
  if (!path.has_filename()) reject("names no file");
}

// `path` relative to `folder` if it lies below it; both canonical.
std::optional<fs::path> below(const fs::path& path, const fs::path& folder) {
  auto [in_folder, in_path] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  if (in_folder != folder.end() || in_path == path.end()) return std::nullopt;
  fs::path rest;
  for (; in_path != path.end(); ++in_path) rest /= *in_path;
  return rest;
}

// Opens `relative` below `root` without following a link at any component: what was checked is what
// is opened, even if someone swaps folders for links meanwhile.
int open_below(const fs::path& root, const fs::path& relative) {
  int folder = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (auto part = relative.begin(); folder >= 0 && part != relative.end(); ++part) {
    bool last = std::next(part) == relative.end();
    // O_NONBLOCK: a pipe must not hang us before it is found not to be a file.
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (last ? O_NONBLOCK : O_DIRECTORY);
    int next = ::openat(folder, part->c_str(), flags);
    int error = errno;
    ::close(folder);
    errno = error;
    folder = next;
  }
  return folder;
}

}  // namespace

ExternalDataReader::ExternalDataReader(ExternalData policy, std::string directory,
                                       std::string allowed_dir)
    : policy_(policy), directory_(std::move(directory)), allowed_dir_(std::move(allowed_dir)) {}

ExternalDataReader::~ExternalDataReader() {
  for (const auto& [location, file] : open_) ::close(file.descriptor);
}

const ExternalDataReader::File& ExternalDataReader::open(const std::string& location) {
  if (auto it = open_.find(location); it != open_.end()) return it->second;
  if (policy_ == ExternalData::Deny) {
    fail(ErrorKind::BadModel, "the model keeps tensors in '{}', but external data is denied",
         location);
  }
  if (directory_.empty()) {
    fail(ErrorKind::BadModel, "the model keeps tensors in '{}', but it was not read from a folder",
         location);
  }
  check_location(location);

  std::error_code error;
  fs::path root = fs::canonical(directory_, error);
  fs::path path = error ? fs::path() : fs::canonical(root / location, error);
  if (error) {
    fail(ErrorKind::BadModel, "external data file '{}' cannot be opened: {}", location,
         error.message());
  }
  auto relative = below(path, root);
  bool is_link = fs::is_symlink(fs::symlink_status(root / location, error));
  if (policy_ == ExternalData::Dir && (!relative || is_link)) {
    root = fs::canonical(allowed_dir_, error);
    relative = error ? std::nullopt : below(path, root);
    is_link = false;
  }
  if (!relative || is_link) {
    fail(ErrorKind::BadModel, "external data file '{}' is a link or lies behind one{}", location,
         policy_ == ExternalData::Dir ? " that does not lead into the allowed folder"
                                      : "; allow the folder it leads to");
  }
  if (!fs::is_regular_file(fs::symlink_status(path, error))) {
    fail(ErrorKind::BadModel, "external data '{}' is not a regular file", location);
  }

  File file;
  file.descriptor = open_below(root, *relative);
  if (file.descriptor < 0) {
    fail(ErrorKind::BadModel, "external data file '{}' cannot be opened: {}", location,
         std::strerror(errno));
  }
  const File& kept = open_[location] = file;
  struct stat status = {};
  if (::fstat(file.descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    fail(ErrorKind::BadModel, "external data '{}' is not a regular file", location);
  }
  open_[location].size = status.st_size;
  paths_[location] = path.string();
  return kept;
}

ExternalDataReader::Extent ExternalDataReader::locate(const onnx::TensorProto& tensor,
                                                      int64_t bytes) {
  Reference r = read_reference(tensor);
  const File& file = open(r.location);
  if (r.length && *r.length != bytes) {
    fail(ErrorKind::BadModel, "external data length is {}, the type and shape need {} bytes",
         *r.length, bytes);
  }
  if (r.offset > file.size || bytes > file.size - r.offset) {
    fail(ErrorKind::BadModel,
         "external data file '{}' has {} bytes, but {} are needed from offset {}", r.location,
         file.size, bytes, r.offset);
  }
  return {file.descriptor, r.offset, bytes};
}

void ExternalDataReader::read(const Extent& extent, std::byte* into) {
  int64_t done = 0;
  while (done < extent.length) {
    ssize_t n = ::pread(extent.file, into + done, static_cast<size_t>(extent.length - done),
                        extent.offset + done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      fail(ErrorKind::BadModel, "external data cannot be read: {}",
           n == 0 ? "the file became shorter" : std::strerror(errno));
    }
    done += n;
  }
}

}  // namespace onnxrun
