#include "unshare.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "file_graph.h"
#include "graph_changes.h"
#include "model_rewriter.h"
#include "passes/export_marks.h"
#include "proto_writer.h"

namespace onnxrun {

namespace {

using onnx::GraphProto;

// The default exporter of PyTorch merges no larger ones.
constexpr int64_t largest_merged = 1024;
constexpr int64_t first_ir_without_inputs = 4;

struct Use {
  const FileNode* node = nullptr;
  size_t input = 0;
  std::string via = {};  // the Identity through which the tensor is read
  // What the net called the tensor here, if the file tells that it is not the stored one.
  std::optional<size_t> original = {};
};

std::string module_of(const std::string& name) {
  size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}
std::string leaf_of(const std::string& name) { return name.substr(name.rfind('.') + 1); }

class Unsharer {
 public:
  Unsharer(const Graph& graph, std::string model, Unshare mode)
      : graph_(graph),
        mode_(mode),
        bytes_(std::move(model)),
        file_(bytes_),
        tensors_(module_tensors(graph)) {
    for (size_t i = 0; i < tensors_.size(); ++i) {
      by_input_.emplace(tensors_[i].input, i);
      by_target_.emplace(tensors_[i].target, i);
    }
  }

  UnsharedFile run() {
    find_uses();
    for (const std::string& name : file_.initializers) {
      if (stored(name)) split(name);
    }
    if (mode_ == Unshare::Auto) {
      for (const FileNode& node : file_.nodes) restore_bias(node);
    }
    if (added_.empty()) return {};
    write_nodes();
    return {with_changes(bytes_, changes_), added_};
  }

 private:
  // The floating-point tensor that the file stores under this name, or null.
  const Initializer* stored(const std::string& name) const {
    auto it = graph_.initializers.find(graph_.find(name));
    bool there = it != graph_.initializers.end() && it->second.stored >= 0 &&
                 is_differentiable(it->second.value.dtype());
    return there ? &it->second : nullptr;
  }

  void find_uses() {
    for (const std::string& name : file_.initializers) {
      if (!stored(name)) continue;
      uses_[name];
      for (size_t origin : origins(name)) there_.insert(origin);
    }
    std::map<std::string, std::string> aliases;
    for (const FileNode& node : file_.nodes) {
      if (!is_merge(node)) continue;
      aliases[node.outputs[0]] = node.inputs[0];
      identities_[node.inputs[0]].push_back(&node);
    }
    for (const FileNode& node : file_.nodes) {
      if (is_merge(node)) continue;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const std::string& read = node.inputs[i];
        auto alias = aliases.find(read);
        auto it = uses_.find(alias == aliases.end() ? read : alias->second);
        if (it == uses_.end()) continue;
        it->second.push_back({&node, i, alias == aliases.end() ? "" : read});
      }
    }
  }

  // The legacy exporter's sign of a tensor that it merged with another.
  bool is_merge(const FileNode& node) const {
    if (node.op_type != "Identity" || !node.name.starts_with("Identity_")) return false;
    if (!graph_.source->producer.starts_with("pytorch") || !node.metadata.empty()) return false;
    if (node.inputs.size() != 1 || node.outputs.size() != 1) return false;
    const std::string& out = node.outputs[0];
    bool is_output =
        std::find(file_.outputs.begin(), file_.outputs.end(), out) != file_.outputs.end();
    return !is_output && !file_.body_reads.count(out) && uses_.count(node.inputs[0]) > 0;
  }

  // Which tensors of the module a stored one was: itself, or those that it was folded from.
  std::vector<size_t> origins(const std::string& name) const {
    std::vector<size_t> found;
    auto add = [&](const std::string& n) {
      if (auto it = by_target_.find(n); it != by_target_.end()) found.push_back(it->second);
    };
    add(name);
    const Value& value = graph_.value(graph_.find(name));
    for (const std::string& n : quoted_names(metadata_of(value, export_mark::folded_from))) add(n);
    return found;
  }

  static std::optional<std::string> scope_of(const FileNode& node) {
    auto it = node.metadata.find(export_mark::scopes);
    if (it == node.metadata.end()) return std::nullopt;
    std::vector<std::string> scopes = quoted_names(it->second);
    if (scopes.size() < 2) return std::nullopt;
    return scopes[scopes.size() - 2];
  }

  // Where a node stands: its module, or itself.
  std::string place_of(const FileNode& node) const {
    if (auto scope = scope_of(node)) return *scope;
    size_t slash = node.name.rfind('/');
    bool legacy = graph_.source->producer.starts_with("pytorch") && slash != std::string::npos;
    return legacy ? node.name.substr(0, slash) : std::to_string(node.index);
  }

