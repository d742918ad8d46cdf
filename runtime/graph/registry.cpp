#include "graph/registry.h"
#include "graph/cost.h"

#include <cassert>

#include "base/error.h"
#include "graph/gradient_context.h"
#include "graph/run_context.h"

namespace onnxrun {

void Op::run(RunContext&) const { fail(ErrorKind::Internal, "this operator has no kernel"); }
void Op::gradient(GradientContext&) const {
  fail(ErrorKind::Unsupported, "no gradient is defined for this operator");
}
void Op::decompose(DecomposeContext&) const {
  fail(ErrorKind::Internal, "this operator has no decomposition");
}

std::vector<Type> Op::body_inputs(const std::vector<Type>&) const { return {}; }
Count Op::operations(const CostContext& c) const { return elementwise_operations(c); }
WeightAxes Op::weight_axes(size_t, size_t) const { return {}; }
Count Op::body_runs(const CostContext&) const { return std::nullopt; }
bool Op::repeats(const Graph&, const Node&) const { return traits().deterministic; }
bool Op::types_an_output(std::string_view, const Node&) const { return true; }
bool Op::emit_plain(Graph&, Node&) const { return false; }

static std::string key_of(std::string_view domain, std::string_view name) {
  if (domain.empty() || domain == "ai.onnx") return std::string(name);
  return std::string(domain) + "." + std::string(name);
}

std::string OpInfo::qualified_name() const { return key_of(spec.domain, spec.name); }

const OpInfo* OpRegistry::find(std::string_view domain, std::string_view name) const {
  auto it = ops_.find(key_of(domain, name));
  return it == ops_.end() ? nullptr : it->second.get();
}

const OpInfo& OpRegistry::get(std::string_view qualified_name) const {
  auto it = ops_.find(qualified_name);
  if (it == ops_.end()) fail(ErrorKind::Internal, "no operator '{}' is registered", qualified_name);
  return *it->second;
}

std::vector<const OpInfo*> OpRegistry::all() const {
  std::vector<const OpInfo*> list;
  for (const auto& [key, info] : ops_) list.push_back(info.get());
  return list;
}

void OpRegistry::insert(OpInfo info) {
  std::string key = info.qualified_name();
  [[maybe_unused]] bool inserted =
      ops_.emplace(key, std::make_unique<OpInfo>(std::move(info))).second;
  assert(inserted && "an operator is registered twice");
}

}  // namespace onnxrun
