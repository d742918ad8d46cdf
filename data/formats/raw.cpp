#include "formats/raw.h"

#include <charconv>

#include "base/error.h"

namespace onnxrun {

static Dims parse_lengths(std::string_view text, std::string_view description) {
  Dims dims;
  while (!text.empty()) {
    int64_t length = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    bool more = text.starts_with('x');
    if (more) text.remove_prefix(1);
    if (error != std::errc() || length < 0 || more == text.empty()) {
      fail(ErrorKind::BadInput, "'{}' is no type and shape such as f32:1x3x224x224", description);
    }
    dims.push_back(length);
  }
  return dims;
}

Tensor read_raw(ByteStream& stream, std::string_view description, MemoryBudget& budget) {
  size_t colon = description.find(':');
  DType dtype = dtype_from_name(description.substr(0, colon));
  if (dtype == DType::Undefined || dtype == DType::String || colon == std::string_view::npos) {
    fail(ErrorKind::BadInput, "'{}' is no type and shape such as f32:1x3x224x224", description);
  }
  Dims dims = parse_lengths(description.substr(colon + 1), description);
  Tensor t = read_elements(stream, dtype, dims, std::endian::little, budget);
  stream.expect_end();
  return t;
}

}  // namespace onnxrun
