// Decision trees, as the operators of ai.onnx.ml hold them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/run_context.h"

namespace onnxrun {

struct Forest final : KernelState {
  enum class Mode : uint8_t { LessEqual, Less, GreaterEqual, Greater, Equal, NotEqual, Leaf };
  enum class Aggregate : uint8_t { Average, Sum, Min, Max };

  struct Node {
    Mode mode = Mode::Leaf;
    bool missing_is_true = false;  // where NaN goes
    int64_t feature = 0;
    double value = 0;
    // The nodes if the comparison holds and if not; of a leaf its weights, from one to the other.
    size_t yes = 0, no = 0;
  };
  struct Weight {
    int64_t target = 0;
    double weight = 0;
  };

  std::vector<Node> nodes;
  std::vector<size_t> roots;
  std::vector<Weight> weights;
  std::optional<int64_t> only_target;  // if all weights count for one
  bool nonnegative = true;             // all weights
  std::vector<double> base;            // one for each target, or empty
  Aggregate aggregate = Aggregate::Sum;

  // Finds the roots: the nodes that are no one's child. Throws BadModel for a node with two
  // parents, so that every way from a root ends.
  void find_roots();

  // The least number of features that a row needs.
  int64_t features() const;

  // Writes a number for each target: what the leaves that x reaches make of it. The order is that
  // of the trees.
  void evaluate(const double* x, std::vector<double>& targets) const;

 private:
  const Node& leaf(size_t root, const double* x) const;
};

}  // namespace onnxrun
