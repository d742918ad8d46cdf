#include "entry.h"

#include "base/error.h"

namespace onnxrun {

onnx::StringStringEntryProto read_entry(std::string_view bytes, std::string_view what) {
  onnx::StringStringEntryProto entry;
  if (!entry.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    fail(ErrorKind::BadModel, "{} is damaged", what);
  }
  return entry;
}

}  // namespace onnxrun
