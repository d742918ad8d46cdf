#include "passes/fuse/elementwise.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <utility>

#include "graph/attributes.h"
#include "graph/element_function.h"
#include "passes/decompose.h"
#include "passes/fuse/recompute.h"

namespace onnxrun {

namespace {

// Of one fused node: what its kernel's first-level cache holds.
constexpr size_t most_calls = 32, most_inputs = 16;

// Groups of nodes that grow as the graph is read from front to back. A node may join a group if
// nothing outside lies on a way from the group to the node: the fused node would wait for itself.
// So each value carries the set of groups that it depends on. Sets are bits: when all are used up,
// the groups there are stay as they are and new ones begin.
class Groups {
 public:
  explicit Groups(const Graph& graph)
      : graph_(graph),
        group_of_(graph.nodes.size(), -1),
        depends_(graph.value_count()),
        producers_(graph.producers()) {
    for (size_t n = 0; n < graph.nodes.size(); ++n) read(n);
  }

  // Positions of nodes, ascending; groups of less than two are none.
  std::vector<std::vector<size_t>> members() const {
    std::vector<std::vector<size_t>> result(groups_.size());
    for (size_t n = 0; n < group_of_.size(); ++n) {
      if (group_of_[n] >= 0) result[find(group_of_[n])].push_back(n);
    }
    std::erase_if(result, [](const auto& nodes) { return nodes.size() < 2; });
    return result;
  }

 private:
  using Bits = uint64_t;
  static constexpr size_t most_open = 64;

  struct Group {
    int merged_into = -1;
    Type type;  // of its results, truth values as the numbers they compare
    size_t calls = 0;
    std::vector<ValueId> inputs;  // from outside
    Bits depends = 0;             // on other groups, by way of its inputs
  };
  struct Dependence {
    size_t epoch = 0;
    Bits groups = 0;
  };

  size_t find(int group) const {
    while (groups_[static_cast<size_t>(group)].merged_into >= 0) {
      group = groups_[static_cast<size_t>(group)].merged_into;
    }
    return static_cast<size_t>(group);
  }
  bool is_open(size_t group) const { return group >= first_open_; }
  Bits bit(size_t group) const { return Bits{1} << (group - first_open_); }

  // The group that `v` comes from, if it is one that may still grow.
  std::optional<size_t> open_group(ValueId v) const {
    const int n = producers_[static_cast<size_t>(v)];
    if (n < 0 || group_of_[static_cast<size_t>(n)] < 0) return std::nullopt;
    const size_t group = find(group_of_[static_cast<size_t>(n)]);
    return is_open(group) ? std::optional(group) : std::nullopt;
  }

  Bits closure(Bits groups) const {
    if (groups == 0) return 0;
    for (Bits before = 0; before != groups;) {
      before = groups;
      for (size_t g = first_open_; g < groups_.size(); ++g) {
        if (groups & bit(g)) groups |= groups_[g].depends;
      }
    }
    return groups;
  }

  // The groups that a reader of `v` depends on.
  Bits dependence(ValueId v) const {
    if (auto group = open_group(v)) return bit(*group) | groups_[*group].depends;
    const Dependence& d = depends_[static_cast<size_t>(v)];
    return d.epoch == epoch_ ? d.groups : 0;
  }

  // What a group with this node would be of; none if the node cannot be in one.
  std::optional<Type> group_type(const Node& node) const {
    const auto* op = dynamic_cast<const Elementwise*>(node.op.get());
    if (!op || node.captures > 0 || node.outputs.size() != 1) return std::nullopt;
    const ElementFunction f = op->element_function();
    if (static_cast<int>(node.inputs.size()) != operands_of(f)) return std::nullopt;
    for (ValueId v : node.inputs) {
      if (v == no_value || !graph_.value(v).type.is_tensor()) return std::nullopt;
    }
    Type type = graph_.value(node.outputs[0]).type;
    if (!type.shape) return std::nullopt;
    type.dtype = graph_.value(node.inputs.back()).type.dtype;
    if (type.dtype != DType::Float32 && type.dtype != DType::Float64) return std::nullopt;
    const bool settled = std::none_of(type.shape->begin(), type.shape->end(),
                                      [](const Dim& d) { return d.is_unknown(); });
    return settled ? std::optional(type) : std::nullopt;
  }

