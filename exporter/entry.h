// Pairs of strings: metadata, places of external data.
#pragma once

#include <onnx/onnx_pb.h>

#include <string_view>

namespace onnxrun {

// Throws BadModel, calling it `what`, if the bytes are no entry.
onnx::StringStringEntryProto read_entry(std::string_view bytes, std::string_view what);

}  // namespace onnxrun
