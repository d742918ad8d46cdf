#include "passes/layout.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/builder.h"
#include "graph/channels_last.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

// Channels and at least one spatial axis.
constexpr int64_t lowest_rank = 3;

std::vector<int64_t> to_last(int64_t rank) {
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  std::iota(perm.begin(), perm.end(), 0);
  std::rotate(perm.begin() + 1, perm.begin() + 2, perm.end());
  return perm;
}
std::vector<int64_t> to_second(int64_t rank) {
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  std::iota(perm.begin(), perm.end(), 0);
  std::rotate(perm.begin() + 1, perm.end() - 1, perm.end());
  return perm;
}

enum class Reading : uint8_t { AsItIs, Planes, Last };

// Nodes that would work on images whose channels are the last axis, in sets that hand such images
// to each other.
class Choice {
 public:
  explicit Choice(const Graph& graph)
      : graph_(graph), producers_(graph.producers()), forms_(graph.nodes.size()) {
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      parents_.push_back(n);
      if ((forms_[n] = form_of(graph.nodes[n]))) join(n);
    }
    weigh();
    for (size_t n = 0; n < forms_.size(); ++n) {
      if (forms_[n] && saved_[find(n)] <= moved_[find(n)]) forms_[n].reset();
    }
    inputs_.resize(forms_.size());
    for (size_t n = 0; n < forms_.size(); ++n) {
      for (size_t i = 0; forms_[n] && i < graph.nodes[n].inputs.size(); ++i) {
        inputs_[n].push_back(reading_of(n, i));
      }
    }
  }

  const std::optional<ChannelsLastForm>& form(size_t node) const { return forms_[node]; }
  // How the node reads input i. Nodes of the graph may be moved meanwhile.
  Reading reading(size_t node, size_t i) const { return inputs_[node][i]; }

 private:
  bool is_last(ValueId v) const {
    const int n = v == no_value ? -1 : producers_[static_cast<size_t>(v)];
    return n >= 0 && forms_[static_cast<size_t>(n)];
  }
  bool reads_planes(size_t n, size_t i) const {
    return i == 0 && forms_[n]->reads_planes && !is_last(graph_.nodes[n].inputs[0]);
  }
  Reading reading_of(size_t n, size_t i) const {
    if (!is_image(graph_.nodes[n], *forms_[n], i)) return Reading::AsItIs;
    return reads_planes(n, i) ? Reading::Planes : Reading::Last;
  }
  bool is_image(const Node& node, const ChannelsLastForm& form, size_t i) const {
    const ValueId v = node.inputs[i];
    if (v == no_value || !(i == 0 || form.all_images)) return false;
    return !is_one(graph_.value(v).type);
  }
  // Stands for every element of an image.
  static bool is_one(const Type& type) {
    return type.shape && std::all_of(type.shape->begin(), type.shape->end(),
                                     [](const Dim& d) { return d == Dim(1); });
  }

  std::optional<ChannelsLastForm> form_of(const Node& node) const {
    if (node.captures > 0 || node.inputs.empty() || node.outputs.empty()) return std::nullopt;
    const Type& out = graph_.value(node.outputs[0]).type;
    std::optional<ChannelsLastForm> form;
    if (const auto* op = dynamic_cast<const HasChannelsLastForm*>(node.op.get())) {
      if (node.outputs.size() == 1) form = op->channels_last_form(graph_, node);
    } else if (node.op->traits().elementwise && node.bodies.empty()) {
      form = {
          .op = node.info->qualified_name(), .attributes = attributes_of(node), .all_images = true};
    }
    if (!form || out.rank() < lowest_rank) return std::nullopt;
    for (ValueId v : node.outputs) {
      if (v == no_value || graph_.value(v).type.rank() != out.rank()) return std::nullopt;
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!is_image(node, *form, i)) continue;
      const Type& in = graph_.value(node.inputs[i]).type;
      const bool fits =
          in.rank() == out.rank() ||
          (form->all_images && graph_.constant(node.inputs[i]) && in.rank() < out.rank());
      if (!in.is_tensor() || !fits) return std::nullopt;
    }
    const bool follows =
        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return is_last(v); });
    return form->saves || follows ? form : std::nullopt;
  }

  // Of the set that a node is in.
  size_t find(size_t n) {
    while (parents_[n] != n) n = parents_[n] = parents_[parents_[n]];
    return n;
  }
  void join(size_t n) {
    for (size_t i = 0; i < graph_.nodes[n].inputs.size(); ++i) {
      const ValueId v = graph_.nodes[n].inputs[i];
      if (!is_last(v) || !is_image(graph_.nodes[n], *forms_[n], i)) continue;
      parents_[find(n)] = find(static_cast<size_t>(producers_[static_cast<size_t>(v)]));
    }
  }

  // Elements, those along lengths that are not known counted once.
  double size(ValueId v) const {
    double count = 1;
    for (const Dim& d : *graph_.value(v).type.shape) {
      if (d.is_known()) count *= static_cast<double>(d.value());
    }
    return count;
  }

  // What every set saves its kernels from laying out, and what it has to have transposed.
  void weigh() {
    saved_.assign(forms_.size(), 0);
    moved_.assign(forms_.size(), 0);
    std::set<ValueId> needed(graph_.outputs.begin(), graph_.outputs.end()), read_last;
    std::set<std::pair<size_t, ValueId>> transposed;
    for (size_t n = 0; n < forms_.size(); ++n) {
      const Node& node = graph_.nodes[n];
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const ValueId v = node.inputs[i];
        if (v == no_value) continue;
        if (!forms_[n] || !is_image(node, *forms_[n], i)) {
          needed.insert(v);
        } else if (is_last(v)) {
          read_last.insert(v);
          if (forms_[n]->saves) saved_[find(n)] += size(v);
        } else if (!reads_planes(n, i) && !graph_.constant(v) &&
                   transposed.emplace(find(n), v).second) {
          moved_[find(n)] += size(v);
        }
      }
    }
    for (size_t n = 0; n < forms_.size(); ++n) {
      if (!forms_[n]) continue;
      for (ValueId v : graph_.nodes[n].outputs) {
        if (needed.count(v)) moved_[find(n)] += size(v);
        if (forms_[n]->saves && read_last.count(v)) saved_[find(n)] += size(v);
      }
    }
  }

  const Graph& graph_;
  std::vector<int> producers_;
  std::vector<std::optional<ChannelsLastForm>> forms_;  // of nodes
  std::vector<size_t> parents_;
  std::vector<std::vector<Reading>> inputs_;
  std::vector<double> saved_, moved_;  // of sets, by find()
};

