#include "array_files.h"

#include "base/error.h"
#include "base/file_names.h"
#include "formats/inline.h"
#include "input_file.h"
#include "onnxrun/feed.h"
#include "value_reader.h"
#include "value_writer.h"

namespace onnxrun {

ProtoFormat proto_format(int64_t max_memory) {
  ProtoFormat format;
  int64_t limit = max_memory == INT64_MAX ? 0 : max_memory;
  format.read = [limit](const std::string& path) {
    std::string bytes = read_input_file(path, ErrorKind::BadInput);
    return NamedTensor{read_value_name(bytes, Type{}),
                       read_value_bytes(bytes, Type{}, limit).tensor};
  };
  format.to_bytes = [](const NamedTensor& t) { return write_value_bytes(t.tensor, t.name); };
  return format;
}

ReadOptions read_options(int64_t max_memory, DType dtype) {
  ReadOptions options;
  options.dtype = dtype;
  if (max_memory != INT64_MAX) options.max_bytes = max_memory;
  options.proto = proto_format(max_memory);
  return options;
}

std::pair<std::string, std::string> split_array_name(const std::string& text) {
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || file_exists(text) || is_inline(text)) {
    return {"", text};
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

const NamedTensor* find_array(const NamedTensors& arrays, const std::string& name) {
  for (const NamedTensor& a : arrays) {
    if (a.name == name) return &a;
  }
  return nullptr;
}

void read_named_arrays(const std::string& spec, int64_t max_memory, NamedTensors& all) {
  auto [name, file] = split_array_name(spec);
  NamedTensors arrays;
  if (name.empty()) {
    arrays = read_arrays(file, read_options(max_memory));
  } else {
    arrays.push_back({name, read_array(file, read_options(max_memory)).tensor});
  }
  for (NamedTensor& a : arrays) {
    if (a.name.empty()) {
      fail(ErrorKind::BadInput, "{}: its array has no name; NAME={} gives one", file, file);
    }
    if (find_array(all, a.name)) {
      fail(ErrorKind::BadInput, "{}: there is an array '{}' already", file, a.name);
    }
    all.push_back(std::move(a));
  }
}

NamedTensors open_arrays(const std::vector<std::string>& files, int64_t max_memory) {
  NamedTensors all;
  for (const std::string& file : files) read_named_arrays(file, max_memory, all);
  return all;
}

}  // namespace onnxrun
