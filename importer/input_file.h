// What reading any protobuf file needs.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace onnxrun {

// The whole file. Throws `kind` if it is no regular file, cannot be read, or is larger than the 2
// GiB that protobuf allows.
std::string read_input_file(const std::string& path, ErrorKind kind);

// Protobuf prints complaints of its own to standard error; ours say what matters.
void silence_protobuf();

// `bytes`, or if that is 0 the memory of the machine or, if less, of the control group.
int64_t memory_limit(int64_t bytes);

}  // namespace onnxrun
