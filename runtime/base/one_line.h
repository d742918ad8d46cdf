// Texts from files, shown to people.
#pragma once

#include <string>
#include <string_view>

namespace onnxrun {

// The text with control characters as \x0a: names in a model may hold anything, and a terminal
// obeys what it is sent.
std::string without_controls(std::string_view text);

}  // namespace onnxrun
