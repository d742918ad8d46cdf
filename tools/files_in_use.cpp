#include "files_in_use.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file_names.h"
#include "graph/graph.h"

namespace onnxrun::tool {

namespace fs = std::filesystem;

// No path is longer, so values given inline are not searched for names of files.
static constexpr size_t max_path = 4096;

static bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error)) return true;
  // Of files that are not there yet.
  fs::path x = fs::weakly_canonical(fs::absolute(a, error), error);
  fs::path y = fs::weakly_canonical(fs::absolute(b, error), error);
  return !error && x == y;
}

// A file output_N.pb in this folder.
static bool is_numbered_output(const std::string& file, const std::string& folder) {
  std::string name = fs::path(file).filename().string();
  std::string parent = fs::path(file).parent_path().string();
  return name.starts_with("output_") && name.ends_with(".pb") &&
         same_file(parent.empty() ? "." : parent, folder);
}

static bool is_folder(const std::string& path) {
  std::error_code error;
  return path.ends_with('/') || fs::is_directory(path, error);
}

void FilesInUse::read(const std::string& spec) {
  std::error_code error;
  if (fs::is_directory(spec, error)) {
    for (const auto& entry : fs::directory_iterator(spec, error)) {
      if (entry.is_regular_file(error)) inputs_.push_back(entry.path().string());
    }
    return;
  }
  // Names and keys may hold '=' and ':' themselves, so every cut that gives a file counts.
  for (size_t begin = 0;;) {
    for (size_t end = std::min(spec.size(), begin + max_path); end != std::string::npos;
         end = end > begin ? spec.rfind(':', end - 1) : std::string::npos) {
      if (end <= begin) break;
      std::string path = spec.substr(begin, end - begin);
      if (path.size() < max_path && fs::is_regular_file(path, error)) inputs_.push_back(path);
    }
    begin = spec.find_first_of("=@", begin);
    if (begin == std::string::npos || ++begin >= max_path) return;
  }
}

void FilesInUse::read(const std::vector<std::string>& specs) {
  for (const std::string& spec : specs) read(spec);
}

void FilesInUse::read(const Model& model) {
  const auto& source = model.graph().source;
  if (!source) return;
  inputs_.push_back(source->path);
  for (const auto& [location, path] : source->data_files) inputs_.push_back(path);
}

void FilesInUse::write(std::string_view option, const std::string& path) {
  if (path.empty()) return;
  bool folder = is_folder(path);
  for (const std::string& input : inputs_) {
    if (folder ? is_numbered_output(input, path) : same_file(input, path)) {
      fail(ErrorKind::Usage, "{} {} would overwrite '{}', which is read", option, path, input);
    }
  }
  for (const Output& other : outputs_) {
    if (same_file(other.path, path)) {
      fail(ErrorKind::Usage, "{} {} would overwrite what {} writes", option, path, other.option);
    }
  }
  outputs_.push_back({std::string(option), path});
}

void check_destination(const std::string& model, const std::string& output, bool in_place) {
  if (in_place && model == "-") {
    fail(ErrorKind::Usage, "--in-place: standard input is no file to write to; give -o");
  }
  if (output.empty() == !in_place) {
    throw Error(ErrorKind::Usage, in_place
                                      ? "give either -o or --in-place"
                                      : "where to? -o FILE writes the trained model, --in-place "
                                        "overwrites the one read");
  }
  std::error_code none;
  if (!output.empty() && std::filesystem::equivalent(output, model, none)) {
    fail(ErrorKind::Usage, "-o {} is the model itself; --in-place overwrites it", output);
  }
}

void check_writable(const std::string& path) {
  if (path.empty()) return;
  fs::path folder = fs::path(path).parent_path();
  if (folder.empty()) folder = ".";
  if (!is_folder(folder)) {
    fail(ErrorKind::CannotWrite, "{}: there is no folder '{}'", path, folder.string());
  }
  if (is_folder(path)) fail(ErrorKind::CannotWrite, "{}: this is a folder", path);
  if (access(folder.c_str(), W_OK) != 0 &&
      !(file_exists(path) && access(path.c_str(), W_OK) == 0)) {
    fail(ErrorKind::CannotWrite, "{}: the folder cannot be written to", path);
  }
}

}  // namespace onnxrun::tool
