// Where a model file keeps its tensors: in itself or in a file beside it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "graph/graph.h"

namespace onnxrun {

// The ModelProto that `imported` was read from, in wire form, with the tensors of its data files
// moved into it and other elements in those that `payloads` names (export_trained() says how); all
// else as it was. Throws CannotWrite for more than the 2 GiB of a protobuf message or if a data
// file cannot be read again, and what export_trained() throws for payloads.
std::string inlined_model(const Graph& imported, const std::map<int, Tensor>& payloads = {});

enum class Storage : uint8_t {
  Inline,    // everything in the .onnx file
  External,  // initializers of the main graph from 1 KiB on in PATH.data
};

// Writes a ModelProto without external tensors. Files appear together and whole or not at all.
// Throws CannotWrite.
void write_model(const std::string& model, const std::string& path, Storage storage);

}  // namespace onnxrun
