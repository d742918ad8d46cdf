// What a message takes in memory, before it is parsed: a few bytes of a file may be a large object.
#pragma once

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <string_view>

namespace onnxrun {

// Bytes that protobuf takes for a message of this type, to within a few tenths. What is no message
// counts as far as it can be read; so does what is nested more than `depth` deep.
int64_t parsed_size(std::string_view bytes, const google::protobuf::Descriptor& type, int depth);

}  // namespace onnxrun