  bool is_statistic(const Use& use) const {
    const OpInfo* info = graph_.registry().find(use.node->domain, use.node->op_type);
    return info && info->spec.role_of(use.input) == InputRole::Statistic;
  }

  // Tensors of the module that the call around a node reads and that the file stores no more.
  std::vector<size_t> lost_arguments(const FileNode& node) const {
    std::vector<size_t> lost;
    auto call = node.metadata.find(export_mark::call);
    if (call == node.metadata.end()) return lost;
    for (const std::string& name : argument_names(call->second)) {
      auto it = by_input_.find(name);
      if (it != by_input_.end() && !there_.count(it->second)) lost.push_back(it->second);
    }
    return lost;
  }

  // What the call names at this input, where it has as many tensors of the module as the node.
  std::optional<size_t> argument_at(const Use& use) const {
    auto call = use.node->metadata.find(export_mark::call);
    if (call == use.node->metadata.end()) return std::nullopt;
    std::vector<size_t> there;
    for (const std::string& name : argument_names(call->second)) {
      if (auto it = by_input_.find(name); it != by_input_.end()) there.push_back(it->second);
    }
    size_t at = 0, count = 0;
    for (size_t i = 0; i < use.node->inputs.size(); ++i) {
      if (!uses_.count(use.node->inputs[i])) continue;
      if (i == use.input) at = count;
      ++count;
    }
    if (count != there.size()) return std::nullopt;
    return there[at];
  }

  // Which lost tensor of the module a use was; nothing where it is its own.
  std::optional<size_t> original_of(const Use& use, const std::vector<size_t>& own) const {
    std::optional<std::string> scope = scope_of(*use.node);
    if (!scope || own.empty() || *scope == module_of(tensors_[own[0]].target)) return std::nullopt;
    std::vector<size_t> candidates;
    if (auto call = use.node->metadata.find(export_mark::call); call != use.node->metadata.end()) {
      std::vector<std::string> names = argument_names(call->second);
      for (size_t o : own) {
        if (std::find(names.begin(), names.end(), tensors_[o].input) != names.end())
          return std::nullopt;
      }
      auto exact = argument_at(use);
      if (exact && !there_.count(*exact)) return exact;
      candidates = lost_arguments(*use.node);
    } else {
      for (size_t i = 0; i < tensors_.size(); ++i) {
        if (!there_.count(i) && module_of(tensors_[i].target) == *scope) candidates.push_back(i);
      }
    }
    std::string leaf = leaf_of(tensors_[own[0]].target);
    for (size_t c : candidates) {
      if (leaf_of(tensors_[c].target) == leaf) return c;
    }
    if (candidates.size() == 1) return candidates[0];
    return std::nullopt;
  }

  // An embedding that is a product's matrix, too, is a tied head.
  static bool is_tied_head(const std::vector<Use>& uses) {
    auto any = [&](std::initializer_list<std::string_view> ops) {
      return std::any_of(uses.begin(), uses.end(), [&](const Use& u) {
        return std::find(ops.begin(), ops.end(), u.node->op_type) != ops.end();
      });
    };
    return any({"Gather"}) && any({"MatMul", "Gemm", "Transpose"});
  }

  bool may_be_merged(const std::string& name, const std::vector<Use>& uses) const {
    return stored(name)->value.size() <= largest_merged && !is_tied_head(uses);
  }

  // Uses with one key read one tensor; "" is the stored one.
  std::string key_of(const Use& use) const {
    std::string key = is_statistic(use) ? "statistic " + std::to_string(use.input) : "";
    if (mode_ == Unshare::Never) return key;
    if (mode_ == Unshare::Always) return key + "|" + use.via + "|" + place_of(*use.node);
    if (!use.via.empty()) return key + "|" + use.via;
    std::optional<size_t> original = key.empty() ? use.original : argument_at(use);
    return original ? key + "|" + tensors_[*original].target : key;
  }

  void find_originals(const std::string& name, std::vector<Use>& uses) const {
    if (mode_ == Unshare::Never || !may_be_merged(name, uses)) return;
    std::vector<size_t> own = origins(name);
    for (Use& use : uses) {
      auto original = original_of(use, own);
      // The last name is that of a tie.
      if (original && *original > own[0]) use.original = original;
    }
  }

