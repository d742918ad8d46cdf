#include "graph_writer.h"

#include <algorithm>

#include "base/error.h"
#include "graph/node_attributes.h"
#include "opset_changes.h"
#include "proto_writer.h"

namespace onnxrun {

namespace {

// Values that nodes of the graph produce.
std::unordered_set<ValueId> produced_values(const Graph& graph) {
  std::unordered_set<ValueId> produced;
  for (const Node& node : graph.nodes) produced.insert(node.outputs.begin(), node.outputs.end());
  return produced;
}

std::vector<ValueId> outputs_with_state(const Graph& graph) {
  std::vector<ValueId> outputs = graph.outputs;
  std::unordered_set<ValueId> listed(outputs.begin(), outputs.end());
  for (const StateBinding& s : graph.state) {
    if (listed.insert(s.out).second) outputs.push_back(s.out);
  }
  return outputs;
}

}  // namespace

onnx::GraphProto GraphWriter::write(const Graph& graph) {
  onnx::GraphProto proto;
  Names names;
  std::vector<ValueId> outputs = outputs_with_state(graph);
  // Names that callers use come first, so that nothing else takes them.
  auto keep = [&](ValueId id) {
    if (!names.count(id)) names[id] = fresh(graph.name_of(id));
  };
  std::for_each(graph.inputs.begin(), graph.inputs.end(), keep);
  std::for_each(outputs.begin(), outputs.end(), keep);
  for (const auto& [id, init] : graph.initializers) keep(id);
  name_values(graph, names);

  proto.set_name(graph.name.empty() ? "graph" : graph.name);
  for (ValueId id : graph.inputs) write_value(graph, id, names.at(id), *proto.add_input());
  for (ValueId id : graph.overridable) write_value(graph, id, names.at(id), *proto.add_input());
  write_contents(graph, names, proto);
  std::unordered_set<ValueId> listed;
  for (ValueId id : outputs) {
    std::string name = names.at(id);
    if (!listed.insert(id).second) {
      std::string copy = fresh(name);
      write_identity(name, copy, proto);
      name = copy;
    }
    write_value(graph, id, name, *proto.add_output());
  }
  listed.insert(graph.inputs.begin(), graph.inputs.end());
  for (size_t i = 0; i < graph.value_count(); ++i) {
    auto id = static_cast<ValueId>(i);
    auto it = names.find(id);
    const Value& value = graph.value(id);
    if (it == names.end() || listed.count(id) || !value.type.is_known()) continue;
    write_value(graph, id, it->second, *proto.add_value_info());
  }
  return proto;
}

std::string GraphWriter::fresh(const std::string& wanted) {
  const std::string base = wanted.empty() ? "value" : wanted;
  std::string name = base;
  while (!taken_.insert(name).second) name = base + "_" + std::to_string(++numbers_[base]);
  return name;
}

void GraphWriter::name_values(const Graph& graph, Names& names) {
  auto add = [&](ValueId id) {
    if (id != no_value && !names.count(id)) names[id] = fresh(graph.name_of(id));
  };
  std::for_each(graph.inputs.begin(), graph.inputs.end(), add);
  for (const auto& [id, init] : graph.initializers) add(id);
  for (const Node& node : graph.nodes) {
    std::for_each(node.outputs.begin(), node.outputs.end(), add);
  }
}

void GraphWriter::write_contents(const Graph& graph, const Names& names, onnx::GraphProto& to) {
  for (const auto& [id, init] : graph.initializers) {
    note_type(graph.value(id).type);
    *to.add_initializer() = write_tensor(init.value, names.at(id));
  }
  for (const Node& node : graph.nodes) write_node(graph, node, names, *to.add_node());
}

// The newest version that the domain has of the operator. Version 5 of ai.onnx.ml gave two up.
static int newest_version(const OpSpec& spec) {
  if (spec.since.empty()) return 1;
  const bool given_up = spec.domain == "ai.onnx.ml" && (spec.name == "TreeEnsembleClassifier" ||
                                                        spec.name == "TreeEnsembleRegressor");
  return given_up ? 3 : spec.since.back();
}

void GraphWriter::write_node(const Graph& graph, const Node& node, const Names& names,
                             onnx::NodeProto& to) {
  const OpSpec& spec = node.info->spec;
  if (spec.domain == private_domain) {
    fail(ErrorKind::Unsupported, "{} : the operator is not of the standard; decompose it first",
         describe(graph, node));
  }
  if (!spec.domain.empty()) {
    int& version = domains_.try_emplace(std::string(spec.domain), 1).first->second;
    version = std::max(version, newest_version(spec));
  }
  to.set_op_type(std::string(spec.name));
  if (!spec.domain.empty()) to.set_domain(std::string(spec.domain));
  if (!node.name.empty()) to.set_name(node.name);
  auto name_of = [&](ValueId id) { return id == no_value ? std::string() : names.at(id); };
  for (size_t i = 0; i < node.formal_inputs(); ++i) to.add_input(name_of(node.inputs[i]));
  for (ValueId id : node.outputs) {
    to.add_output(name_of(id));
    if (id != no_value) note_type(graph.value(id).type);
  }
  Attributes attributes = attributes_of(node);
  for (const auto& [name, value] : attributes) *to.add_attribute() = write_attribute(name, value);
  for (size_t k = 0; k < node.bodies.size(); ++k) {
    onnx::AttributeProto* attribute = to.add_attribute();
    attribute->set_name(std::string(spec.bodies[k]));
    attribute->set_type(onnx::AttributeProto::GRAPH);
    write_body(node.bodies[k], node, names, *attribute->mutable_g());
  }
  int opset = oldest_opset(graph, node, attributes);
  if (opset > opset_) {
    opset_ = opset;
    needs_opset_ = describe(graph, node);
  }
}

void GraphWriter::write_body(const Graph& body, const Node& node, const Names& outer,
                             onnx::GraphProto& to) {
  Names names;
  size_t captures = static_cast<size_t>(node.captures);
  size_t formal = body.inputs.size() - captures;
  for (size_t i = 0; i < captures; ++i) {
    names[body.inputs[formal + i]] = outer.at(node.inputs[node.formal_inputs() + i]);
  }
  name_values(body, names);
  to.set_name(body.name.empty() ? fresh("body") : body.name);
  for (size_t i = 0; i < formal; ++i) {
    write_value(body, body.inputs[i], names.at(body.inputs[i]), *to.add_input());
  }
  write_contents(body, names, to);
  // Runtimes want each output of a subgraph to be one value that a node of it made.
  std::unordered_set<ValueId> produced = produced_values(body);
  for (ValueId id : body.outputs) {
    std::string name = names.at(id);
    if (produced.erase(id) == 0) {
      std::string copy = fresh(name);
      write_identity(name, copy, to);
      name = copy;
    }
    write_value(body, id, name, *to.add_output());
  }
}

void GraphWriter::write_value(const Graph& graph, ValueId id, const std::string& name,
                              onnx::ValueInfoProto& to) {
  const Value& value = graph.value(id);
  to.set_name(name);
  if (value.type.is_known()) *to.mutable_type() = write_type(value.type);
  write_metadata(to, value_info_metadata, value.metadata);
  note_type(value.type);
}

void GraphWriter::write_identity(const std::string& name, const std::string& copy,
                                 onnx::GraphProto& to) {
  onnx::NodeProto* node = to.add_node();
  node->set_op_type("Identity");
  node->add_input(name);
  node->add_output(copy);
}

void GraphWriter::note_type(const Type& type) {
  if (type.is_tensor() && type.dtype != DType::Undefined) dtypes_ = dtypes_ | DTypeSet(type.dtype);
  if (type.element) note_type(*type.element);
}

}  // namespace onnxrun
