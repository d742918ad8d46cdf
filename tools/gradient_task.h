// Gradients of a graph, computed and checked.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common_options.h"
#include "graph/graph.h"
#include "onnxrun/session.h"
#include "passes/gradient.h"
#include "training/training_graph.h"

namespace onnxrun::tool {

// How near one gradient is to central differences, in units of its largest element.
struct GradientCheck {
  std::string name;
  int64_t checked = 0;
  int64_t kinks = 0;  // of them, where slopes to the left and right differ: no error
  double error = 0;
  std::string message;

  static constexpr double allowed = 1e-4;
  bool right() const { return error <= allowed; }
};

// The scalar sum_k <cotangent_k, output_k>, or a loss, as a function of the graph's inputs and some
// initializers. First outputs or a loss are added, then gradients are taken.
class GradientTask {
 public:
  // `wrt` are names of floating-point inputs and initializers; the seed is that of random numbers.
  GradientTask(Graph graph, std::vector<std::string> wrt, uint64_t seed = 0);

  const Graph& graph() const { return graph_; }

  // Ones flow into this output. Random operators draw the same numbers in every evaluation.
  void add_output(const std::string& name);
  // Returns the name of the input that takes what flows into it.
  std::string add_output_with_cotangent(const std::string& name);
  // In training mode, as options say. Returns the names of the inputs that take what the losses
  // read, in the order of loss_inputs().
  std::vector<std::string> add_loss(const TrainingOptions& options);

  // By the names of `wrt`. Feeds are for all inputs of the graph and those added here.
  NamedValues gradients(const NamedValues& feeds, const CommonOptions& common);
  // The loss at the point of gradients(), if there is one.
  std::optional<double> loss() const { return loss_value_; }

  // Compares with differences of the scalar in double, on at most 50 elements of each tensor,
  // chosen by the seed.
  std::vector<GradientCheck> check(const NamedValues& feeds, const NamedValues& gradients,
                                   const CommonOptions& common) const;

 private:
  void fix_random_numbers();

  Graph graph_;
  uint64_t seed_;
  bool fixed_ = false;
  std::vector<std::string> wrt_;
  std::vector<Seed> seeds_;
  bool has_loss_ = false;
  std::optional<double> loss_value_;
};

}  // namespace onnxrun::tool
