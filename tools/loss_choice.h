// Which loss, of which output.
#pragma once

#include <optional>
#include <string>

#include "graph/graph.h"
#include "training_options.h"

namespace onnxrun::tool {

struct ChosenLoss {
  std::string name;
  std::string output;
  bool by_default = false;
};

// `target_output` is the OUTPUT of --target, or "". `target` is undefined if the data have none:
// then the loss, unless it is given, is the model's own output. Throws Usage for unknown names,
// listing those there are. Warns where the output has been through the Softmax or Sigmoid that the
// loss contains.
ChosenLoss choose_loss(const Graph& graph, const LossChoice& choice,
                       const std::string& target_output, const Tensor& target);

// True if --loss asks for the model's own output, which needs no target.
bool is_own_output(const LossChoice& choice);

// "[OUTPUT=]REST" where OUTPUT is an output of the graph or REST is all.
std::pair<std::string, std::string> split_output(const Graph& graph, const std::string& text);

}  // namespace onnxrun::tool