  void split(const std::string& name) {
    std::vector<Use>& uses = uses_.at(name);
    find_originals(name, uses);
    std::vector<std::pair<std::string, std::vector<const Use*>>> groups;
    for (const Use& use : uses) {
      std::string key = key_of(use);
      auto it = std::find_if(groups.begin(), groups.end(),
                             [&](const auto& group) { return group.first == key; });
      if (it == groups.end()) it = groups.insert(groups.end(), {key, {}});
      it->second.push_back(&use);
    }
    if (groups.size() < 2) return;
    size_t own = own_group(name, groups);
    for (size_t g = 0; g < groups.size(); ++g) {
      std::string to = g == own ? name : add_copy(name, *groups[g].second[0]);
      for (const Use* use : groups[g].second) inputs_of(*use->node)[use->input] = to;
    }
    auto merged = identities_.find(name);
    if (merged == identities_.end()) return;
    for (const FileNode* node : merged->second) {
      changes_.fields[{GraphProto::kNodeFieldNumber, node->index}] = std::nullopt;
    }
  }

  // The group that keeps the stored tensor; groups.size() where bodies alone keep it.
  template <typename Groups>
  size_t own_group(const std::string& name, const Groups& groups) const {
    auto first = [&](const auto& holds) {
      auto it = std::find_if(groups.begin(), groups.end(),
                             [&](const auto& group) { return holds(*group.second[0]); });
      return static_cast<size_t>(it - groups.begin());
    };
    auto is_own = [this](const Use& u) { return u.via.empty() && !u.original && !is_statistic(u); };
    std::vector<size_t> origin = origins(name);
    size_t at = groups.size();
    if (!origin.empty()) {
      std::string module = module_of(tensors_[origin[0]].target);
      at = first([&](const Use& u) { return is_own(u) && place_of(*u.node) == module; });
    }
    if (at == groups.size()) at = first(is_own);
    if (at < groups.size() || file_.body_reads.count(name) > 0) return at;
    return 0;
  }

  std::vector<std::string>& inputs_of(const FileNode& node) {
    return new_inputs_.try_emplace(node.index, node.inputs).first->second;
  }

  std::string free_name(const std::string& wanted) {
    std::string name = wanted;
    for (int n = 1; !file_.names.insert(name).second; ++n) name = wanted + "_" + std::to_string(n);
    return name;
  }

  std::string add_copy(const std::string& from, const Use& use) {
    // The name of an Identity's output becomes that of a tensor.
    bool named = !use.via.empty() && taken_.insert(use.via).second;
    std::optional<size_t> original = use.original;
    if (!original && is_statistic(use)) original = argument_at(use);
    bool plain = by_target_.count(from) > 0 || quoted_folding(from).empty();
    std::string name;
    if (named) {
      name = use.via;
    } else if (original && plain && !there_.count(*original)) {
      name = free_name(tensors_[*original].target);
    } else {
      std::string place = place_of(*use.node);
      name = free_name(from + "/" + (place.empty() ? use.node->outputs[0] : place));
    }
    add_tensor(name, stored(from)->value, plain ? "" : folding_of(from, original, name));
    added_.push_back({name, from});
    return name;
  }

  std::string quoted_folding(const std::string& name) const {
    return metadata_of(graph_.value(graph_.find(name)), export_mark::folded_from);
  }

  // What the copy of a folded tensor was folded from: of one origin they would be joined again.
  std::string folding_of(const std::string& from, std::optional<size_t> original,
                         const std::string& name) const {
    if (original) return "['" + tensors_[*original].target + "']";
    std::string list;
    for (const std::string& n : quoted_names(quoted_folding(from))) list += "'" + n + "', ";
    return "[" + list + "'" + name + "']";
  }

  void add_tensor(const std::string& name, const Tensor& value, const std::string& folded_from) {
    changes_.added.emplace_back(GraphProto::kInitializerFieldNumber,
                                write_tensor(value, name).SerializeAsString());
    onnx::ValueInfoProto info;
    info.set_name(name);
    *info.mutable_type() = write_type(Type::tensor(value.dtype(), to_shape(value.dims())));
    if (!folded_from.empty()) {
      write_metadata(info, value_info_metadata,
                     {{std::string(export_mark::folded_from), folded_from}});
      changes_.added.emplace_back(GraphProto::kValueInfoFieldNumber, info.SerializeAsString());
    }
    if (graph_.source->ir_version < first_ir_without_inputs) {
      changes_.added.emplace_back(GraphProto::kInputFieldNumber, info.SerializeAsString());
    }
  }

