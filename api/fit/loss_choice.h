// Which loss, of which output.
#pragma once

#include <string>
#include <utility>

#include "graph/graph.h"
#include "training/loss.h"

namespace onnxrun {

struct ChosenLoss {
  LossOptions loss;  // with name and output
  bool by_default = false;
  std::string warning = {};  // where the output has been through the Softmax or Sigmoid that the
                             // loss contains, or lacks one
};

// `target` is undefined if the data have none: then the loss, unless it is named, is the model's
// own output. Throws Usage for unknown names, listing those there are.
ChosenLoss choose_loss(const Graph& graph, const LossOptions& asked, const Tensor& target);

// "[OUTPUT=]REST" where OUTPUT is an output of the graph or REST is all.
std::pair<std::string, std::string> split_output(const Graph& graph, const std::string& text);

}  // namespace onnxrun
