#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "formats/json.h"

namespace onnxrun {

namespace {

constexpr int64_t longest_header = 100'000'000;  // as in the reference implementation
constexpr size_t alignment = 8;
constexpr std::string_view metadata_key = "__metadata__";

struct TypeName {
  std::string_view name;
  DType dtype;
};
constexpr std::array<TypeName, 22> type_names = {{
    {"BOOL", DType::Bool},
    {"U8", DType::UInt8},
    {"I8", DType::Int8},
    {"U16", DType::UInt16},
    {"I16", DType::Int16},
    {"U32", DType::UInt32},
    {"I32", DType::Int32},
    {"U64", DType::UInt64},
    {"I64", DType::Int64},
    {"F16", DType::Float16},
    {"BF16", DType::BFloat16},
    {"F32", DType::Float32},
    {"F64", DType::Float64},
    {"C64", DType::Complex64},
    {"F8_E4M3", DType::Float8E4M3FN},
    {"F8_E5M2", DType::Float8E5M2},
    {"F8_E4M3FNUZ", DType::Float8E4M3FNUZ},
    {"F8_E5M2FNUZ", DType::Float8E5M2FNUZ},
    {"F8_E8M0", DType::Float8E8M0},
    {"F6_E2M3", DType::Float6E2M3},
    {"F6_E3M2", DType::Float6E3M2},
    {"F4", DType::Float4E2M1},
}};

struct Entry {
  std::string name;
  DType dtype;
  Dims dims;
  int64_t begin, end;
};

int64_t length_field(const Json& value, const std::string& name) {
  std::optional<int64_t> length = value.integer();
  if (!length || *length < 0) {
    fail(ErrorKind::BadInput, "tensor '{}' has a length or offset {}", name, value.text(false));
  }
  return *length;
}

Entry parse_entry(const std::string& name, const Json& json) {
  const Json *type_field = json.find("dtype"), *shape = json.find("shape"),
             *offsets = json.find("data_offsets");
  const std::string* type = type_field ? type_field->string() : nullptr;
  bool complete = type && shape && shape->elements() && offsets && offsets->elements() &&
                  offsets->elements()->size() == 2;
  if (!complete) {
    fail(ErrorKind::BadInput, "tensor '{}' lacks a dtype, a shape or two data_offsets", name);
  }
  Entry entry{name,
              DType::Undefined,
              {},
              length_field((*offsets->elements())[0], name),
              length_field((*offsets->elements())[1], name)};
  for (const TypeName& t : type_names) {
    if (t.name == *type) entry.dtype = t.dtype;
  }
  if (entry.dtype == DType::Undefined) {
    fail(ErrorKind::BadInput, "tensor '{}' has the unknown type '{}'", name, *type);
  }
  for (const Json& length : *shape->elements()) entry.dims.push_back(length_field(length, name));
  int64_t bytes = bytes_of(entry.dtype, element_count(entry.dims));
  if (entry.begin > entry.end || entry.end - entry.begin != bytes) {
    fail(ErrorKind::BadInput, "tensor '{}' is {}{}, {} bytes, but its offsets are {} to {}", name,
         to_string(entry.dtype), to_string(entry.dims), bytes, entry.begin, entry.end);
  }
  return entry;
}

std::vector<Entry> parse_header(const std::string& text, int64_t data_bytes) {
  std::optional<Json> header = Json::parse(text);
  if (!header || !header->members())
    fail(ErrorKind::BadInput, "the safetensors header is no JSON object");
  std::vector<Entry> entries;
  for (const auto& [name, json] : *header->members()) {
    if (name != metadata_key) entries.push_back(parse_entry(name, json));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  int64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered) {
      fail(ErrorKind::BadInput, "tensor '{}' begins at {}, but the one before it ends at {}",
           entry.name, entry.begin, covered);
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    fail(ErrorKind::BadInput, "the tensors take {} bytes, but the file has {}", covered,
         data_bytes);
  }
  return entries;
}

}  // namespace

NamedTensors read_safetensors(const DataFile& file, MemoryBudget& budget, const std::string& key) {
  std::string length_bytes = file.record(0, 8);
  auto length = load_integer<uint64_t>(length_bytes.data(), std::endian::little);
  if (length > static_cast<uint64_t>(std::min(longest_header, file.size() - 8))) {
    fail(ErrorKind::BadInput, "the safetensors header claims {} bytes in a file of {}", length,
         file.size());
  }
  int64_t start = 8 + static_cast<int64_t>(length);
  std::vector<Entry> entries =
      parse_header(file.text(8, static_cast<int64_t>(length), budget), file.size() - start);
  NamedTensors arrays;
  std::vector<std::string> names;
  for (const Entry& e : entries) {
    names.push_back(e.name);
    if (!key.empty() && e.name != key) continue;
    RangeStream stream(file, start + e.begin, e.end - e.begin);
    arrays.push_back({e.name, read_elements(stream, e.dtype, e.dims, std::endian::little, budget)});
  }
  if (!key.empty() && arrays.empty()) fail_unknown_key(key, names);
  return arrays;
}

namespace {

std::string_view type_name(const NamedTensor& array) {
  for (const TypeName& t : type_names) {
    if (t.dtype == array.tensor.dtype()) return t.name;
  }
  fail(ErrorKind::CannotWrite, "safetensors cannot hold '{}': it is {}", array.name,
       array.tensor.type_text());
}

}  // namespace

void write_safetensors(AtomicFile& file, const NamedTensors& arrays) {
  NamedTensors ordered;
  for (const NamedTensor& a : arrays) {
    ordered.push_back({a.name, to_little_endian(unpack_small_integers(a.tensor))});
  }
  // Wide elements first, as the reference implementation does: every tensor is then aligned.
  std::stable_sort(ordered.begin(), ordered.end(), [](const NamedTensor& a, const NamedTensor& b) {
    return bits_of(a.tensor.dtype()) > bits_of(b.tensor.dtype());
  });
  Json::Object header;
  std::set<std::string> names{std::string(metadata_key)};
  int64_t offset = 0;
  for (const NamedTensor& a : ordered) {
    if (!names.insert(a.name).second) {
      fail(ErrorKind::CannotWrite, "safetensors cannot hold a tensor named '{}'{}", a.name,
           a.name == metadata_key ? "" : " twice");
    }
    header.emplace_back(a.name, Json{{"dtype", type_name(a)},
                                     {"shape", a.tensor.dims()},
                                     {"data_offsets", Dims{offset, offset + a.tensor.bytes()}}});
    offset += a.tensor.bytes();
  }
  std::string text = Json::object(std::move(header)).text(false);
  text.append((alignment - text.size() % alignment) % alignment, ' ');
  std::string length;
  store_integer(length, static_cast<uint64_t>(text.size()));
  file.write(length + text);
  for (const NamedTensor& a : ordered) {
    file.write(std::span(a.tensor.raw(), static_cast<size_t>(a.tensor.bytes())));
  }
}

}  // namespace onnxrun
