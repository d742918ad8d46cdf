// What a file has lost on its way out of a framework, as far as it shows.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

struct ExportLoss {
  std::string rule;  // a short name that stays: "folded-batchnorm"
  std::string text;  // what is lost, and how to export so that it is not
};

// Of an imported graph whose parameters are chosen: batch norms folded into constants, Dropout that
// was removed, biases of zeros that Keras leaves out, parameters of the module that nothing uses
// any more, weights in half precision or quantized. Reads the file's structure once more.
std::vector<ExportLoss> export_losses(const Graph& imported);

}  // namespace onnxrun
