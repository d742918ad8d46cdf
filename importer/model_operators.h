// Which operators a model file uses, without asking whether anyone has them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace onnxrun {

struct OperatorUse {
  std::string domain;  // "" is ai.onnx
  std::string name;
  int64_t opset = 0;  // that the file imports; 0: it imports none of this domain
  int64_t count = 0;  // nodes, those of subgraphs and functions included
};

// By domain, name and opset. Nodes that call functions of the model do not count, their bodies do.
// Throws BadModel for a file that cannot be read.
std::vector<OperatorUse> operators_of(const std::string& path);

// The same of the bytes of a file.
std::vector<OperatorUse> operators_of_bytes(const std::string& bytes);

}  // namespace onnxrun