  void read(size_t n) {
    const Node& node = graph_.nodes[n];
    if (std::optional<Type> type = group_type(node)) {
      join(n, *type);
      return;
    }
    Bits groups = 0;
    for (ValueId v : node.inputs) {
      if (v != no_value) groups |= dependence(v);
    }
    for (ValueId v : node.outputs) {
      if (v != no_value) depends_[static_cast<size_t>(v)] = {epoch_, groups};
    }
  }

  void join(size_t n, const Type& type) {
    Group group{.type = type, .calls = 1};
    for (ValueId v : graph_.nodes[n].inputs) {
      add_input(group, v);
      group.depends |= closure(dependence(v));
    }
    std::vector<size_t> joined;
    for (ValueId v : graph_.nodes[n].inputs) {
      auto other = open_group(v);
      if (!other || std::find(joined.begin(), joined.end(), *other) != joined.end()) continue;
      if (auto both = merged(group, groups_[*other], joined, *other)) {
        group = std::move(*both);
        joined.push_back(*other);
      }
    }
    if (joined.empty() && groups_.size() - first_open_ == most_open) start_anew(group);
    size_t at = joined.empty() ? groups_.size() : joined.front();
    if (joined.empty()) groups_.emplace_back();
    Bits all = bit(at);
    for (size_t g : joined) {
      all |= bit(g);
    }
    groups_[at] = std::move(group);
    group_of_[n] = static_cast<int>(at);
    for (size_t g : joined) {
      if (g == at) continue;
      groups_[g].merged_into = static_cast<int>(at);
      groups_[g].depends = bit(at);
    }
    // Who depends on a part depends on the whole.
    for (size_t g = first_open_; g < groups_.size(); ++g) {
      if (g != at && (groups_[g].depends & all))
        groups_[g].depends |= bit(at) | groups_[at].depends;
    }
  }

  void start_anew(Group& group) {
    first_open_ = groups_.size();
    ++epoch_;
    group.depends = 0;
  }

  void add_input(Group& group, ValueId v) const {
    if (std::find(group.inputs.begin(), group.inputs.end(), v) == group.inputs.end()) {
      group.inputs.push_back(v);
    }
  }

  // `node`, which joins the groups `joined` already, together with `other`.
  std::optional<Group> merged(const Group& node, const Group& other,
                              const std::vector<size_t>& joined, size_t at) const {
    if (!identical(node.type, other.type)) return std::nullopt;
    Group result{.type = node.type, .calls = node.calls + other.calls};
    Bits inside = bit(at);
    for (size_t g : joined) inside |= bit(g);
    for (const Group* part : {&other, &node}) {
      for (ValueId v : part->inputs) {
        auto from = open_group(v);
        const bool is_inside = from && (bit(*from) & inside);
        if (!is_inside) add_input(result, v);
      }
    }
    for (ValueId v : result.inputs) result.depends |= closure(dependence(v));
    const bool waits = result.depends & inside;
    const bool fits = result.calls <= most_calls && result.inputs.size() <= most_inputs;
    return fits && !waits ? std::optional(std::move(result)) : std::nullopt;
  }

