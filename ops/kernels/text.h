// UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace onnxrun {

// The character that begins at `at`, which moves behind it. Throws BadInput for what is no UTF-8.
char32_t next_character(std::string_view text, size_t& at);
// Unicode's property White_Space.
bool is_white_space(char32_t c);

// Each character by Unicode's simple mapping, the same on every machine.
std::string in_lower_case(std::string_view text);
std::string in_upper_case(std::string_view text);

}  // namespace onnxrun