  // A product whose call has a bias, which was all zeros, and the file has none.
  void restore_bias(const FileNode& node) {
    auto rule = node.metadata.find(export_mark::rewriting);
    auto call = node.metadata.find(export_mark::call);
    if (rule == node.metadata.end() || call == node.metadata.end()) return;
    if (rule->second.find("RemoveOptionalBias") == std::string::npos) return;
    if (node.inputs.size() != 2) return;
    std::vector<std::string> list = call_arguments(call->second);
    if (list.size() < 3 || !list[2].starts_with('%')) return;
    auto it = by_input_.find(list[2].substr(1));
    if (it == by_input_.end() || there_.count(it->second)) return;
    auto output = graph_.find(node.outputs[0]);
    const ModuleTensor& bias = tensors_[it->second];
    const Initializer* weight = stored(node.inputs[1]);
    auto length = weight ? bias_length(node, weight->value.dims()) : std::nullopt;
    if (bias.kind != "PARAMETER" || !length || output == no_value) return;
    bool known = restored_.count(bias.target) > 0;
    std::string name = known ? restored_.at(bias.target) : free_name(bias.target);
    inputs_of(node).push_back(name);
    if (known) return;
    restored_[bias.target] = name;
    Tensor zeros(weight->value.dtype(), {*length});
    std::fill_n(static_cast<std::byte*>(zeros.raw()), zeros.bytes(), std::byte{0});
    add_tensor(name, zeros, "");
    added_.push_back({name, ""});
  }

  static std::optional<int64_t> bias_length(const FileNode& node, const Dims& weight) {
    onnx::NodeProto proto;
    if (!proto.ParseFromArray(node.message.data(), static_cast<int>(node.message.size()))) {
      return std::nullopt;
    }
    auto attribute = [&](std::string_view name, int64_t otherwise) {
      for (const onnx::AttributeProto& a : proto.attribute()) {
        if (a.name() == name) return a.i();
      }
      return otherwise;
    };
    if (node.op_type == "Gemm" && weight.size() == 2) {
      return attribute("transB", 0) != 0 ? weight[0] : weight[1];
    }
    if (node.op_type == "Conv" && !weight.empty()) return weight[0];
    if (node.op_type == "ConvTranspose" && weight.size() > 1) {
      int64_t group = attribute("group", 1);
      if (group > 0 && group <= weight[0]) return weight[1] * group;
    }
    return std::nullopt;
  }

  void write_nodes() {
    for (const auto& [index, inputs] : new_inputs_) {
      const FileNode& node = file_.nodes[static_cast<size_t>(index)];
      if (inputs == node.inputs) continue;
      changes_.fields[{GraphProto::kNodeFieldNumber, index}] = node.with_inputs(inputs);
    }
    std::string list;
    for (const UnsharedTensor& t : added_) {
      list += (list.empty() ? "" : "\n") + t.name + (t.from.empty() ? " added" : " from " + t.from);
    }
    changes_.metadata["onnxrun.unshared"] = list;
  }

  const Graph& graph_;
  Unshare mode_;
  std::string bytes_;
  FileGraph file_;
  std::vector<ModuleTensor> tensors_;
  std::map<std::string, size_t> by_input_, by_target_;
  std::set<size_t> there_;  // tensors of the module that the file stores, perhaps folded
  std::map<std::string, std::vector<Use>> uses_;
  std::map<std::string, std::vector<const FileNode*>> identities_;
  std::set<std::string> taken_;
  std::map<std::string, std::string> restored_;
  std::map<int, std::vector<std::string>> new_inputs_;
  GraphChanges changes_;
  std::vector<UnsharedTensor> added_;
};

// True if the module had a tensor that the file has no more.
bool has_lost(const Graph& graph) {
  std::set<std::string> there = stored_names(graph);
  std::vector<ModuleTensor> tensors = module_tensors(graph);
  return std::any_of(tensors.begin(), tensors.end(), [&](const ModuleTensor& t) {
    return t.kind == "PARAMETER" && !there.count(t.target);
  });
}

// Whether reading the file once more can find anything: most files have nothing to split.
bool may_have_merged(const Graph& graph, Unshare mode) {
  if (!graph.source || graph.source->bytes.empty()) return false;
  if (mode == Unshare::Auto && has_lost(graph)) return true;
  std::vector<int> uses = graph.use_counts();
  return std::any_of(graph.initializers.begin(), graph.initializers.end(), [&](const auto& entry) {
    return entry.second.stored >= 0 && is_differentiable(entry.second.value.dtype()) &&
           uses[static_cast<size_t>(entry.first)] > 1;
  });
}

}  // namespace

UnsharedFile unshare_tensors(const Graph& imported, Unshare mode) {
  if (!may_have_merged(imported, mode)) return {};
  std::string bytes = imported.source->file_bytes();
  if (has_split_messages(bytes)) return {};
  return Unsharer(imported, std::move(bytes), mode).run();
}

}  // namespace onnxrun
