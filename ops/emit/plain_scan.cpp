#include "emit/plain_scan.h"

#include <algorithm>
#include <numeric>

#include "graph/builder.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

using Ints = std::vector<int64_t>;

Ints list_of(const Attributes& attributes, const std::string& name, size_t size) {
  auto it = attributes.find(name);
  Ints list = it == attributes.end() ? Ints() : std::get<Ints>(it->second);
  list.resize(size, 0);
  return list;
}

ValueId reversed(GraphBuilder& b, ValueId v) {
  return b.add("Slice", {v, b.ints({-1}), b.ints({INT64_MIN}), b.ints({0}), b.ints({-1})});
}

// `axis` of a tensor to the front, or the front to `axis`.
ValueId moved_axis(GraphBuilder& b, ValueId v, int64_t from, int64_t to) {
  Ints perm(static_cast<size_t>(b.rank(v)));
  std::iota(perm.begin(), perm.end(), 0);
  perm.erase(perm.begin() + from);
  perm.insert(perm.begin() + to, from);
  return b.transpose(v, perm);
}

class PlainScan {
 public:
  PlainScan(Graph& graph, Node node) : b_(graph, "plain/"), node_(std::move(node)) {
    attributes_ = attributes_of(node_);
    scans_in_ = static_cast<size_t>(std::get<int64_t>(attributes_.at("num_scan_inputs")));
    states_ = node_.formal_inputs() - scans_in_;
    scans_out_ = node_.outputs.size() - std::min(states_, node_.outputs.size());
    in_axes_ = list_of(attributes_, "scan_input_axes", scans_in_);
    in_directions_ = list_of(attributes_, "scan_input_directions", scans_in_);
    out_axes_ = list_of(attributes_, "scan_output_axes", scans_out_);
    out_directions_ = list_of(attributes_, "scan_output_directions", scans_out_);
    for (size_t i = 0; i < scans_in_; ++i) count_from_front(in_axes_[i], node_.inputs[states_ + i]);
    for (size_t i = 0; i < scans_out_; ++i)
      count_from_front(out_axes_[i], node_.outputs[states_ + i]);
  }

  void emit() {
    for (size_t i = 0; i < scans_in_; ++i) turn_input(i);
    std::vector<ValueId> wanted = node_.outputs;
    for (size_t i = 0; i < scans_out_; ++i) {
      ValueId& out = node_.outputs[states_ + i];
      bool turns = out != no_value && (out_axes_[i] != 0 || out_directions_[i] != 0);
      if (turns) out = b_.graph().add_value(b_.graph().unique_name(b_.graph().name_of(out)));
    }
    for (const char* name : {"scan_input_axes", "scan_input_directions", "scan_output_axes",
                             "scan_output_directions"}) {
      attributes_.erase(name);
    }
    set_attributes(node_, attributes_);
    infer_node(b_.graph(), node_);
    std::vector<ValueId> made = node_.outputs;
    b_.graph().nodes.push_back(std::move(node_));
    for (size_t i = 0; i < scans_out_; ++i) {
      if (made[states_ + i] != wanted[states_ + i]) {
        turn_output(made[states_ + i], i, wanted[states_ + i]);
      }
    }
  }

 private:
  void count_from_front(int64_t& axis, ValueId v) const {
    if (v != no_value) axis = normalize_axis(axis, b_.rank(v));
  }

  void turn_input(size_t i) {
    ValueId& v = node_.inputs[states_ + i];
    if (in_axes_[i] != 0) v = moved_axis(b_, v, in_axes_[i], 0);
    if (in_directions_[i] != 0) v = reversed(b_, v);
  }

  void turn_output(ValueId made, size_t i, ValueId wanted) {
    if (out_directions_[i] != 0) made = reversed(b_, made);
    if (out_axes_[i] != 0) moved_axis(b_, made, 0, out_axes_[i]);
    b_.graph().nodes.back().outputs = {wanted};
  }

  GraphBuilder b_;
  Node node_;
  Attributes attributes_;
  size_t scans_in_ = 0, states_ = 0, scans_out_ = 0;
  Ints in_axes_, in_directions_, out_axes_, out_directions_;
};

bool has_ranks(const Graph& graph, const Node& node) {
  auto has_rank = [&](ValueId v) { return v == no_value || graph.value(v).type.shape; };
  return std::all_of(node.inputs.begin(), node.inputs.end(), has_rank) &&
         std::all_of(node.outputs.begin(), node.outputs.end(), has_rank);
}

bool is_plain(const Attributes& attributes) {
  auto zero = [&](const char* name) {
    auto it = attributes.find(name);
    if (it == attributes.end()) return true;
    const Ints& list = std::get<Ints>(it->second);
    return std::all_of(list.begin(), list.end(), [](int64_t n) { return n == 0; });
  };
  return zero("scan_input_axes") && zero("scan_input_directions") && zero("scan_output_axes") &&
         zero("scan_output_directions");
}

}  // namespace

bool emit_plain_scan(Graph& graph, Node& node) {
  // An axis may be counted from the end of a tensor of unknown rank: the node stays.
  if (is_plain(attributes_of(node)) || !has_ranks(graph, node)) return false;
  PlainScan(graph, std::move(node)).emit();
  return true;
}

}  // namespace onnxrun
