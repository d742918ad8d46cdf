// Decision trees, as the operators of ai.onnx.ml hold them.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/run_context.h"

namespace onnxrun {

struct Forest final : KernelState {
  // In the order of the numbers that TreeEnsemble has for them.
  enum class Mode : uint8_t {
    LessEqual,
    Less,
    GreaterEqual,
    Greater,
    Equal,
    NotEqual,
    Member,
    Leaf
  };
  enum class Aggregate : uint8_t { Average, Sum, Min, Max };

  struct Node {
    Mode mode = Mode::Leaf;
    bool missing_is_true = false;  // where NaN goes
    int64_t feature = 0;
    double value = 0;
    // The nodes if the comparison holds and if not; of a leaf its weights, from one to the other.
    size_t yes = 0, no = 0;
    size_t set = 0;  // of Member: which of `sets`
  };
  struct Weight {
    int64_t target = 0;
    double weight = 0;
  };
  struct Scores {
    std::vector<double> values;
    std::vector<char> met;  // whether a leaf had a weight for the target
  };

  std::vector<Node> nodes;
  std::vector<size_t> roots;
  std::vector<Weight> weights;
  std::vector<std::vector<double>> sets;  // sorted
  std::vector<double> base;               // added to the scores of all targets, or empty
  size_t targets = 1;
  Aggregate aggregate = Aggregate::Sum;
  bool one_target = false;  // all weights count for the same one
  bool nonnegative = true;  // all weights
  bool narrow = false;      // sums are rounded to float after each tree

  // Throws BadModel for nodes that lead back to themselves, so that every way from a root ends.
  void check_acyclic() const;
  // The nodes that are no one's child.
  std::vector<size_t> parentless() const;
  // The highest number of a feature that is compared; -1 if none is.
  int64_t last_feature() const;

  // A number for each target: what the leaves that x reaches make of it, in the order of the
  // trees. Without `base`.
  void evaluate(const double* x, Scores& scores) const;

 private:
  bool holds(const Node& node, double x) const;
  const Node& leaf(size_t root, const double* x) const;
  std::vector<size_t> parents() const;
};

}  // namespace onnxrun
