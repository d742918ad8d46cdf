#include "kernels/forest.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace onnxrun {

// How many ways lead to each node.
std::vector<size_t> Forest::parents() const {
  std::vector<size_t> count(nodes.size());
  for (const Node& node : nodes) {
    if (node.mode == Mode::Leaf) continue;
    ++count[node.yes];
    ++count[node.no];
  }
  return count;
}

std::vector<size_t> Forest::parentless() const {
  std::vector<size_t> count = parents(), found;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (count[i] == 0) found.push_back(i);
  }
  return found;
}

void Forest::check_acyclic() const {
  std::vector<size_t> left = parents(), open = parentless();
  size_t met = 0;
  for (; !open.empty(); ++met) {
    const Node& node = nodes[open.back()];
    open.pop_back();
    if (node.mode == Mode::Leaf) continue;
    for (size_t next : {node.yes, node.no}) {
      if (--left[next] == 0) open.push_back(next);
    }
  }
  if (met < nodes.size()) fail(ErrorKind::BadModel, "a node of a tree leads back to itself");
}

int64_t Forest::last_feature() const {
  int64_t largest = -1;
  for (const Node& node : nodes) {
    if (node.mode != Mode::Leaf) largest = std::max(largest, node.feature);
  }
  return largest;
}

bool Forest::holds(const Node& node, double x) const {
  switch (node.mode) {
    case Mode::LessEqual:
      return x <= node.value;
    case Mode::Less:
      return x < node.value;
    case Mode::GreaterEqual:
      return x >= node.value;
    case Mode::Greater:
      return x > node.value;
    case Mode::Equal:
      return x == node.value;
    case Mode::NotEqual:
      return x != node.value;
    case Mode::Member:
      return std::binary_search(sets[node.set].begin(), sets[node.set].end(), x);
    case Mode::Leaf:
      break;
  }
  return false;
}

const Forest::Node& Forest::leaf(size_t root, const double* x) const {
  const Node* node = &nodes[root];
  while (node->mode != Mode::Leaf) {
    double v = x[node->feature];
    // NaN has no place in a sorted set.
    bool yes =
        std::isnan(v) ? node->missing_is_true || node->mode == Mode::NotEqual : holds(*node, v);
    node = &nodes[yes ? node->yes : node->no];
  }
  return *node;
}

void Forest::evaluate(const double* x, Scores& scores) const {
  scores.values.assign(targets, 0);
  scores.met.assign(targets, 0);
  bool sums = aggregate == Aggregate::Sum || aggregate == Aggregate::Average;
  for (size_t root : roots) {
    const Node& end = leaf(root, x);
    for (size_t w = end.yes; w < end.no; ++w) {
      auto t = static_cast<size_t>(weights[w].target);
      double weight = weights[w].weight;
      double& value = scores.values[t];
      if (sums) {
        value += weight;
        if (narrow) value = static_cast<float>(value);
      } else if (!scores.met[t]) {
        value = weight;
      } else {
        value = aggregate == Aggregate::Min ? std::min(value, weight) : std::max(value, weight);
      }
      scores.met[t] = 1;
    }
  }
  if (aggregate != Aggregate::Average) return;
  for (double& value : scores.values) value /= static_cast<double>(roots.size());
}

}  // namespace onnxrun
