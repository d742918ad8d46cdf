#include "passes/fuse/recompute.h"

#include <algorithm>
#include <optional>
#include <set>

namespace onnxrun {

namespace {

// Calls that may be repeated for one value.
constexpr size_t longest_chain = 8;

using Nodes = std::set<size_t>;

class Repeater {
 public:
  Repeater(const Graph& graph, const std::vector<std::vector<size_t>>& groups,
           const std::vector<bool>& kept, size_t most_calls, size_t most_inputs)
      : graph_(graph),
        groups_(groups),
        kept_(kept),
        most_calls_(most_calls),
        most_inputs_(most_inputs),
        producers_(graph.producers()),
        group_of_(graph.nodes.size(), -1),
        readers_(graph.value_count()),
        repeated_(groups.size()) {
    for (size_t g = 0; g < groups.size(); ++g) {
      for (size_t n : groups[g]) group_of_[n] = static_cast<int>(g);
    }
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      for (ValueId v : graph.nodes[n].inputs) {
        if (v != no_value) readers_[static_cast<size_t>(v)].push_back(n);
      }
    }
  }

  std::vector<std::vector<size_t>> run() {
    for (size_t g = 0; g < groups_.size(); ++g) {
      stored_.clear();
      for (size_t n : groups_[g]) {
        if (!is_repeated(n)) stored_.insert(result(n));
      }
    }
    std::vector<std::vector<size_t>> lists;
    for (const Nodes& nodes : repeated_) lists.emplace_back(nodes.begin(), nodes.end());
    return lists;
  }

 private:
  ValueId result(size_t n) const { return graph_.nodes[n].outputs[0]; }

  // The groups beside its own that read what node `n` gives; none if others read it, too.
  std::optional<Nodes> reading_groups(size_t n) const {
    const ValueId v = result(n);
    if (kept_[static_cast<size_t>(v)]) return std::nullopt;
    Nodes groups;
    for (size_t reader : readers_[static_cast<size_t>(v)]) {
      const int g = group_of_[reader];
      if (g < 0) return std::nullopt;
      if (g == group_of_[n]) continue;
      const ValueId there = result(groups_[static_cast<size_t>(g)].front());
      if (!identical(graph_.value(there).type, graph_.value(v).type)) return std::nullopt;
      groups.insert(static_cast<size_t>(g));
    }
    return groups;
  }

  // One number, or what is there as long as the run takes.
  bool is_free(ValueId v) const {
    const Type& type = graph_.value(v).type;
    if (graph_.initializers.count(v)) return true;
    return type.is_concrete() && element_count(to_dims(*type.shape)) == 1;
  }

  // Adds what computes node `n` anew from values that stay; false if there is no such way.
  bool add_chain(size_t n, Nodes& chain) const {
    if (chain.count(n)) return true;
    chain.insert(n);
    if (chain.size() > longest_chain) return false;
    return std::all_of(
        graph_.nodes[n].inputs.begin(), graph_.nodes[n].inputs.end(), [&](ValueId v) {
          if (stored_.count(v) || is_free(v)) return true;
          const int from = producers_[static_cast<size_t>(v)];
          const bool is_near = from >= 0 && group_of_[static_cast<size_t>(from)] == group_of_[n];
          return is_near && add_chain(static_cast<size_t>(from), chain);
        });
  }

  bool fits(size_t group, const Nodes& chain) const {
    Nodes calls = repeated_[group];
    calls.insert(chain.begin(), chain.end());
    calls.insert(groups_[group].begin(), groups_[group].end());
    std::set<ValueId> inputs;
    for (size_t n : calls) {
      for (ValueId v : graph_.nodes[n].inputs) {
        const int from = producers_[static_cast<size_t>(v)];
        if (from < 0 || !calls.count(static_cast<size_t>(from))) inputs.insert(v);
      }
    }
    return calls.size() <= most_calls_ && inputs.size() <= most_inputs_;
  }

  // Makes every group that reads what node `n` gives repeat it, if that can be.
  bool is_repeated(size_t n) {
    const std::optional<Nodes> groups = reading_groups(n);
    Nodes chain;
    if (!groups || !add_chain(n, chain)) return groups && groups->empty();
    for (size_t g : *groups) {
      if (!fits(g, chain)) return false;
    }
    for (size_t g : *groups) repeated_[g].insert(chain.begin(), chain.end());
    return true;
  }

  const Graph& graph_;
  const std::vector<std::vector<size_t>>& groups_;
  const std::vector<bool>& kept_;
  const size_t most_calls_, most_inputs_;
  const std::vector<int> producers_;
  std::vector<int> group_of_;
  std::vector<std::vector<size_t>> readers_;
  std::vector<Nodes> repeated_;
  std::set<ValueId> stored_;  // of the group at hand, what is in memory whatever happens
};

}  // namespace

std::vector<std::vector<size_t>> nodes_to_repeat(const Graph& graph,
                                                 const std::vector<std::vector<size_t>>& groups,
                                                 const std::vector<bool>& kept, size_t most_calls,
                                                 size_t most_inputs) {
  return Repeater(graph, groups, kept, most_calls, most_inputs).run();
}

}  // namespace onnxrun