class ChannelsLastLayout {
 public:
  ChannelsLastLayout(Graph& graph, const Choice& choice)
      : graph_(graph), builder_(graph), choice_(choice), needed_(graph.value_count(), false) {
    for (ValueId v : graph.outputs) needed_[static_cast<size_t>(v)] = true;
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      for (size_t i = 0; i < graph.nodes[n].inputs.size(); ++i) {
        const ValueId v = graph.nodes[n].inputs[i];
        const bool is_last = choice.form(n) && choice.reading(n, i) == Reading::Last;
        if (v != no_value && !is_last) needed_[static_cast<size_t>(v)] = true;
      }
    }
  }

  void run() {
    std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (size_t n = 0; n < nodes.size(); ++n) {
      if (choice_.form(n)) {
        emit(n, nodes[n]);
      } else {
        graph_.nodes.push_back(std::move(nodes[n]));
      }
    }
  }

 private:
  void emit(size_t n, const Node& node) {
    const ChannelsLastForm& form = *choice_.form(n);
    const int64_t rank = graph_.value(node.outputs[0]).type.rank();
    NodeOptions options{.attributes = form.attributes, .name = node.name};
    std::vector<ValueId> inputs = node.inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Reading reading = choice_.reading(n, i);
      if (reading == Reading::Planes) options.attributes["planes"] = int64_t{1};
      if (reading == Reading::Last) inputs[i] = last(inputs[i], rank);
    }
    for (ValueId v : node.outputs) {
      options.output_names.push_back(graph_.unique_name(graph_.name_of(v)));
    }
    const auto outputs =
        builder_.add_n(form.op, std::move(inputs), node.outputs.size(), std::move(options));
    for (size_t o = 0; o < outputs.size(); ++o) {
      const ValueId v = node.outputs[o];
      last_[v] = outputs[o];
      refine_type(outputs[o], v, rank);
      if (needed_[static_cast<size_t>(v)]) give_back(v, rank);
    }
  }

  // What was known of the image is known of its new form.
  void refine_type(ValueId image, ValueId v, int64_t rank) {
    Type type = graph_.value(v).type;
    Shape shape;
    for (int64_t axis : to_last(rank)) shape.push_back((*type.shape)[static_cast<size_t>(axis)]);
    type.shape = std::move(shape);
    graph_.value(image).type = refine(graph_.value(image).type, type);
  }

  // The image under its own id, for those who read it as it was.
  void give_back(ValueId v, int64_t rank) {
    builder_.transpose(last_.at(v), to_second(rank));
    graph_.nodes.back().outputs = {v};
  }

  ValueId last(ValueId v, int64_t rank) {
    auto [at, is_new] = last_.try_emplace(v, no_value);
    if (!is_new) return at->second;
    ValueId image = v;
    std::vector<int64_t> axes(static_cast<size_t>(rank - graph_.value(v).type.rank()));
    std::iota(axes.begin(), axes.end(), 0);
    if (!axes.empty()) image = builder_.unsqueeze(image, axes);
    return at->second = builder_.transpose(image, to_last(rank));
  }

  Graph& graph_;
  GraphBuilder builder_;
  const Choice& choice_;
  std::vector<bool> needed_;         // by somebody who reads them as they were
  std::map<ValueId, ValueId> last_;  // of values: the same with the channels last
};

}  // namespace

void lay_channels_last(Graph& graph) {
  if (!graph.state.empty() || !graph.guards.empty()) return;
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) lay_channels_last(body);
  }
  const Choice choice(graph);
  ChannelsLastLayout(graph, choice).run();
}

}  // namespace onnxrun