  const Graph& graph_;
  std::vector<int> group_of_;  // of nodes, before merging
  std::vector<Dependence> depends_;
  std::vector<int> producers_;
  std::vector<Group> groups_;
  size_t first_open_ = 0, epoch_ = 0;
};

// Values that somebody beside the nodes reads.
std::vector<bool> kept_values(const Graph& graph) {
  std::vector<bool> kept(graph.value_count(), false);
  for (const auto* list : {&graph.outputs, &graph.guards}) {
    for (ValueId v : *list) kept[static_cast<size_t>(v)] = true;
  }
  for (const StateBinding& s : graph.state) kept[static_cast<size_t>(s.out)] = true;
  return kept;
}

class ElementwiseFuser {
 public:
  explicit ElementwiseFuser(Graph& graph)
      : graph_(graph),
        info_(graph.registry().find(private_domain, "Elementwise")),
        kept_(kept_values(graph)),
        readers_(graph.value_count()) {
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      for (ValueId v : graph.nodes[n].inputs) {
        if (v != no_value) readers_[static_cast<size_t>(v)].push_back(n);
      }
    }
  }

  void run() {
    if (!info_) return;
    const auto groups = Groups(graph_).members();
    if (groups.empty()) return;
    const auto repeated = nodes_to_repeat(graph_, groups, kept_, most_calls, most_inputs);
    programs_of_.resize(graph_.nodes.size());
    for (size_t g = 0; g < groups.size(); ++g) {
      for (const auto* nodes : {&groups[g], &repeated[g]}) {
        for (size_t n : *nodes) programs_of_[n].insert(g);
      }
    }
    std::vector<Node> programs;
    for (size_t g = 0; g < groups.size(); ++g) {
      programs.push_back(make_node(groups[g], calls_of(groups[g], repeated[g])));
    }
    for (size_t g = 0; g < groups.size(); ++g) {
      for (size_t n : groups[g]) graph_.nodes[n].op = nullptr;
      if (!programs[g].outputs.empty()) graph_.nodes[groups[g].back()] = std::move(programs[g]);
    }
    std::erase_if(graph_.nodes, [](const Node& n) { return n.op == nullptr; });
    sort_nodes();
  }

 private:
  // Whether somebody reads what node `n` gives from elsewhere than a program that computes it.
  bool is_read_elsewhere(size_t n) const {
    const auto v = static_cast<size_t>(graph_.nodes[n].outputs[0]);
    return kept_[v] || std::any_of(readers_[v].begin(), readers_[v].end(), [&](size_t reader) {
             const std::set<size_t>& programs = programs_of_[reader];
             return programs.empty() ||
                    !std::includes(programs_of_[n].begin(), programs_of_[n].end(), programs.begin(),
                                   programs.end());
           });
  }

  // The nodes of a program, ascending, without those that only other programs compute now.
  std::vector<size_t> calls_of(const std::vector<size_t>& members,
                               const std::vector<size_t>& repeated) const {
    std::vector<size_t> all, calls;
    std::merge(members.begin(), members.end(), repeated.begin(), repeated.end(),
               std::back_inserter(all));
    std::set<ValueId> read;
    for (auto n = all.rbegin(); n != all.rend(); ++n) {
      const bool is_member = std::binary_search(members.begin(), members.end(), *n);
      const bool is_given = is_member && is_read_elsewhere(*n);
      if (!is_given && !read.count(graph_.nodes[*n].outputs[0])) continue;
      read.insert(graph_.nodes[*n].inputs.begin(), graph_.nodes[*n].inputs.end());
      calls.push_back(*n);
    }
    std::reverse(calls.begin(), calls.end());
    return calls;
  }

