// A model file in two parts: its structure as a message, and the elements of its large tensors,
// which go from the file straight into their own memory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "graph/graph.h"
#include "input_file.h"

namespace onnxrun {

class ModelFile {
 public:
  // Throws BadModel if it cannot be read, Limit if what is not raw_data has more bytes than
  // `max_bytes`. What is no message is left to its parser to refuse.
  ModelFile(const std::string& path, int64_t max_bytes);

  // raw_data of one of the main graph's initializers.
  struct RawData {
    int64_t offset = 0;  // in the file
    int64_t bytes = 0;
    size_t at = 0;  // where it is missing in what keep() keeps
  };

  // The ModelProto without the raw_data that raw_data() knows; gone after keep().
  const std::string& message() const { return message_; }
  // That of initializer `index`; null if the message has it.
  const RawData* raw_data(int index) const;
  // The first to.size() bytes of it. Throws BadModel if the file has become shorter.
  void read(const RawData& raw, std::span<std::byte> to) const;

  // Keeps the whole file in `source`. `elements` gives what initializer `index` has become: where
  // these are the very bytes of the file, they are not kept a second time.
  void keep(ModelSource& source, const std::function<const Tensor*(int index)>& elements);

 private:
  class Splitter;

  void check_size(int64_t bytes) const;

  InputFile file_;
  int64_t max_bytes_;
  std::string message_;
  std::string rest_;  // the file without raw_
  std::map<int, RawData> raw_;
};

}  // namespace onnxrun
