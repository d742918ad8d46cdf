#include "formats/zip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <set>

#include "base/error.h"
#include "formats/inflate.h"

namespace onnxrun {

namespace {

constexpr uint32_t local_magic = 0x04034b50, central_magic = 0x02014b50, end_magic = 0x06054b50,
                   end64_magic = 0x06064b50, locator64_magic = 0x07064b50;
constexpr int64_t local_bytes = 30, central_bytes = 46, end_bytes = 22, end64_bytes = 56,
                  locator64_bytes = 20;
constexpr uint16_t zip64_tag = 1, utf8_flag = 1 << 11;
constexpr uint32_t all_ones = 0xffffffff;

[[noreturn]] void damaged(std::string_view what) {
  fail(ErrorKind::BadInput, "the zip archive is damaged: {}", what);
}

// Little-endian fields at fixed offsets of a record that is known to be long enough.
class Record {
 public:
  explicit Record(std::string_view bytes) : bytes_(bytes) {}
  uint16_t u16(int64_t at) const { return load<uint16_t>(at); }
  uint32_t u32(int64_t at) const { return load<uint32_t>(at); }
  int64_t u64(int64_t at) const {
    auto value = load<uint64_t>(at);
    if (value > static_cast<uint64_t>(INT64_MAX)) damaged("a size of more than 63 bits");
    return static_cast<int64_t>(value);
  }
  std::string_view text(int64_t at, int64_t length) const {
    if (at + length > size()) damaged("a record is cut off");
    return bytes_.substr(static_cast<size_t>(at), static_cast<size_t>(length));
  }
  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }

 private:
  template <typename T>
  T load(int64_t at) const {
    return load_integer<T>(text(at, sizeof(T)).data(), std::endian::little);
  }
  std::string_view bytes_;
};

struct Directory {
  int64_t entries, size, offset, end;
};

// The zip64 record replaces the fields of the plain one that are too small.
void widen(const DataFile& file, int64_t end, Directory& d) {
  if (end < locator64_bytes) return;
  std::string locator_bytes = file.record(end - locator64_bytes, locator64_bytes);
  Record locator(locator_bytes);
  if (locator.u32(0) != locator64_magic) return;
  int64_t at = locator.u64(8);
  if (at > end - locator64_bytes - end64_bytes) damaged("the zip64 directory is outside the file");
  std::string bytes = file.record(at, end64_bytes);
  Record r(bytes);
  if (r.u32(0) != end64_magic) damaged("no zip64 directory where one should be");
  d = {r.u64(32), r.u64(40), r.u64(48), at};
}

Directory find_directory(const DataFile& file) {
  int64_t tail = std::min<int64_t>(file.size(), end_bytes + 0xffff), start = file.size() - tail;
  std::string bytes = file.record(start, tail);
  Record r(bytes);
  for (int64_t at = tail - end_bytes; at >= 0; --at) {
    // The comment's length tells the end record from its magic number inside a comment.
    if (r.u32(at) != end_magic || at + end_bytes + r.u16(at + 20) != tail) continue;
    Directory d{r.u16(at + 10), r.u32(at + 12), r.u32(at + 16), start + at};
    widen(file, start + at, d);
    if (d.size > d.end || d.offset != d.end - d.size) {
      damaged("its directory is not where it should be");
    }
    return d;
  }
  fail(ErrorKind::BadInput, "this is no zip archive, or its end is missing");
}

// The 64-bit sizes are there only for the fields whose 32-bit ones are full, in this order.
void read_extra(const Record& extra, ZipEntry& entry, bool size, bool packed, bool offset) {
  for (int64_t at = 0; at + 4 <= extra.size(); at += 4 + extra.u16(at + 2)) {
    if (extra.u16(at) != zip64_tag) continue;
    Record field(extra.text(at + 4, extra.u16(at + 2)));
    int64_t next = 0;
    for (auto [wanted, value] :
         {std::pair{size, &entry.size}, std::pair{packed, &entry.packed_size},
          std::pair{offset, &entry.offset}}) {
      if (!wanted) continue;
      *value = field.u64(next);
      next += 8;
    }
    return;
  }
  if (size || packed || offset) damaged("an entry lacks its 64-bit sizes");
}

ZipEntry read_central(const Record& all, int64_t& at) {
  if (all.size() - at < central_bytes || all.u32(at) != central_magic) {
    damaged("its directory is cut off");
  }
  Record r(all.text(at, central_bytes));
  ZipEntry entry;
  entry.name = all.text(at + central_bytes, r.u16(28));
  if (r.u16(8) & 1) fail(ErrorKind::BadInput, "zip entry '{}' is encrypted", entry.name);
  if (r.u16(10) != 0 && r.u16(10) != Z_DEFLATED) {
    fail(ErrorKind::BadInput,
         "zip entry '{}' has compression method {}; stored and deflate are read", entry.name,
         r.u16(10));
  }
  entry.deflated = r.u16(10) == Z_DEFLATED;
  entry.crc = r.u32(16);
  entry.packed_size = r.u32(20);
  entry.size = r.u32(24);
  entry.offset = r.u32(42);
  read_extra(Record(all.text(at + central_bytes + r.u16(28), r.u16(30))), entry,
             entry.size == all_ones, entry.packed_size == all_ones, entry.offset == all_ones);
  at += central_bytes + r.u16(28) + r.u16(30) + r.u16(32);
  return entry;
}

// Moves entry.offset from the local header to the data behind it.
void locate_data(const DataFile& file, ZipEntry& entry, int64_t end) {
  if (entry.offset > end - local_bytes) damaged("an entry is outside the file");
  std::string header = file.record(entry.offset, local_bytes);
  Record r(header);
  if (r.u32(0) != local_magic) damaged("no entry where one should be");
  int64_t name_at = entry.offset + local_bytes, data_at = name_at + r.u16(26) + r.u16(28);
  if (data_at > end || entry.packed_size > end - data_at) damaged("an entry is outside the file");
  if (file.record(name_at, r.u16(26)) != entry.name) {
    damaged(fmt::format("entry '{}' has another name in its own header", entry.name));
  }
  if (!entry.deflated && entry.size != entry.packed_size) {
    damaged(fmt::format("stored entry '{}' has two sizes", entry.name));
  }
  entry.offset = data_at;
}

void check_overlap(std::vector<ZipEntry> entries) {
  std::sort(entries.begin(), entries.end(), [](const ZipEntry& a, const ZipEntry& b) {
    return std::pair(a.offset, a.packed_size) < std::pair(b.offset, b.packed_size);
  });
  for (size_t i = 1; i < entries.size(); ++i) {
    if (entries[i - 1].offset + entries[i - 1].packed_size > entries[i].offset) {
      damaged(fmt::format("entries '{}' and '{}' overlap", entries[i - 1].name, entries[i].name));
    }
  }
}

// Passes bytes on, and holds them to the size and checksum of the directory.
class EntryStream final : public ByteStream {
 public:
  EntryStream(std::unique_ptr<ByteStream> bytes, const ZipEntry& entry)
      : bytes_(std::move(bytes)), left_(entry.size), wanted_crc_(entry.crc) {}

