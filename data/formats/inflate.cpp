#include "formats/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"

namespace onnxrun {

namespace {

// Deflate spends at least two bits on 258 bytes (zlib's technical notes: 1032 to 1).
constexpr int64_t highest_ratio = 1032;

class InflateStream final : public ByteStream {
 public:
  InflateStream(RangeStream compressed, Compression format)
      : compressed_(std::move(compressed)), gzip_(format == Compression::Gzip) {
    // Negative window bits mean bare deflate, 16 more a gzip header.
    if (::inflateInit2(&z_, gzip_ ? 16 + MAX_WBITS : -MAX_WBITS) != Z_OK) {
      fail(ErrorKind::Limit, "no memory to inflate");
    }
  }
  ~InflateStream() override { ::inflateEnd(&z_); }
  InflateStream(const InflateStream&) = delete;
  InflateStream& operator=(const InflateStream&) = delete;

  int64_t upper_bound() const override {
    int64_t left = compressed_.upper_bound() + z_.avail_in;
    // Up to a window of bytes is in flight inside zlib.
    return left > INT64_MAX / highest_ratio - 64 ? INT64_MAX : (left + 64) * highest_ratio;
  }

  size_t read_some(std::span<std::byte> to) override {
    if (to.empty()) return 0;
    auto room = static_cast<uInt>(std::min<size_t>(to.size(), std::numeric_limits<uInt>::max()));
    z_.next_out = reinterpret_cast<Bytef*>(to.data());
    z_.avail_out = room;
    while (z_.avail_out == room && !ended_) step();
    return room - z_.avail_out;
  }

 private:
  void step() {
    refill();
    int status = ::inflate(&z_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      end_member();
    } else if (status == Z_BUF_ERROR) {
      fail(ErrorKind::BadInput, "the compressed data ends early");
    } else if (status != Z_OK) {
      fail(ErrorKind::BadInput, "the compressed data is damaged{}{}", z_.msg ? ": " : "",
           z_.msg ? z_.msg : "");
    }
  }

  bool refill() {
    if (z_.avail_in == 0) {
      size_t n = compressed_.read_some(input_);
      z_.next_in = reinterpret_cast<Bytef*>(input_.data());
      z_.avail_in = static_cast<uInt>(n);
    }
    return z_.avail_in > 0;
  }

  void end_member() {
    if (!refill()) {
      ended_ = true;
    } else if (!gzip_) {
      fail(ErrorKind::BadInput, "bytes follow the end of the compressed data");
    } else if (::inflateReset(&z_) != Z_OK) {
      fail(ErrorKind::Internal, "zlib cannot reset its state");
    }
  }

  RangeStream compressed_;
  bool gzip_;
  bool ended_ = false;
  z_stream z_{};
  std::array<std::byte, size_t{1} << 15> input_;
};

}  // namespace

std::unique_ptr<ByteStream> inflate_stream(RangeStream compressed, Compression format) {
  return std::make_unique<InflateStream>(std::move(compressed), format);
}

}  // namespace onnxrun
