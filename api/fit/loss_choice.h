// Which loss, of which output.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "training/loss.h"

namespace onnxrun {

struct LossChoice {
  std::string loss;  // "[OUTPUT=]NAME"; empty: chosen from output and target
  std::optional<std::string> reduction;
  std::optional<int64_t> class_axis;
  bool allow_broadcast = false;
  std::vector<double> class_weights = {};
  std::optional<int64_t> ignore_index = {};
  double label_smoothing = 0;

  std::optional<Reduction> chosen_reduction() const {
    if (!reduction) return std::nullopt;
    return *reduction == "sum" ? Reduction::Sum : Reduction::Mean;
  }
};

struct ChosenLoss {
  std::string name;
  std::string output;
  bool by_default = false;
  std::string warning = {};  // where the output has been through the Softmax or Sigmoid that the
                             // loss contains, or lacks one
};

// `target_output` is the output that the target is for, or "". `target` is undefined if the data
// have none: then the loss, unless it is given, is the model's own output. Throws Usage for unknown
// names, listing those there are.
ChosenLoss choose_loss(const Graph& graph, const LossChoice& choice,
                       const std::string& target_output, const Tensor& target);

// True if the choice asks for the model's own output, which needs no target.
bool is_own_output(const LossChoice& choice);

// "[OUTPUT=]REST" where OUTPUT is an output of the graph or REST is all.
std::pair<std::string, std::string> split_output(const Graph& graph, const std::string& text);

}  // namespace onnxrun
