// UTF-8 (RFC 3629).
#pragma once

#include <string>
#include <string_view>

namespace onnxrun {

// The code points of `text`; false if it is not valid UTF-8.
bool decode_utf8(std::string_view text, std::u32string& out);
// Appends one code point; false, and nothing appended, if there is no such code point.
bool append_utf8(std::string& text, char32_t code_point);

}  // namespace onnxrun
