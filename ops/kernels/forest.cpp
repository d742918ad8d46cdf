#include "kernels/forest.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace onnxrun {

namespace {

bool holds(Forest::Mode mode, double x, double value) {
  switch (mode) {
    case Forest::Mode::LessEqual:
      return x <= value;
    case Forest::Mode::Less:
      return x < value;
    case Forest::Mode::GreaterEqual:
      return x >= value;
    case Forest::Mode::Greater:
      return x > value;
    case Forest::Mode::Equal:
      return x == value;
    case Forest::Mode::NotEqual:
      return x != value;
    case Forest::Mode::Leaf:
      break;
  }
  return false;
}

}  // namespace

void Forest::find_roots() {
  std::vector<bool> child(nodes.size());
  for (const Node& node : nodes) {
    if (node.mode == Mode::Leaf) continue;
    for (size_t next : {node.yes, node.no}) {
      if (child[next]) fail(ErrorKind::BadModel, "a node of a tree has two parents");
      child[next] = true;
    }
  }
  roots.clear();
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!child[i]) roots.push_back(i);
  }
}

int64_t Forest::features() const {
  int64_t largest = -1;
  for (const Node& node : nodes) {
    if (node.mode != Mode::Leaf) largest = std::max(largest, node.feature);
  }
  return largest + 1;
}

const Forest::Node& Forest::leaf(size_t root, const double* x) const {
  const Node* node = &nodes[root];
  while (node->mode != Mode::Leaf) {
    double v = x[node->feature];
    bool yes = holds(node->mode, v, node->value) || (node->missing_is_true && std::isnan(v));
    node = &nodes[yes ? node->yes : node->no];
  }
  return *node;
}

void Forest::evaluate(const double* x, std::vector<double>& targets) const {
  std::vector<bool> met(targets.size());
  std::fill(targets.begin(), targets.end(), 0.0);
  for (size_t root : roots) {
    const Node& end = leaf(root, x);
    for (size_t w = end.yes; w < end.no; ++w) {
      auto t = static_cast<size_t>(weights[w].target);
      double weight = weights[w].weight;
      if (!met[t] || aggregate == Aggregate::Sum || aggregate == Aggregate::Average) {
        targets[t] += weight;
      } else {
        targets[t] = aggregate == Aggregate::Min ? std::min(targets[t], weight)
                                                 : std::max(targets[t], weight);
      }
      met[t] = true;
    }
  }
  for (size_t t = 0; t < targets.size(); ++t) {
    if (aggregate == Aggregate::Average) targets[t] /= static_cast<double>(roots.size());
    if (!base.empty()) targets[t] += base[t];
  }
}

}  // namespace onnxrun
