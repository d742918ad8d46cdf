// The classes that a model finds most likely.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "onnxrun/session.h"

namespace onnxrun::tool {

// For each sample (each row of the last axis), the largest elements, largest first.
struct TopClasses {
  struct Entry {
    int64_t index;
    double score;
  };
  std::vector<std::vector<Entry>> samples;

  // `labels` may be empty. Throws BadInput if a class has none.
  std::string to_text(const std::vector<std::string>& labels) const;
  std::string to_json(const std::vector<std::string>& labels) const;
};

// Throws BadInput unless the output is a numeric tensor with axes.
TopClasses top_classes(const std::pair<std::string, RuntimeValue>& output, int64_t k);

// The lines of a text file. Throws BadInput if it cannot be read.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace onnxrun::tool
