// The bytes of a model file as a message.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>

#include "onnx_importer.h"

namespace onnxrun {

// Versions of the file format that are read.
inline constexpr int64_t oldest_ir = 3, newest_ir = 14;
// Before it, every initializer was an input, too.
inline constexpr int64_t first_ir_without_listed_initializers = 4;

// Throws BadModel for bytes that are no message, and for one that has no graph or no IR version.
onnx::ModelProto parse_model(const std::string& bytes, const ImportOptions& options);

// Throws Unsupported for an IR version that is not read.
void check_ir_version(const onnx::ModelProto& model);

}  // namespace onnxrun
