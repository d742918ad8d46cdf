// Options of a command in a file, as TOML has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace onnxrun::tool {

struct ConfigEntry {
  std::string section;              // the table it stands in; "" is none
  std::string name;                 // with '-' for '_'
  std::vector<std::string> values;  // of an array all, else one
  bool is_boolean = false;          // "true" or "false" without quotes
  int line = 0;
};

// TOML of one level: comments, tables, keys, and values that are strings, numbers, booleans or
// arrays of them. Throws Usage naming the line.
std::vector<ConfigEntry> parse_config(std::string_view text);

// The same as text that parse_config() reads back.
std::string config_text(const std::vector<ConfigEntry>& entries);

}  // namespace onnxrun::tool
