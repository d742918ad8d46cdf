#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "attribute_reader.h"
#include "base/error.h"
#include "base/work.h"
#include "graph/upgrade_context.h"
#include "graph_reader.h"
#include "proto_fields.h"
#include "type_reader.h"

namespace onnxrun {

namespace {

using onnx::AttributeProto;

// The opset that says what the node means. Programs write operators into files whose opset did not
// have them yet (ONNX Runtime's optimizer LayerNormalization before 17): they mean the first
// version.
int64_t meant_opset(const OpInfo& info, int64_t imported) {
  const auto& since = info.spec.since;
  return since.empty() ? imported : std::max<int64_t>(imported, since.front());
}

// The version of the operator that a node of this opset has.
int version_at(const OpInfo& info, int64_t opset) {
  const auto& since = info.spec.since;
  auto next = std::upper_bound(since.begin(), since.end(), opset);
  return next == since.begin() ? 0 : *std::prev(next);
}

// Without the last ones that have no name; of variadic outputs the number says something.
size_t used_outputs(const onnx::NodeProto& node, const OpSpec& spec) {
  int count = node.output_size();
  if (!spec.outputs.empty() && spec.outputs.back().kind == Param::Kind::Variadic) {
    return static_cast<size_t>(count);
  }
  while (count > 1 && node.output(count - 1).empty()) --count;
  return static_cast<size_t>(count);
}

}  // namespace

ErrorFrame frame_of(const onnx::NodeProto& node) {
  std::string domain = normalized_domain(node.domain());
  std::string name = node.name();
  for (int i = 0; name.empty() && i < node.output_size(); ++i) name = node.output(i);
  return {ErrorFrame::Kind::Node, name, (domain.empty() ? "" : domain + ".") + node.op_type()};
}

void GraphReader::read_node(const onnx::NodeProto& node, Scope& scope, const Path& path) {
  check_work();
  if (--nodes_left_ < 0) {
    fail(ErrorKind::Limit, "the model has more than {} nodes, functions inlined", max_nodes_);
  }
  if (const Function* function = functions_.find(node)) {
    inline_call(node, *function, scope, path);
    return;
  }
  if (node.op_type() == "Constant" && normalized_domain(node.domain()).empty()) {
    try {
      read_constant(node, scope, path);
    } catch (const Error& e) {
      throw e.in(frame_of(node));
    }
    return;
  }
  read_operator(node, scope, path);
}

void GraphReader::read_operator(const onnx::NodeProto& node, Scope& scope, const Path& path) {
  const OpInfo* info = nullptr;
  int64_t imported = 0, opset = 0;
  NodeOptions options;
  std::vector<ValueId> inputs;
  const size_t findings = findings_ ? findings_->count() : 0;
  try {
    std::string domain = normalized_domain(node.domain());
    imported = checked_opset(scope.opsets, domain);
    info = domain == private_domain ? nullptr : registry_.find(domain, node.op_type());
    if (!info) {
      fail(ErrorKind::Unsupported, "domain '{}', opset {}, has no operator of this name here",
           domain.empty() ? "ai.onnx" : domain, imported);
    }
    opset = meant_opset(*info, imported);
    inputs = lookup_inputs(node, scope);
    Formed formed = read_attributes_of(node, *info, scope, path);
    options.attributes = std::move(formed.attributes);
    read_bodies(node, *info, formed, inputs, scope, options);
  } catch (const Error& e) {
    throw e.in(frame_of(node));
  }
  auto first_new = static_cast<ValueId>(scope.frame.graph.value_count());
  std::vector<ValueId> outputs =
      findings_ ? add_or_doubt(node, *info, opset, std::move(inputs), scope, std::move(options),
                               findings_->count() > findings)
                : add_operator(node, *info, opset, std::move(inputs), scope, std::move(options));
  if (opset > imported) {
    warn("before-its-opset",
         fmt::format(
             "opset {} is imported, the operator is known since opset {}, as which it is read",
             imported, opset),
         &node);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (static_cast<int>(i) >= node.output_size()) break;
    const std::string& name = node.output(static_cast<int>(i));
    if (!name.empty() && outputs[i] != no_value) bind(scope, name, outputs[i], first_new);
  }
}

std::vector<ValueId> GraphReader::lookup_inputs(const onnx::NodeProto& node, const Scope& scope) {
  std::vector<ValueId> inputs;
  for (const std::string& name : node.input()) {
    bool found = attempt([&] { inputs.push_back(scope.lookup(name)); }, &node);
    if (!found) inputs.push_back(unknown_value(scope.frame, name));
  }
  while (!inputs.empty() && inputs.back() == no_value) inputs.pop_back();
  return inputs;
}

std::optional<BoundAttribute> GraphReader::resolve(const AttributeProto& attribute, Scope& scope,
                                                   const Path& path) {
  if (attribute.ref_attr_name().empty()) return BoundAttribute{&attribute, path, &scope};
  if (!scope.attributes) {
    fail(ErrorKind::BadModel, "attribute '{}' refers to '{}' of a function, but stands in none",
         attribute.name(), attribute.ref_attr_name());
  }
  auto it = scope.attributes->find(attribute.ref_attr_name());
  if (it == scope.attributes->end()) return std::nullopt;
  if (attribute.type() != AttributeProto::UNDEFINED &&
      kind_of(*it->second.proto) != attribute.type()) {
    fail(ErrorKind::BadModel, "attribute '{}' is of kind {}, the call gives {}", attribute.name(),
         AttributeProto::AttributeType_Name(attribute.type()),
         AttributeProto::AttributeType_Name(kind_of(*it->second.proto)));
  }
  return it->second;
}

GraphReader::Formed GraphReader::read_attributes_of(const onnx::NodeProto& node, const OpInfo& info,
                                                    Scope& scope, const Path& path) const {
  Formed formed;
  const auto& body_names = info.spec.bodies;
  for (int i = 0; i < node.attribute_size(); ++i) {
    const AttributeProto& a = node.attribute(i);
    auto bound = resolve(a, scope, path + std::pair(onnx::NodeProto::kAttributeFieldNumber, i));
    if (!bound) continue;
    bool is_body = std::find(body_names.begin(), body_names.end(), a.name()) != body_names.end();
    if (is_body && kind_of(*bound->proto) != AttributeProto::GRAPH) {
      fail(ErrorKind::BadModel, "attribute '{}' is no subgraph", a.name());
    }
    bool fresh =
        is_body
            ? formed.bodies.emplace(a.name(), *bound).second
            : formed.attributes.emplace(a.name(), read_attribute(*bound->proto, decoder_)).second;
    if (!fresh) fail(ErrorKind::BadModel, "attribute '{}' is given twice", a.name());
  }
  return formed;
}

// A body of a node in `around` that gives its formal inputs.
static Graph passing_body(const Graph& around, const std::vector<Type>& formal,
                          const std::vector<ValueId>& captures) {
  Graph body(around.registry());
  for (const Type& type : formal) {
    body.outputs.push_back(body.add_input(body.unique_name("formal"), type));
  }
  for (ValueId v : captures) body.add_input(body.unique_name("captured"), around.value(v).type);
  return body;
}

void GraphReader::read_bodies(const onnx::NodeProto& node, const OpInfo& info, const Formed& formed,
                              const std::vector<ValueId>& inputs, Scope& scope,
                              NodeOptions& options) {
  std::vector<std::unique_ptr<Frame>> frames;
  std::vector<Type> types;
  for (ValueId v : inputs)
    types.push_back(v == no_value ? Type() : scope.frame.graph.value(v).type);
  std::vector<Type> formal = info.make()->body_inputs(types);
  std::string owner = node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name();
  for (std::string_view name : info.spec.bodies) {
    auto it = formed.bodies.find(std::string(name));
    if (it == formed.bodies.end()) {
      if (!info.spec.bodies_optional) fail(ErrorKind::BadModel, "subgraph '{}' is missing", name);
      frames.push_back(nullptr);
      continue;
    }
    around_.push_back(frame_of(node));
    frames.push_back(read_body(it->second, scope.frame, scope.depth + 1, owner, formal));
    around_.pop_back();
  }
  // Every body takes what any of them captures.
  for (const auto& frame : frames) {
    if (!frame) continue;
    for (const Frame::Capture& c : frame->captures()) {
      auto& all = options.captures;
      if (std::find(all.begin(), all.end(), c.outer) == all.end()) all.push_back(c.outer);
    }
  }
  for (const auto& frame : frames) {
    if (!frame) {
      options.bodies.push_back(passing_body(scope.frame.graph, formal, options.captures));
      continue;
    }
    for (ValueId outer : options.captures) frame->graph.inputs.push_back(frame->capture(outer));
    options.bodies.push_back(std::move(frame->graph));
  }
}

std::vector<ValueId> GraphReader::add_operator(const onnx::NodeProto& node, const OpInfo& info,
                                               int64_t opset, std::vector<ValueId> inputs,
                                               Scope& scope, NodeOptions options) {
  Graph& graph = scope.frame.graph;
  size_t count = used_outputs(node, info.spec);
  options.name = node.name().empty() ? "" : scope.prefix + node.name();
  std::string base = options.name.empty() && node.output_size() > 0 ? node.output(0) : options.name;
  GraphBuilder builder(graph, base.empty() ? "" : base + "/");
  UpgradeContext context(builder, static_cast<int>(opset), std::move(inputs),
                         std::move(options.attributes), count);
  context.bodies() = std::move(options.bodies);
  context.captures() = std::move(options.captures);
  context.set_names([&](const std::string& name) { return scope.lookup(name); });
  if (info.spec.upgrade) {
    int version = version_at(info, opset);
    if (version > 0 && version < info.spec.since.back()) {
      ++raised_[{info.qualified_name(), version}];
    }
    try {
      info.spec.upgrade(context);
      check_size(graph);
    } catch (const Error& e) {
      throw e.in(frame_of(node));
    }
  }
  if (context.replacement()) return *context.replacement();

  count = context.num_outputs();
  for (size_t i = 0; i < count; ++i) {
    std::string name =
        static_cast<int>(i) < node.output_size() ? node.output(static_cast<int>(i)) : "";
    options.output_names.push_back(name.empty() ? name : scope.own_name(name));
  }
  // What is wrong with attributes is so whatever the inputs are.
  if (findings_) attempt([&] { read_attributes(*info.make(), context.attributes()); }, &node);
  options.attributes = std::move(context.attributes());
  options.bodies = std::move(context.bodies());
  options.captures = std::move(context.captures());
  std::vector<ValueId> outputs =
      builder.add_n(info.qualified_name(), std::move(context.inputs()), count, std::move(options));
  for (size_t i = 0; i < count; ++i) {
    bool unnamed =
        static_cast<int>(i) < node.output_size() && node.output(static_cast<int>(i)).empty();
    if (unnamed) graph.nodes.back().outputs[i] = no_value;
  }
  return outputs;
}

// An upgrade may add nodes: differentiating again and again doubles their number each time.
void GraphReader::check_size(const Graph& graph) const {
  if (graph.nodes.size() <= static_cast<size_t>(max_nodes_)) return;
  fail(ErrorKind::Limit, "the model becomes more than {} nodes", max_nodes_);
}

void GraphReader::bind(Scope& scope, const std::string& name, ValueId id, ValueId first_new) {
  Frame& frame = scope.frame;
  Graph& graph = frame.graph;
  if (scope.defines(name)) {
    fail(ErrorKind::BadModel, "the name '{}' is given to two values", name);
  }
  bool own = scope.prefix.empty();
  if (own && graph.name_of(id) != name) {
    if (id >= first_new && !frame.is_fixed(id)) {
      frame.claim(name);
      frame.rename(id, name);
    } else {
      NodeOptions options;
      options.output_names = {scope.own_name(name)};
      id = GraphBuilder(graph).add_n("Identity", {id}, 1, std::move(options)).front();
    }
  }
  if (own) frame.fix(id);
  attempt([&] { apply_declared_type(scope, name, id); });
  scope.define(name, id);
}

// Files may lie about lengths, and plans size buffers by them: of a value that is computed only
// what kind of value it is and its rank are believed.
void GraphReader::apply_declared_type(const Scope& scope, const std::string& name, ValueId id) {
  auto it = scope.declared.find(name);
  if (it == scope.declared.end()) return;
  Value& value = scope.frame.graph.value(id);
  Type declared = read_type(*it->second);
  if (!same_elements(value.type, declared)) {
    fail(ErrorKind::BadModel, "value '{}' is declared {}, but is {}", name, declared.to_string(),
         value.type.to_string());
  }
  if (!compatible(value.type, declared)) {
    if (findings_) note_declaration(name, value.type, declared);
    return;
  }
  if (declared.is_tensor() && declared.shape) {
    declared.shape = Shape(declared.shape->size());
    value.type = refine(value.type, declared);
  } else if (!value.type.is_known()) {
    value.type = declared;
  }
}

}  // namespace onnxrun
