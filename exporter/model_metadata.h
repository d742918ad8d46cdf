// Metadata of a model file, changed without touching anything else.
#pragma once

#include <string>
#include <string_view>

namespace onnxrun {

// The ModelProto, in wire form, with an entry in place of the ones of this key; all else keeps its
// bytes. Throws BadModel if the bytes are no message.
std::string with_metadata(std::string_view model, const std::string& key, const std::string& value);

}  // namespace onnxrun
