#include "value_files.h"

#include <algorithm>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/file_names.h"
#include "formats/print.h"
#include "value_reader.h"
#include "value_writer.h"

namespace onnxrun::tool {

namespace fs = std::filesystem;

std::vector<RuntimeValue> read_value_directory(const std::string& directory,
                                               const std::string& prefix,
                                               const std::vector<Type>& types, int64_t max_memory) {
  std::vector<RuntimeValue> values;
  int64_t limit = max_memory == INT64_MAX ? 0 : max_memory;
  for (size_t k = 0;; ++k) {
    std::string path = fmt::format("{}/{}_{}.pb", directory, prefix, k);
    if (!file_exists(path)) return values;
    if (k >= types.size()) {
      fail(ErrorKind::BadInput, "{}: the model has {} {}s only", path, types.size(), prefix);
    }
    try {
      values.push_back(read_value_file(path, types[k], limit));
    } catch (const Error& e) {
      throw e.in_file(path);
    }
  }
}

static void flatten(const std::string& name, const RuntimeValue& value, NamedTensors& into) {
  if (value.is_tensor()) {
    into.push_back({name, value.tensor});
    return;
  }
  if (value.kind == RuntimeValue::Kind::Map) into.push_back({name + "/keys", value.tensor});
  if (!value.items) return;
  for (size_t k = 0; k < value.items->size(); ++k) {
    flatten(fmt::format("{}/{}", name, k), (*value.items)[k], into);
  }
}

const RuntimeValue* find_value(const NamedValues& values, const std::string& name) {
  auto it =
      std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.first == name; });
  return it == values.end() ? nullptr : &it->second;
}

NamedTensors flattened(const NamedValues& values) {
  NamedTensors arrays;
  for (const auto& [name, value] : values) flatten(name, value, arrays);
  return arrays;
}

void write_values(const std::string& path, const NamedValues& values) {
  if (!path.ends_with('/') && !is_folder(path)) {
    write_arrays(path, flattened(values), proto_format());
    return;
  }
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(ErrorKind::CannotWrite, "{}: {}", path, error.message());
  for (size_t k = 0; k < values.size(); ++k) {
    write_file(fmt::format("{}/output_{}.pb", path, k),
               write_value_bytes(values[k].second, values[k].first));
  }
}

static std::string value_json(const RuntimeValue& value) {
  if (value.is_tensor()) {
    const Tensor& t = value.tensor;
    std::string shape;
    for (int64_t d : t.dims()) shape += (shape.empty() ? "" : ", ") + std::to_string(d);
    return fmt::format(R"({{"dtype": "{}", "shape": [{}], "data": {}}})", to_string(t.dtype()),
                       shape, json_values(t));
  }
  std::string items;
  if (value.items) {
    for (const RuntimeValue& item : *value.items) {
      items += (items.empty() ? "" : ", ") + value_json(item);
    }
  }
  items = "[" + items + "]";
  if (value.kind != RuntimeValue::Kind::Map) return items;
  return fmt::format(R"({{"keys": {}, "values": {}}})", json_values(value.tensor), items);
}

std::string values_to_json(const NamedValues& values) {
  std::string text;
  for (const auto& [name, value] : values) {
    text +=
        fmt::format("{}\n  {}: {}", text.empty() ? "" : ",", json_string(name), value_json(value));
  }
  return "{" + text + "\n}";
}

std::string values_to_text(const NamedValues& values) {
  std::string text;
  for (const auto& [name, value] : values) {
    if (!value.is_tensor()) {
      text += fmt::format("{}: {} of {}\n", name,
                          value.kind == RuntimeValue::Kind::Sequence   ? "sequence"
                          : value.kind == RuntimeValue::Kind::Optional ? "optional"
                                                                       : "map",
                          value.items ? value.items->size() : 0);
    }
    NamedTensors parts;
    flatten(name, value, parts);
    for (const NamedTensor& part : parts) {
      text += fmt::format("{}: {}\n{}\n", part.name, part.tensor.type_text(), to_text(part.tensor));
    }
  }
  return text;
}

}  // namespace onnxrun::tool
