#include "node_order.h"

#include <functional>
#include <numeric>
#include <queue>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace onnxrun {

namespace {

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
using Producers = std::unordered_map<std::string_view, int>;

using Visit = std::function<void(std::string_view)>;

void visit_reads(const onnx::NodeProto& node, const Visit& visit);

// What the nodes of a subgraph read of the graphs around it.
void visit_captures(const onnx::GraphProto& body, const Visit& visit) {
  std::unordered_set<std::string_view> own;
  for (const auto& input : body.input()) own.insert(input.name());
  for (const auto& tensor : body.initializer()) own.insert(tensor.name());
  for (const auto& tensor : body.sparse_initializer()) own.insert(tensor.values().name());
  for (const auto& node : body.node()) own.insert(node.output().begin(), node.output().end());
  Visit from_around = [&](std::string_view name) {
    if (!own.count(name)) visit(name);
  };
  for (const auto& node : body.node()) visit_reads(node, from_around);
  for (const auto& output : body.output()) from_around(output.name());
}

void visit_reads(const onnx::NodeProto& node, const Visit& visit) {
  for (const std::string& name : node.input()) visit(name);
  for (const onnx::AttributeProto& a : node.attribute()) {
    if (a.has_g()) visit_captures(a.g(), visit);
    for (const onnx::GraphProto& body : a.graphs()) visit_captures(body, visit);
  }
}

// Calls visit(producer) for what the node reads of the same graph.
template <typename F>
void visit_producers(const onnx::NodeProto& node, const Producers& producers, const F& visit) {
  visit_reads(node, [&](std::string_view name) {
    auto it = producers.find(name);
    if (it != producers.end()) visit(it->second);
  });
}

}  // namespace

std::vector<int> reading_order(const Nodes& nodes) {
  std::vector<int> order(static_cast<size_t>(nodes.size()));
  std::iota(order.begin(), order.end(), 0);
  Producers producers;
  for (int i : order) {
    for (const std::string& name : nodes[i].output()) {
      if (!name.empty()) producers.emplace(name, i);
    }
  }
  bool ordered = true;
  for (int i : order) {
    visit_producers(nodes[i], producers, [&](int producer) { ordered = ordered && producer < i; });
  }
  if (ordered) return order;

  std::vector<std::vector<int>> readers(order.size());
  std::vector<int> missing(order.size());
  for (int i : order) {
    visit_producers(nodes[i], producers, [&](int producer) {
      readers[static_cast<size_t>(producer)].push_back(i);
      ++missing[static_cast<size_t>(i)];
    });
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i : order) {
    if (missing[static_cast<size_t>(i)] == 0) ready.push(i);
  }
  std::vector<int> sorted;
  while (!ready.empty()) {
    sorted.push_back(ready.top());
    ready.pop();
    for (int reader : readers[static_cast<size_t>(sorted.back())]) {
      if (--missing[static_cast<size_t>(reader)] == 0) ready.push(reader);
    }
  }
  return sorted.size() == order.size() ? sorted : order;
}

}  // namespace onnxrun
