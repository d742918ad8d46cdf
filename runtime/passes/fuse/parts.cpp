#include "passes/fuse/parts.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "graph/builder.h"
#include "graph/element_function.h"
#include "graph/part_of_whole.h"

namespace onnxrun {

namespace {

// Sums of one whole. Longer chains of sums, which files may hold, are not looked through.
constexpr size_t most_sums = 64;

class PartJoiner {
 public:
  explicit PartJoiner(Graph& graph)
      : graph_(graph), uses_(graph.use_counts()), producers_(graph.producers()) {}

  void run() {
    // The last sum of several holds the others.
    for (size_t n = graph_.nodes.size(); n-- > 0;) {
      if (graph_.nodes[n].op && is_sum(graph_.nodes[n])) join(n);
    }
    std::erase_if(graph_.nodes, [](const Node& n) { return n.op == nullptr; });
  }

 private:
  struct Part {
    size_t node;
    AxisPart place;
  };

  static bool is_sum(const Node& node) {
    const auto* op = dynamic_cast<const Elementwise*>(node.op.get());
    return op && op->element_function() == ElementFunction::Add && node.inputs.size() == 2;
  }

  // Adds the sums and the parts that node `n` is made of; false if something else is among them.
  bool collect(size_t n, std::vector<size_t>& sums, std::vector<Part>& parts) const {
    const Node& node = graph_.nodes[n];
    if (!node.op) return false;
    if (is_sum(node)) {
      if (sums.size() == most_sums) return false;
      sums.push_back(n);
      return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) {
        const int from = producers_[static_cast<size_t>(v)];
        const bool same = identical(graph_.value(v).type, graph_.value(node.outputs[0]).type);
        return from >= 0 && same && uses_[static_cast<size_t>(v)] == 1 &&
               collect(static_cast<size_t>(from), sums, parts);
      });
    }
    const auto* op = dynamic_cast<const FillsPart*>(node.op.get());
    const auto place = op ? op->stretch(graph_, node) : std::nullopt;
    if (place) parts.push_back({n, *place});
    return place.has_value();
  }

  // Sorts the parts; false unless they are one axis, from the front to the end.
  static bool are_all(std::vector<Part>& parts) {
    std::sort(parts.begin(), parts.end(),
              [](const Part& a, const Part& b) { return a.place.start < b.place.start; });
    int64_t end = 0;
    for (const Part& p : parts) {
      if (p.place.axis != parts[0].place.axis || p.place.start != end) return false;
      end += p.place.length;
    }
    return end == parts[0].place.whole;
  }

  void join(size_t n) {
    std::vector<size_t> sums;
    std::vector<Part> parts;
    if (!collect(n, sums, parts) || !are_all(parts)) return;
    std::vector<int64_t> lengths;
    std::vector<ValueId> inputs;
    for (const Part& p : parts) {
      lengths.push_back(p.place.length);
      inputs.push_back(graph_.nodes[p.node].inputs[0]);
      graph_.nodes[p.node].op = nullptr;
    }
    const int64_t rank = graph_.value(graph_.nodes[n].outputs[0]).type.rank();
    GraphBuilder builder(graph_);
    builder.add("onnxrun.JoinParts", std::move(inputs),
                {{"axis", parts[0].place.axis}, {"lengths", lengths}, {"rank", rank}});
    Node joined = std::move(graph_.nodes.back());
    graph_.nodes.pop_back();
    joined.name = std::move(graph_.nodes[n].name);
    joined.outputs = std::move(graph_.nodes[n].outputs);
    for (size_t sum : sums) graph_.nodes[sum].op = nullptr;
    graph_.nodes[n] = std::move(joined);
  }

  Graph& graph_;
  std::vector<int> uses_, producers_;
};

}  // namespace

void fuse_parts(Graph& graph) {
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) fuse_parts(body);
  }
  PartJoiner(graph).run();
}

}  // namespace onnxrun
