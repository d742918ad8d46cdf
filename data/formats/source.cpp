#include "formats/source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file_names.h"
#include "formats/csv.h"
#include "formats/idx.h"
#include "formats/image.h"
#include "formats/inflate.h"
#include "formats/inline.h"
#include "formats/npy.h"
#include "formats/npz.h"
#include "formats/print.h"
#include "formats/raw.h"
#include "formats/safetensors.h"

namespace onnxrun {

namespace {

enum class Format { Unknown, Npy, Npz, Safetensors, Csv, Tsv, Idx, Image, Raw, Proto, Json };

struct Extension {
  std::string_view text;
  Format format;
};
constexpr Extension extensions[] = {
    {".npy", Format::Npy},    {".npz", Format::Npz},    {".safetensors", Format::Safetensors},
    {".csv", Format::Csv},    {".tsv", Format::Tsv},    {".idx", Format::Idx},
    {"-ubyte", Format::Idx},  {".ubyte", Format::Idx},  {".png", Format::Image},
    {".jpg", Format::Image},  {".pnm", Format::Image},  {".pgm", Format::Image},
    {".ppm", Format::Image},  {".jpeg", Format::Image}, {".bmp", Format::Image},
    {".raw", Format::Raw},    {".bin", Format::Raw},    {".pb", Format::Proto},
    {".json", Format::Json},  {".webp", Format::Image}, {".tif", Format::Image},
    {".tiff", Format::Image}, {".jp2", Format::Image},  {".pbm", Format::Image},
};

Format format_of(std::string path, bool* gzip = nullptr) {
  std::transform(path.begin(), path.end(), path.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  bool packed = gzip && path.ends_with(".gz");
  if (gzip) *gzip = packed;
  if (packed) path.resize(path.size() - 3);
  for (const Extension& e : extensions) {
    if (path.ends_with(e.text)) return e.format;
  }
  return Format::Unknown;
}

struct Spec {
  std::string path, key;
};

// Both file names and keys may have colons: an existing file decides, else the first extension
// does.
Spec split_spec(const std::string& spec) {
  if (file_exists(spec)) return {spec, ""};
  Spec fallback{spec, ""};
  for (size_t colon = 0; (colon = spec.find(':', colon)) != std::string::npos; ++colon) {
    Spec split{spec.substr(0, colon), spec.substr(colon + 1)};
    bool gzip = false;
    if (format_of(split.path, &gzip) == Format::Unknown) continue;
    if (file_exists(split.path)) return split;
    if (fallback.path == spec) fallback = split;
  }
  return fallback;
}

// One read: where from, and what the caller wants of it.
struct Reading {
  DataFile file;
  bool gzip;
  std::string key;
  bool as_one;
  const ReadOptions& options;
  MemoryBudget& budget;

  std::unique_ptr<ByteStream> stream() const {
    if (gzip) return inflate_stream(RangeStream(file), Compression::Gzip);
    return std::make_unique<RangeStream>(file);
  }
  std::string text() const { return stream()->read_to_end(budget); }
};

NamedTensors read_table(const Reading& r, char separator) {
  CsvTable table(r.text(), r.budget, separator);
  std::vector<size_t> columns;
  if (!r.key.empty()) columns = table.select(r.key);
  for (size_t c = 0; r.key.empty() && c < table.names().size(); ++c) columns.push_back(c);
  bool one_by_one = r.key.empty() ? table.has_header() && !r.as_one : columns.size() == 1;
  if (one_by_one) return table.arrays(columns);
  return {{"", table.matrix(columns)}};
}

NamedTensors read_picture(const Reading& r) {
  std::string bytes = r.text();
  return {{"", decode_image(std::as_bytes(std::span(bytes)), r.budget)}};
}

NamedTensors read_format(Format format, const Reading& r) {
  bool keyed = format == Format::Npz || format == Format::Safetensors || format == Format::Csv ||
               format == Format::Tsv || format == Format::Raw;
  if (!r.key.empty() && !keyed) {
    fail(ErrorKind::BadInput, "this format has one array, so ':{}' chooses nothing", r.key);
  }
  if (r.gzip && (format == Format::Npz || format == Format::Safetensors)) {
    fail(ErrorKind::BadInput, "this format is not read from .gz; unpack it first");
  }
  switch (format) {
    case Format::Npy:
      return {{"", read_npy(*r.stream(), r.budget)}};
    case Format::Npz:
      return read_npz(r.file, r.budget, r.key);
    case Format::Safetensors:
      return read_safetensors(r.file, r.budget, r.key);
    case Format::Csv:
      return read_table(r, ',');
    case Format::Tsv:
      return read_table(r, '\t');
    case Format::Idx:
      return {{"", read_idx(*r.stream(), r.budget)}};
    case Format::Image:
      return read_picture(r);
    case Format::Raw:
      return {{"", read_raw(*r.stream(), r.key, r.budget)}};
    default:
      break;
  }
  fail(ErrorKind::BadInput,
       "the name tells no format that is read: .npy, .npz, .safetensors, .csv, .tsv, .idx, -ubyte, "
       ".png, .jpg, .bmp, .webp, .tif, .jp2, .raw:TYPE:SHAPE and .pb do");
}

bool looks_like_safetensors(const std::string& head, int64_t size) {
  return head.size() > 8 && head[8] == '{' &&
         load_integer<uint64_t>(head.data(), std::endian::little) <= static_cast<uint64_t>(size);
}

// The format that the first bytes tell; Unknown for text.
Format sniff(const DataFile& file) {
  std::string head = file.head(16);
  auto begins = [&](std::string_view magic) { return head.starts_with(magic); };
  if (begins("\x93NUMPY")) return Format::Npy;
  if (begins("PK\x03\x04") || begins("PK\x05\x06")) return Format::Npz;
  auto follows = [&](size_t at, std::string_view magic) {
    return head.size() > at && std::string_view(head).substr(at).starts_with(magic);
  };
  bool bmp = begins("BM") && follows(6, std::string_view("\0\0\0\0", 4));
  bool pnm = (begins("P5") || begins("P6")) && head.size() > 2 && std::isspace(head[2]);
  bool webp = begins("RIFF") && follows(8, "WEBP");
  if (begins("\x89PNG") || begins("\xff\xd8\xff") || bmp || pnm || webp) return Format::Image;
  return looks_like_safetensors(head, file.size()) ? Format::Safetensors : Format::Unknown;
}

NamedTensors read_standard_input(const ReadOptions& options, MemoryBudget& budget, bool as_one) {
  Reading r{DataFile::standard_input(budget), false, "", as_one, options, budget};
  if (r.file.head(2) == "\x1f\x8b") {
    r.gzip = true;
    r.file = DataFile::of_bytes(r.text());
    r.gzip = false;
  }
  Format format = sniff(r.file);
  if (format != Format::Unknown) return read_format(format, r);
  std::string text = r.text();
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && is_inline(std::string_view(text).substr(first))) {
    return {{"", parse_inline(text, options.dtype)}};
  }
  NamedTensors columns = read_table(r, ',');
  for (NamedTensor& column : columns) {
    bool text_column = column.tensor.dtype() == DType::String || options.dtype == DType::String;
    if (options.dtype == DType::Undefined || text_column) continue;
    column.tensor = convert(column.tensor, options.dtype);
  }
  return columns;
}

NamedTensor read_proto(const std::string& path, const ProtoFormat& proto) {
  if (!proto.read) fail(ErrorKind::Unsupported, ".pb files are not read here");
  return proto.read(path);
}

NamedTensors read_directory(const std::string& path, const ProtoFormat& proto) {
  NamedTensors arrays;
  while (true) {
    std::string file = fmt::format("{}/input_{}.pb", path, arrays.size());
    if (!file_exists(file)) break;
    try {
      arrays.push_back(read_proto(file, proto));
    } catch (const Error& e) {
      throw e.in(fmt::format("input_{}.pb", arrays.size()));
    }
  }
  if (arrays.empty()) fail(ErrorKind::BadInput, "this directory has no input_0.pb");
  return arrays;
}

NamedTensors read_file(const Spec& spec, const ReadOptions& options, MemoryBudget& budget,
                       bool as_one) {
  if (is_folder(spec.path)) return read_directory(spec.path, options.proto);
  bool gzip = false;
  Format format = format_of(spec.path, &gzip);
  DataFile file = DataFile::open(spec.path, budget);
  if (format == Format::Proto && !gzip) return {read_proto(spec.path, options.proto)};
  return read_format(format, {std::move(file), gzip, spec.key, as_one, options, budget});
}

NamedTensors read_any(const std::string& spec, const ReadOptions& options, bool as_one) {
  MemoryBudget budget = options.max_bytes ? MemoryBudget(*options.max_bytes) : MemoryBudget();
  Spec split = spec == "-" ? Spec{"standard input", ""} : split_spec(spec);
  if (spec != "-" && !file_exists(split.path) && is_inline(spec)) {
    return {{"", parse_inline(spec, options.dtype)}};
  }
  try {
    if (spec == "-") return read_standard_input(options, budget, as_one);
    return read_file(split, options, budget, as_one);
  } catch (const Error& e) {
    throw e.in_file(split.path);
  }
}

}  // namespace

std::pair<std::string, std::string> split_path_and_key(const std::string& spec) {
  Spec split = split_spec(spec);
  return {split.path, split.key};
}

NamedTensors read_arrays(const std::string& spec, const ReadOptions& options) {
  return read_any(spec, options, false);
}

NamedTensor read_array(const std::string& spec, const ReadOptions& options) {
  NamedTensors arrays = read_any(spec, options, true);
  if (arrays.size() == 1) return std::move(arrays.front());
  std::vector<std::string> names;
  for (const NamedTensor& a : arrays) names.push_back(a.name);
  fail(ErrorKind::BadInput, "{} : one array is needed, but there are {}: {}", spec, names.size(),
       fmt::join(names, ", "));
}

namespace {

const NamedTensor& only_array(const std::string& path, const NamedTensors& arrays) {
  if (arrays.size() != 1) {
    fail(ErrorKind::Usage, "'{}' holds one array, but there are {}; write .npz instead", path,
         arrays.size());
  }
  return arrays.front();
}

void write_proto(const std::string& path, const NamedTensor& array, const ProtoFormat& proto) {
  if (!proto.to_bytes) fail(ErrorKind::Unsupported, ".pb files are not written here");
  write_file(path, proto.to_bytes(array));
}

void write_directory(const std::string& path, const NamedTensors& arrays,
                     const ProtoFormat& proto) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    fail(ErrorKind::CannotWrite, "cannot make directory '{}': {}", path, error.message());
  }
  for (size_t i = 0; i < arrays.size(); ++i) {
    write_proto(fmt::format("{}/output_{}.pb", path, i), arrays[i], proto);
  }
}

