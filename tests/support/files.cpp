#include "support/files.h"

namespace onnxrun::testing {

std::string data_path(const std::string& name) { return source_path("tests/data/" + name); }

std::string source_path(const std::string& name) { return ONNXRUN_SOURCE "/" + name; }

}  // namespace onnxrun::testing
