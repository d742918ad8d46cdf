// Models from files and from standard input.
#pragma once

#include <string>

#include "common_options.h"
#include "onnxrun/model.h"

namespace onnxrun::tool {

// What help texts call the argument.
inline constexpr const char* model_help = "the .onnx file, or - for standard input";

// The model at `path`, or for "-" the one that comes on standard input: `path` is then what
// messages call it. Throws what Model::load() throws.
Model load_model(std::string& path, const CommonOptions& common);

// All of standard input, which has no more to give then; `path`, "-", becomes its name for
// messages. Throws BadModel if it cannot be read or is longer than a model may be, Usage if it is
// read a second time or is a terminal.
std::string read_standard_input(std::string& path);

}  // namespace onnxrun::tool
