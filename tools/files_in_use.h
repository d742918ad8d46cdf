// Keeps a command from writing over what it reads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "onnxrun/model.h"

namespace onnxrun::tool {

// Collect what is read first, then ask for each file that will be written.
class FilesInUse {
 public:
  // A file, a folder with the files in it, or what options for data take: [NAME=]FILE[:key], @FILE.
  // Text that names no file there is ignored.
  void read(const std::string& spec);
  void read(const std::vector<std::string>& specs);
  // The model's file and those of its external data.
  void read(const Model& model);

  // A file that `option` writes ("" is none), or a folder that gets output_0.pb, output_1.pb, ...
  // Throws Usage if that would overwrite a file that is read or that another option writes.
  void write(std::string_view option, const std::string& path);

 private:
  struct Output {
    std::string option, path;
  };
  std::vector<std::string> inputs_;
  std::vector<Output> outputs_;
};

// Throws Usage unless either -o names another file than the model, or --in-place stands alone, and
// the model is a file then.
void check_destination(const std::string& model, const std::string& output, bool in_place);

// Before hours of work, not after them: throws CannotWrite for a path that no file can be written
// to; "" is none.
void check_writable(const std::string& path);

}  // namespace onnxrun::tool