  int64_t upper_bound() const override { return std::min(left_, bytes_->upper_bound()); }

  size_t read_some(std::span<std::byte> to) override {
    size_t n = bytes_->read_some(to.first(std::min(to.size(), size_t{1} << 30)));
    if (static_cast<int64_t>(n) > left_) damaged("an entry is longer than its size");
    left_ -= static_cast<int64_t>(n);
    crc_ = ::crc32(crc_, reinterpret_cast<const Bytef*>(to.data()), static_cast<uInt>(n));
    if (n == 0 && !to.empty()) {
      if (left_ != 0) damaged("an entry is shorter than its size");
      if (crc_ != wanted_crc_) damaged("an entry's checksum is wrong");
    }
    return n;
  }

 private:
  std::unique_ptr<ByteStream> bytes_;
  int64_t left_;
  uLong crc_ = ::crc32(0, nullptr, 0);
  uint32_t wanted_crc_;
};

}  // namespace

ZipReader::ZipReader(DataFile file, MemoryBudget& budget) : file_(std::move(file)) {
  Directory d = find_directory(file_);
  std::string bytes = file_.text(d.offset, d.size, budget);
  std::set<std::string_view> names;
  int64_t at = 0;
  while (at < d.size) entries_.push_back(read_central(Record(bytes), at));
  if (static_cast<int64_t>(entries_.size()) != d.entries) {
    damaged(fmt::format("its directory has {} entries and says {}", entries_.size(), d.entries));
  }
  for (ZipEntry& entry : entries_) {
    if (!names.insert(entry.name).second) {
      damaged(fmt::format("two entries are named '{}'", entry.name));
    }
    locate_data(file_, entry, d.offset);
  }
  check_overlap(entries_);
}

std::unique_ptr<ByteStream> ZipReader::open(const ZipEntry& entry) const {
  RangeStream packed(file_, entry.offset, entry.packed_size);
  std::unique_ptr<ByteStream> bytes;
  if (entry.deflated) {
    bytes = inflate_stream(std::move(packed), Compression::Deflate);
  } else {
    bytes = std::make_unique<RangeStream>(std::move(packed));
  }
  return std::make_unique<EntryStream>(std::move(bytes), entry);
}

