// Files that tests read and write, and errors that they expect.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/error.h"

namespace onnxrun::testing {

// The path of a file under tests/data.
std::string data_path(const std::string& name);
// The path of a file of the source tree.
std::string source_path(const std::string& name);

inline std::string file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// A directory of the current test's own, removed with its contents.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "onnxrun-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) ADD_FAILURE() << "no temporary directory";
    path_ = std::filesystem::canonical(pattern);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string path(const std::string& name) const { return *this / name; }
  const std::string& path() const { return path_; }
  std::string read(const std::string& name) const { return file_bytes(*this / name); }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(*this / name, std::ios::binary) << bytes;
    return *this / name;
  }
  size_t count() const {
    auto entries = std::filesystem::directory_iterator(path_);
    return static_cast<size_t>(std::distance(begin(entries), end(entries)));
  }

 private:
  std::string path_;
};

// Expects an Error of this kind whose text contains `text`.
template <typename F>
void expect_fails(ErrorKind kind, const std::string& text, const F& f) {
  try {
    f();
    ADD_FAILURE() << "no error; expected: " << text;
  } catch (const Error& e) {
    EXPECT_EQ(to_string(e.kind()), to_string(kind)) << e.what();
    EXPECT_NE(std::string(e.what()).find(text), std::string::npos)
        << "found: " << e.what() << "\nexpected: " << text;
  }
}

}  // namespace onnxrun::testing
