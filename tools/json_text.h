// JSON documents as the command prints them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace onnxrun::tool {

// Indented, with a line break at the end. Names in models may be no UTF-8; JSON has to be: bytes
// that are not become U+FFFD.
std::string json_text(const nlohmann::ordered_json& document);

}  // namespace onnxrun::tool