namespace {

uint32_t checksum(std::string_view head, std::span<const std::byte> body) {
  auto update = [](uLong crc, const void* data, size_t size) {
    // A null pointer would start the checksum anew.
    return size == 0 ? crc : ::crc32_z(crc, static_cast<const Bytef*>(data), size);
  };
  return static_cast<uint32_t>(
      update(update(::crc32(0, nullptr, 0), head.data(), head.size()), body.data(), body.size()));
}

// The fields that local and central headers share, from "version needed" to the length of the name.
void append_common(std::string& to, const ZipEntry& e) {
  constexpr uint16_t zip64_version = 45, new_year_1980 = 1 << 5 | 1;
  bool ascii = std::all_of(e.name.begin(), e.name.end(), [](char c) { return (c & 0x80) == 0; });
  store_integer<uint16_t>(to, zip64_version);
  store_integer<uint16_t>(to, ascii ? 0 : utf8_flag);
  store_integer<uint16_t>(to, 0);  // stored
  store_integer<uint16_t>(to, 0);  // midnight
  store_integer<uint16_t>(to, new_year_1980);
  store_integer<uint32_t>(to, e.crc);
  store_integer<uint32_t>(to, all_ones);
  store_integer<uint32_t>(to, all_ones);
  store_integer<uint16_t>(to, static_cast<uint16_t>(e.name.size()));
}

void append_sizes(std::string& to, const ZipEntry& e, bool with_offset) {
  store_integer<uint16_t>(to, zip64_tag);
  store_integer<uint16_t>(to, with_offset ? 24 : 16);
  store_integer<uint64_t>(to, static_cast<uint64_t>(e.size));
  store_integer<uint64_t>(to, static_cast<uint64_t>(e.size));
  if (with_offset) store_integer<uint64_t>(to, static_cast<uint64_t>(e.offset));
}

void append_central(std::string& to, const ZipEntry& e) {
  store_integer(to, central_magic);
  store_integer<uint16_t>(to, 45);  // version made by
  append_common(to, e);
  store_integer<uint16_t>(to, 28);  // extra field
  store_integer<uint16_t>(to, 0);   // comment
  store_integer<uint16_t>(to, 0);   // disk
  store_integer<uint16_t>(to, 0);   // internal attributes
  store_integer<uint32_t>(to, 0600u << 16);
  store_integer<uint32_t>(to, all_ones);
  to += e.name;
  append_sizes(to, e, true);
}

}  // namespace

void ZipWriter::add(const std::string& name, std::string_view head,
                    std::span<const std::byte> body) {
  bool taken = !names_.insert(name).second;
  if (taken || name.size() > 0xffff || name.find('\0') != std::string::npos) {
    fail(ErrorKind::CannotWrite, "a zip archive cannot have an entry '{}'{}", name,
         taken ? " twice" : "");
  }
  ZipEntry e{.name = name, .size = static_cast<int64_t>(head.size() + body.size())};
  e.offset = file_.position();
  e.crc = checksum(head, body);
  std::string header;
  store_integer(header, local_magic);
  append_common(header, e);
  store_integer<uint16_t>(header, 20);  // extra field
  header += name;
  append_sizes(header, e, false);
  file_.write(header);
  file_.write(head);
  file_.write(body);
  entries_.push_back(std::move(e));
}

void ZipWriter::finish() {
  std::string all;
  auto start = static_cast<uint64_t>(file_.position());
  for (const ZipEntry& e : entries_) append_central(all, e);
  uint64_t size = all.size(), count = entries_.size();
  store_integer(all, end64_magic);
  store_integer<uint64_t>(all, end64_bytes - 12);
  store_integer<uint16_t>(all, 45);  // version made by
  store_integer<uint16_t>(all, 45);  // version needed
  store_integer<uint64_t>(all, 0);   // this disk and the directory's
  for (uint64_t field : {count, count, size, start}) store_integer(all, field);
  store_integer(all, locator64_magic);
  store_integer<uint32_t>(all, 0);
  store_integer<uint64_t>(all, start + size);
  store_integer<uint32_t>(all, 1);
  store_integer(all, end_magic);
  store_integer<uint32_t>(all, 0);
  store_integer<uint32_t>(all, all_ones);  // both counts
  store_integer(all, all_ones);
  store_integer(all, all_ones);
  store_integer<uint16_t>(all, 0);  // comment
  file_.write(all);
}

}  // namespace onnxrun
