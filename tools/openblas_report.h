// What there is of OpenBLAS, for people and scripts.
#pragma once

#include <string>

#include "formats/json.h"

namespace onnxrun::tool {

struct OpenBlasReport {
  std::string text;    // "0.3.21, kernels for Haswell"; why it cannot be had
  Json document;       // null where it cannot be had
  std::string advice;  // where its kernels are older than the processor; else ""
};
// Loads it.
OpenBlasReport openblas_report();

}  // namespace onnxrun::tool