  Node make_node(const std::vector<size_t>& members, const std::vector<size_t>& calls) const {
    std::vector<ValueId> results, inputs, outputs;
    for (size_t n : calls) results.push_back(graph_.nodes[n].outputs[0]);
    auto place = [](const std::vector<ValueId>& list, ValueId v) {
      return std::find(list.begin(), list.end(), v) - list.begin();
    };
    auto is_result = [&](ValueId v) {
      return place(results, v) < static_cast<std::ptrdiff_t>(results.size());
    };
    for (size_t n : calls) {
      for (ValueId v : graph_.nodes[n].inputs) {
        if (is_result(v) || std::find(inputs.begin(), inputs.end(), v) != inputs.end()) continue;
        inputs.push_back(v);
      }
    }
    std::vector<std::string> functions, nodes, names;
    std::vector<int64_t> operands, given;
    for (size_t n : calls) {
      const Node& node = graph_.nodes[n];
      const auto& op = dynamic_cast<const Elementwise&>(*node.op);
      functions.emplace_back(to_string(op.element_function()));
      nodes.push_back(node.name);
      names.push_back(graph_.name_of(node.outputs[0]));
      for (ValueId v : node.inputs) {
        operands.push_back(is_result(v)
                               ? place(results, v) + static_cast<std::ptrdiff_t>(inputs.size())
                               : place(inputs, v));
      }
    }
    for (size_t k = 0; k < results.size(); ++k) {
      const bool is_member = std::binary_search(members.begin(), members.end(), calls[k]);
      if (!is_member || !is_read_elsewhere(calls[k])) continue;
      outputs.push_back(results[k]);
      given.push_back(static_cast<int64_t>(inputs.size() + k));
    }
    Node fused;
    fused.info = info_;
    std::shared_ptr<Op> op = info_->make();
    read_attributes(*op, {{"functions", functions},
                          {"operands", operands},
                          {"results", given},
                          {"nodes", nodes},
                          {"values", names}});
    fused.op = std::move(op);
    fused.name = graph_.nodes[members.back()].name;
    fused.inputs = std::move(inputs);
    fused.outputs = std::move(outputs);
    return fused;
  }

  // A fused node stands where its last member stood, so readers of the others may come before it.
  void sort_nodes() {
    const std::vector<int> producers = graph_.producers();
    std::vector<int> waits(graph_.nodes.size(), 0);
    std::vector<std::vector<size_t>> readers(graph_.nodes.size());
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      for (ValueId v : graph_.nodes[n].inputs) {
        const int from = v == no_value ? -1 : producers[static_cast<size_t>(v)];
        if (from < 0) continue;
        readers[static_cast<size_t>(from)].push_back(n);
        ++waits[n];
      }
    }
    std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
    for (size_t n = 0; n < waits.size(); ++n) {
      if (waits[n] == 0) ready.push(n);
    }
    std::vector<Node> sorted;
    sorted.reserve(graph_.nodes.size());
    while (!ready.empty()) {
      const size_t n = ready.top();
      ready.pop();
      for (size_t reader : readers[n]) {
        if (--waits[reader] == 0) ready.push(reader);
      }
      sorted.push_back(std::move(graph_.nodes[n]));
    }
    graph_.nodes = std::move(sorted);
  }

  Graph& graph_;
  const OpInfo* info_;
  std::vector<bool> kept_;
  std::vector<std::vector<size_t>> readers_;   // nodes, of each value
  std::vector<std::set<size_t>> programs_of_;  // that have a call for each node
};

}  // namespace

void fuse_elementwise(Graph& graph) {
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) fuse_elementwise(body);
  }
  ElementwiseFuser(graph).run();
}

void split_uneven_programs(Graph& graph) {
  const OpInfo* program = graph.registry().find(private_domain, "Elementwise");
  auto is_uneven = [&](const Node& node) {
    if (!program || node.info != program) return false;
    std::optional<Shape> first;
    for (ValueId v : node.outputs) {
      if (v == no_value || !graph.value(v).type.shape) continue;
      const Shape& shape = *graph.value(v).type.shape;
      if (!first) first = shape;
      if (!identical(Type::tensor(DType::Bool, *first), Type::tensor(DType::Bool, shape))) {
        return true;
      }
    }
    return false;
  };
  if (std::none_of(graph.nodes.begin(), graph.nodes.end(), is_uneven)) return;
  decompose(graph, is_uneven);
}

}  // namespace onnxrun
