// Questions about names that may be no files at all: arrays written inline, names too long.
#pragma once

#include <filesystem>
#include <string>

namespace onnxrun {

// False, too, where the system cannot tell.
inline bool file_exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

inline bool is_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

}  // namespace onnxrun
