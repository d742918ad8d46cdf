// What LoadOptions say to the importer.
#pragma once

#include "onnx_importer.h"
#include "onnxrun/model.h"

namespace onnxrun {

ImportOptions import_options(const LoadOptions& options);

}  // namespace onnxrun
