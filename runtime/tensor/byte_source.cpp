#include "tensor/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace onnxrun {

namespace {

constexpr size_t chunk_bytes = size_t{1} << 16;

std::span<std::byte> writable(std::string& text) {
  return std::as_writable_bytes(std::span(text.data(), text.size()));
}

// What has to be swapped: complex numbers are two.
int64_t scalar_bytes(DType dtype) {
  int bytes = std::max(bits_of(dtype) / 8, 1);
  return is_complex(dtype) ? bytes / 2 : bytes;
}

void swap_bytes(Tensor& t) {
  int64_t width = scalar_bytes(t.dtype());
  if (width == 1) return;
  for (std::byte *p = t.raw(), *end = p + t.bytes(); p < end; p += width)
    std::reverse(p, p + width);
}

}  // namespace

MemoryBudget::MemoryBudget()
    : left_(static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE)) {}

void MemoryBudget::take(int64_t bytes, std::string_view what) {
  if (bytes > left_) {
    fail(ErrorKind::Limit, "{} needs {} bytes, but the limit leaves {}", what, bytes, left_);
  }
  left_ -= bytes;
}

class DataFile::Handle {
 public:
  explicit Handle(int fd) : fd_(fd) {}
  ~Handle() { ::close(fd_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

DataFile DataFile::open(const std::string& path, MemoryBudget& budget) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(ErrorKind::BadInput, "cannot be read: {}", std::strerror(errno));
  auto handle = std::make_shared<const Handle>(fd);
  struct stat info {};
  if (::fstat(fd, &info) != 0)
    fail(ErrorKind::BadInput, "cannot be read: {}", std::strerror(errno));
  if (S_ISDIR(info.st_mode)) fail(ErrorKind::BadInput, "cannot be read: it is a directory");
  if (!S_ISREG(info.st_mode)) return read_stream(fd, budget);
  DataFile file;
  file.handle_ = std::move(handle);
  file.size_ = info.st_size;
  return file;
}

DataFile DataFile::standard_input(MemoryBudget& budget) {
  return read_stream(STDIN_FILENO, budget);
}

DataFile DataFile::of_bytes(std::string_view bytes) {
  DataFile file;
  file.bytes_ = std::make_shared<const std::string>(bytes);
  file.size_ = static_cast<int64_t>(bytes.size());
  return file;
}

DataFile DataFile::read_stream(int fd, MemoryBudget& budget) {
  std::string all;
  while (true) {
    size_t used = all.size();
    all.resize(used + chunk_bytes);
    ssize_t n = ::read(fd, all.data() + used, chunk_bytes);
    if (n < 0 && errno != EINTR) {
      fail(ErrorKind::BadInput, "cannot be read: {}", std::strerror(errno));
    }
    all.resize(used + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    budget.take(std::max<ssize_t>(n, 0), "the stream");
    if (n == 0) break;
  }
  DataFile file;
  file.size_ = static_cast<int64_t>(all.size());
  file.bytes_ = std::make_shared<const std::string>(std::move(all));
  return file;
}

void DataFile::read_at(int64_t offset, std::span<std::byte> to) const {
  auto length = static_cast<int64_t>(to.size());
  if (offset < 0 || length > size_ || offset > size_ - length) {
    fail(ErrorKind::BadInput, "the file has {} bytes, but {} at offset {} are needed", size_,
         length, offset);
  }
  if (bytes_) {
    if (!to.empty()) std::memcpy(to.data(), bytes_->data() + offset, to.size());
    return;
  }
  while (!to.empty()) {
    ssize_t n = ::pread(handle_->fd(), to.data(), to.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(ErrorKind::BadInput, "cannot be read: {}", std::strerror(errno));
    if (n == 0) fail(ErrorKind::BadInput, "the file shrank while it was read");
    to = to.subspan(static_cast<size_t>(n));
    offset += n;
  }
}

std::string DataFile::text(int64_t offset, int64_t length, MemoryBudget& budget) const {
  if (length > size_) {
    fail(ErrorKind::BadInput, "the file has {} bytes, but {} are needed", size_, length);
  }
  budget.take(length, "the file");
  return record(offset, length);
}

std::string DataFile::record(int64_t offset, int64_t length) const {
  std::string text(static_cast<size_t>(length), '\0');
  read_at(offset, writable(text));
  return text;
}

std::string DataFile::head(int64_t length) const {
  std::string text(static_cast<size_t>(std::min(length, size_)), '\0');
  read_at(0, writable(text));
  return text;
}

void ByteStream::read(std::span<std::byte> to) {
  while (!to.empty()) {
    size_t n = read_some(to);
    if (n == 0) fail(ErrorKind::BadInput, "the data ends {} bytes early", to.size());
    to = to.subspan(n);
  }
}

std::string ByteStream::read_text(int64_t length) {
  if (length > upper_bound()) {
    fail(ErrorKind::BadInput, "the data has at most {} more bytes, but {} are needed",
         upper_bound(), length);
  }
  std::string text(static_cast<size_t>(length), '\0');
  read(writable(text));
  return text;
}

std::string ByteStream::read_to_end(MemoryBudget& budget) {
  std::string all;
  while (true) {
    size_t used = all.size();
    all.resize(used + chunk_bytes);
    size_t n = read_some(writable(all).subspan(used));
    all.resize(used + n);
    budget.take(static_cast<int64_t>(n), "the data");
    if (n == 0) return all;
  }
}

void ByteStream::expect_end() {
  std::byte extra;
  if (read_some({&extra, 1}) != 0) {
    fail(ErrorKind::BadInput, "more bytes follow where the data should end");
  }
}

size_t RangeStream::read_some(std::span<std::byte> to) {
  auto n = static_cast<size_t>(std::min(static_cast<int64_t>(to.size()), end_ - offset_));
  file_.read_at(offset_, to.first(n));
  offset_ += static_cast<int64_t>(n);
  return n;
}

Tensor read_elements(ByteStream& stream, DType dtype, Dims dims, std::endian order,
                     MemoryBudget& budget) {
  int64_t bytes = bytes_of(dtype, element_count(dims));
  if (bytes > stream.upper_bound()) {
    fail(ErrorKind::BadInput, "{}{} needs {} bytes, but at most {} are there", to_string(dtype),
         to_string(dims), bytes, stream.upper_bound());
  }
  budget.take(bytes, "the array");
  Tensor t(dtype, std::move(dims));
  stream.read({t.raw(), static_cast<size_t>(bytes)});
  if (order != std::endian::native) swap_bytes(t);
  if (dtype == DType::Bool) {
    // Any other byte than 0 and 1 in a bool is undefined behaviour.
    for (uint8_t& b : t.span<uint8_t>()) b = b != 0;
  }
  return t;
}

Tensor to_little_endian(const Tensor& t) {
  if (std::endian::native == std::endian::little || scalar_bytes(t.dtype()) == 1) return t;
  Tensor swapped = t.clone();
  swap_bytes(swapped);
  return swapped;
}

Tensor unpack_small_integers(const Tensor& t) {
  int bits = bits_of(t.dtype());
  if (!is_integer(t.dtype()) || bits >= 8) return t;
  bool sign = is_signed_integer(t.dtype());
  Tensor out(sign ? DType::Int8 : DType::UInt8, t.dims());
  for (int64_t i = 0; i < t.size(); ++i) {
    int value = packed_bits(t.raw(), i, bits);
    if (sign && value >= 1 << (bits - 1)) value -= 1 << bits;
    out.raw()[i] = static_cast<std::byte>(value);
  }
  return out;
}

}  // namespace onnxrun
