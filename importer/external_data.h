// Bytes of tensors that live in files beside the model.
//
// Locations come from the model and are not trusted (onnx docs/ExternalDataSecurity.md): a location
// is a relative path without "..", must lead to a regular file within the allowed folder, and is
// opened component by component without following links. Offset and length are checked against the
// file's size before anyone allocates.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <string>

#include "onnx_importer.h"

namespace onnxrun {

class ExternalDataReader {
 public:
  // `directory` is the model's folder; empty if the model came from memory.
  ExternalDataReader(ExternalData policy, std::string directory, std::string allowed_dir);
  ~ExternalDataReader();
  ExternalDataReader(const ExternalDataReader&) = delete;
  ExternalDataReader& operator=(const ExternalDataReader&) = delete;

  struct Extent {
    int file = -1;
    int64_t offset = 0;
    int64_t length = 0;
  };

  // Finds and checks the bytes of a tensor that needs `bytes` of them. Throws BadModel.
  Extent locate(const onnx::TensorProto& tensor, int64_t bytes);
  void read(const Extent& extent, std::byte* into);

  // Paths of the files that were opened, by location.
  const std::map<std::string, std::string>& files() const { return paths_; }

 private:
  struct File {
    int descriptor = -1;
    int64_t size = 0;
  };
  const File& open(const std::string& location);

  ExternalData policy_;
  std::string directory_;
  std::string allowed_dir_;
  std::map<std::string, File> open_;
  std::map<std::string, std::string> paths_;
};

}  // namespace onnxrun