void write_with(const std::string& path, const std::function<void(AtomicFile&)>& write) {
  AtomicFile file(path);
  write(file);
  file.commit();
}

void write_npy(const std::string& path, const Tensor& t) {
  NpyParts parts = to_npy(t);
  write_with(path, [&](AtomicFile& file) {
    file.write(parts.head);
    file.write(std::span(parts.body.raw(), static_cast<size_t>(parts.body.bytes())));
  });
}

}  // namespace

void write_arrays(const std::string& path, const NamedTensors& arrays, const ProtoFormat& proto) {
  if (path.ends_with('/') || is_folder(path)) return write_directory(path, arrays, proto);
  switch (format_of(path)) {
    case Format::Npy:
      return write_npy(path, only_array(path, arrays).tensor);
    case Format::Npz:
      return write_with(path, [&](AtomicFile& f) { write_npz(f, arrays); });
    case Format::Safetensors:
      return write_with(path, [&](AtomicFile& f) { write_safetensors(f, arrays); });
    case Format::Json:
      return write_file(path, to_json(arrays));
    case Format::Csv:
      return write_file(path, to_csv(arrays));
    case Format::Proto:
      return write_proto(path, only_array(path, arrays), proto);
    default:
      fail(
          ErrorKind::Usage,
          "'{}' names no format that is written: .npz, .npy, .json, .csv, .safetensors, .pb do, or "
          "a directory with a slash at its end",
          path);
  }
}

}  // namespace onnxrun
