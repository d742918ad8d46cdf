// All that is wrong with a model file or unusual in it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "findings.h"
#include "graph/graph.h"
#include "onnx_importer.h"

namespace onnxrun {

struct ModelCheck {
  std::vector<Finding> findings;
  // As import_model() gives it; nothing if there are errors.
  std::optional<Graph> graph;
};

// Reads the file at `path` as import_model() does, and goes on after errors: a node that cannot be
// read gives values of unknown types, a tensor one, an opset that is missing or too new counts as
// the newest known. Follow-on errors are left out. Throws BadModel for a file that cannot be read;
// one that is no model is a finding.
ModelCheck check_model(const std::string& path, const OpRegistry& registry,
                       const ImportOptions& options = {});

// The same from memory; external data are an error.
ModelCheck check_model_bytes(const std::string& bytes, const OpRegistry& registry,
                             const ImportOptions& options = {});

}  // namespace onnxrun
