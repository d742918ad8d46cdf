#include "reduction.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/value_type.h"
#include "messages.h"
#include "model_editor.h"
#include "model_storage.h"
#include "onnx_importer.h"
#include "passes/parameters.h"

namespace onnxrun::tool {

namespace {

Model model_of(const std::string& bytes) {
  ImportOptions options;
  options.path = "a part of the model";
  auto graph = std::make_shared<Graph>(import_model_bytes(bytes, "", builtin_ops(), options));
  choose_parameters(*graph);
  return Model(std::move(graph));
}

bool ends_all(const Error& e) {
  return e.kind() == ErrorKind::Cancelled || e.kind() == ErrorKind::Timeout;
}

}  // namespace

Reduction::Reduction(const Model& model, NamedValues known, Run tested, Run reference,
                     Tolerance tolerance)
    : graph_(model.graph()),
      bytes_(inlined_model(graph_)),
      producers_(graph_.producers()),
      known_(std::move(known)),
      tested_(std::move(tested)),
      reference_(std::move(reference)),
      tolerance_(tolerance) {
  for (size_t k = 0; k < known_.size(); ++k) known_at_.emplace(known_[k].first, k);
}

const RuntimeValue* Reduction::known(ValueId v) const {
  auto it = known_at_.find(graph_.name_of(v));
  return it == known_at_.end() ? nullptr : &known_[it->second].second;
}

ValueId Reduction::known_output(size_t node) const {
  for (ValueId v : graph_.nodes[node].outputs) {
    if (v != no_value && known(v)) return v;
  }
  return no_value;
}

Reduction::Part Reduction::part_of(ValueId output, const std::set<ValueId>& cuts) const {
  Part part;
  part.output = output;
  std::set<size_t> nodes;
  std::set<ValueId> inputs;
  std::vector<ValueId> open = {output};
  auto visit = [&](ValueId v) {
    bool is_input = std::find(graph_.inputs.begin(), graph_.inputs.end(), v) != graph_.inputs.end();
    if (is_input || cuts.count(v)) {
      inputs.insert(v);
    } else {
      open.push_back(v);
    }
  };
  while (!open.empty()) {
    int producer = producers_[static_cast<size_t>(open.back())];
    open.pop_back();
    if (producer < 0 || !nodes.insert(static_cast<size_t>(producer)).second) continue;
    for (ValueId v : graph_.nodes[static_cast<size_t>(producer)].inputs) {
      if (v != no_value) visit(v);
    }
  }
  part.nodes.assign(nodes.begin(), nodes.end());
  part.inputs.assign(inputs.begin(), inputs.end());
  return part;
}

std::optional<Reduction::Failure> Reduction::failure_of(const Part& part) const {
  Failure failure;
  std::vector<std::string> inputs;
  for (ValueId v : part.inputs) {
    const RuntimeValue* value = known(v);
    if (!value) return std::nullopt;
    inputs.push_back(graph_.name_of(v));
    failure.inputs.emplace_back(inputs.back(), *value);
  }
  std::string output = graph_.name_of(part.output);
  try {
    ModelEditor editor(bytes_);
    editor.extract(inputs, {output}, [&](const std::string& name) {
      ValueId v = graph_.find(name);
      const RuntimeValue* value = v == no_value ? nullptr : known(v);
      return value ? type_of(*value) : v == no_value ? Type() : graph_.value(v).type;
    });
    failure.bytes = editor.bytes();
    Model model = model_of(failure.bytes);
    if (reference_) {
      failure.expected = reference_(model, failure.inputs);
    } else {
      const RuntimeValue* value = known(part.output);
      if (!value) return std::nullopt;
      failure.expected = {{output, *value}};
    }
    try {
      NamedValues found = tested_(model, failure.inputs);
      Comparison c =
          compare_values(found.front().second, failure.expected.front().second, tolerance_);
      if (c.near) return std::nullopt;
      failure.message = c.message;
    } catch (const Error& e) {
      if (ends_all(e)) throw;
      failure.message = e.what();
    }
  } catch (const Error& e) {
    if (ends_all(e)) throw;
    debug("not cut at {}: {}", fmt::join(inputs, ", "), e.what());
    return std::nullopt;
  }
  return failure;
}

bool Reduction::fails(const Part& part) {
  std::optional<Failure> failure = failure_of(part);
  if (!failure) return false;
  failure_ = std::move(*failure);
  part_ = part;
  return true;
}

// The first node whose value is wrong.
bool Reduction::move_output() {
  std::vector<size_t> nodes = part_.nodes;
  size_t before = nodes.size(), low = 0, high = nodes.size() - 1;
  while (low < high) {
    size_t middle = (low + high) / 2;
    ValueId output = known_output(nodes[middle]);
    if (output != no_value && fails(part_of(output, cuts_))) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return part_.nodes.size() < before;
}

// As many of the first nodes as can be replaced by their values.
bool Reduction::cut_front() {
  std::vector<size_t> nodes = part_.nodes;
  ValueId output = part_.output;
  size_t low = 0, high = nodes.size() - 1;
  std::set<ValueId> best = cuts_;
  while (low < high) {
    size_t middle = (low + high + 1) / 2;
    std::set<ValueId> cuts = cuts_;
    for (size_t k = 0; k < middle; ++k) {
      for (ValueId v : graph_.nodes[nodes[k]].outputs) {
        if (v != no_value && known(v)) cuts.insert(v);
      }
    }
    if (fails(part_of(output, cuts))) {
      best = cuts;
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  cuts_ = best;
  return part_.nodes.size() < nodes.size();
}

bool Reduction::cut_single_nodes() {
  std::vector<size_t> nodes = part_.nodes;
  ValueId output = part_.output;
  for (size_t n : nodes) {
    bool there = std::find(part_.nodes.begin(), part_.nodes.end(), n) != part_.nodes.end();
    const auto& outputs = graph_.nodes[n].outputs;
    if (!there || std::find(outputs.begin(), outputs.end(), output) != outputs.end()) continue;
    std::set<ValueId> cuts = cuts_;
    for (ValueId v : outputs) {
      if (v != no_value && known(v)) cuts.insert(v);
    }
    if (cuts.size() > cuts_.size() && fails(part_of(output, cuts))) cuts_ = cuts;
  }
  return part_.nodes.size() < nodes.size();
}

std::optional<ReducedModel> Reduction::reduce() {
  ReducedModel reduced;
  for (ValueId output : graph_.outputs) {
    Part whole = part_of(output, {});
    if (whole.nodes.empty() || !fails(whole)) continue;
    reduced.nodes_before = whole.nodes.size();
    break;
  }
  if (reduced.nodes_before == 0) return std::nullopt;
  for (bool smaller = true; smaller && part_.nodes.size() > 1;) {
    smaller = move_output();
    smaller = cut_front() || smaller;
    smaller = cut_single_nodes() || smaller;
    info("{} of {} nodes are left", part_.nodes.size(), reduced.nodes_before);
  }
  for (size_t n : part_.nodes) reduced.nodes.push_back(describe(graph_, graph_.nodes[n]));
  reduced.bytes = std::move(failure_.bytes);
  reduced.inputs = std::move(failure_.inputs);
  reduced.expected = std::move(failure_.expected);
  reduced.message = std::move(failure_.message);
  return reduced;
}

}  // namespace onnxrun::tool
