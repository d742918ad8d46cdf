// What PyTorch's default exporter writes into a file about the module that it came from.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

namespace export_mark {
// Metadata of values: what a tensor is, and the names that a folded one was made from.
inline constexpr std::string_view kind = "pkg.torch.export.graph_signature.InputSpec.kind";
inline constexpr std::string_view folded_from = "pkg.onnxscript.optimizer.folded_from";
// Metadata of nodes: the modules around one, the call it was made from, the rewriting it went
// through.
inline constexpr std::string_view scopes = "pkg.torch.onnx.name_scopes";
inline constexpr std::string_view call = "pkg.torch.onnx.fx_node";
inline constexpr std::string_view rewriting = "pkg.onnxscript.rewriter.rule_name";
}  // namespace export_mark

// A tensor of the module: "p_fc_weight: PARAMETER target='fc.weight'".
struct ModuleTensor {
  std::string input;   // what calls name it by
  std::string kind;    // PARAMETER, BUFFER, CONSTANT_TENSOR
  std::string target;  // its name in the module
};

// All tensors of the module in its own order; none where the file does not say.
std::vector<ModuleTensor> module_tensors(const Graph& graph);

// The names in "['rec.weight_ih_l0', 'val_0']".
std::vector<std::string> quoted_names(const std::string& list);

// The arguments of a call, "%linear : ... (args = (%x, %p_fc_weight, [2], 1e-05), ...":
// {"%x", "%p_fc_weight", "[2]", "1e-05"}.
std::vector<std::string> call_arguments(const std::string& call);
// The names after each % in them, those in lists too.
std::vector<std::string> argument_names(const std::string& call);

// Names of all initializers, and of the tensors that folded ones were made from.
std::set<std::string> stored_names(const Graph& graph);

// A value's metadata, or "".
std::string metadata_of(const Value& value, std::string_view key);

}  // namespace onnxrun
