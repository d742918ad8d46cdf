// What is minimised.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace onnxrun {

class Graph;

enum class Reduction : uint8_t { Mean, Sum };

// One loss: of an output of the model against a target. `onnxrun train --help` lists the names.
struct LossOptions {
  std::string name = {};
  // Default: mean, but sum for sum_squared.
  std::optional<Reduction> reduction = {};
  // The axis of the output that counts classes, for losses of class indices; default: the axis
  // whose removal from the output's shape gives the target's, 1 if several fit. May be negative.
  std::optional<int64_t> class_axis = {};
  // A target whose shape differs from the output's by more than axes of length 1 is an error,
  // unless this lets it broadcast as in numpy: [N] against [N,1] is [N,N] then, and otherwise
  // [N,1].
  bool allow_broadcast = false;
  // Of losses of class indices. A weight for each class; a mean is then one over the weights of the
  // samples. Samples of class `ignore_index` do not count.
  std::vector<double> class_weights = {};
  std::optional<int64_t> ignore_index = {};
  // Of cross_entropy: this part of each sample, from 0 to 1, is of all classes alike
  // (torch.nn.CrossEntropyLoss).
  double label_smoothing = 0;
  // The output of the model that the loss reads; its first if empty.
  std::string output = {};
  // Where a training has several losses, it minimises their sum, each times its weight.
  double weight = 1;
  // In place of a name: a graph (Model::shared_graph()) whose inputs are called like outputs or
  // inputs of the model or else are targets, and whose first output is the loss, one number.
  std::shared_ptr<const Graph> graph = {};
};

}  // namespace onnxrun
