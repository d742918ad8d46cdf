#include "fit/event_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "fit/wire_fields.h"

namespace onnxrun {

namespace {

using fields::bytes_field;
using fields::double_field;
using fields::float_field;
using fields::integer_field;
using fields::raw;

// CRC-32C (Castagnoli), reflected polynomial 0x82f63b78.
uint32_t crc32c(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> t = {};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) ? 0x82f63b78U : 0U);
      t[i] = c;
    }
    return t;
  }();
  uint32_t crc = ~0U;
  for (char c : bytes) crc = table[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

// TFRecord stores checksums rotated and moved, so that a checksum of checksums is none.
uint32_t masked_crc(std::string_view bytes) {
  uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

std::string doubles_field(int field, const std::vector<double>& values) {
  std::string bytes;
  for (double v : values) bytes += raw(v);
  return bytes_field(field, bytes);
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

constexpr int file_version_field = 3, graph_field = 4, summary_field = 5;

}  // namespace

EventFile::EventFile(const std::string& directory) : file_(nullptr, std::fclose) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) fail(ErrorKind::CannotWrite, "{}: {}", directory, error.message());
  static std::atomic<int> count = 0;
  path_ = fmt::format("{}/events.out.tfevents.{:010}.{}.{}.onnxrun", directory,
                      static_cast<int64_t>(wall_time()), getpid(), count++);
  file_.reset(std::fopen(path_.c_str(), "wbe"));
  if (!file_) fail(ErrorKind::CannotWrite, "cannot write '{}': {}", path_, std::strerror(errno));
  event(0, file_version_field, "brain.Event:2");
}

void EventFile::event(int64_t step, int field, const std::string& message) {
  record(double_field(1, wall_time()) + integer_field(2, step) + bytes_field(field, message));
}

void EventFile::record(const std::string& bytes) {
  std::string length = raw(static_cast<uint64_t>(bytes.size()));
  std::string all = length + raw(masked_crc(length)) + bytes + raw(masked_crc(bytes));
  bool written = std::fwrite(all.data(), 1, all.size(), file_.get()) == all.size() &&
                 std::fflush(file_.get()) == 0;
  if (!written) fail(ErrorKind::CannotWrite, "cannot write '{}': {}", path_, std::strerror(errno));
}

void EventFile::graph(const std::string& definition) { event(0, graph_field, definition); }

void EventFile::scalar(const std::string& tag, int64_t step, double value) {
  std::string entry = bytes_field(1, tag) + float_field(2, static_cast<float>(value));
  event(step, summary_field, bytes_field(1, entry));
}

void EventFile::histogram(const std::string& tag, int64_t step, std::span<const double> values) {
  std::vector<double> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
               [](double v) { return std::isfinite(v); });
  if (finite.empty()) return;
  auto [low_at, high_at] = std::minmax_element(finite.begin(), finite.end());
  const double low = *low_at, high = *high_at;
  const size_t bins = low == high ? 1 : 30;
  std::vector<double> limits, counts(bins, 0);
  for (size_t i = 1; i < bins; ++i) {
    limits.push_back(low + (high - low) * static_cast<double>(i) / static_cast<double>(bins));
  }
  limits.push_back(low == high ? std::nextafter(high, HUGE_VAL) : high);
  double sum = 0, squares = 0;
  for (double v : finite) {
    auto bin = std::lower_bound(limits.begin(), limits.end(), v) - limits.begin();
    counts[std::min(static_cast<size_t>(bin), bins - 1)] += 1;
    sum += v;
    squares += v * v;
  }
  std::string histogram = double_field(1, low) + double_field(2, high) +
                          double_field(3, static_cast<double>(finite.size())) +
                          double_field(4, sum) + double_field(5, squares) +
                          doubles_field(6, limits) + doubles_field(7, counts);
  event(step, summary_field, bytes_field(1, bytes_field(1, tag) + bytes_field(5, histogram)));
}

}  // namespace onnxrun
