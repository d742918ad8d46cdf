#include "graph_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <unordered_set>

#include "base/error.h"
#include "input_file.h"
#include "model_message.h"
#include "node_order.h"
#include "proto_fields.h"
#include "type_reader.h"

namespace onnxrun {

namespace {

void keep_metadata(Value& value, const google::protobuf::Message& message, int field) {
  value.metadata.merge(read_metadata(message, field));
}

void collect_declared(const onnx::GraphProto& proto, Scope& scope) {
  for (const auto& info : proto.value_info()) scope.declared.emplace(info.name(), &info);
  for (const auto& info : proto.output()) scope.declared[info.name()] = &info;
}

std::unordered_set<std::string> initializer_names(const onnx::GraphProto& proto) {
  std::unordered_set<std::string> names;
  for (const auto& t : proto.initializer()) names.insert(t.name());
  for (const auto& t : proto.sparse_initializer()) names.insert(t.values().name());
  return names;
}

// Nodes that fit the memory limit; a small model may always be read.
int64_t node_limit(const ImportOptions& options) {
  // A node takes this with its values, in the graph and in what is made of it.
  constexpr int64_t few = 10'000, bytes_of_a_node = 3072;
  int64_t fit = memory_limit(options.max_memory) / bytes_of_a_node;
  return std::min(options.max_nodes, std::max(few, fit));
}

}  // namespace

GraphReader::GraphReader(const onnx::ModelProto& model, const OpRegistry& registry,
                         const ImportOptions& options, TensorDecoder decoder, const ModelFile* file,
                         ModelSource& source, Findings* findings)
    : model_(model),
      registry_(registry),
      options_(options),
      decoder_(decoder),
      file_(file),
      source_(source),
      findings_(findings),
      functions_(model),
      opsets_(read_opsets(model.opset_import())),
      main_(registry, nullptr),
      max_nodes_(node_limit(options)),
      nodes_left_(max_nodes_) {}

Graph GraphReader::read() {
  Scope scope(main_, nullptr, opsets_);
  read_main(model_.graph(), scope, {{onnx::ModelProto::kGraphFieldNumber, 0}});
  return std::move(main_.graph);
}

Graph GraphReader::read_step(int index) {
  using Info = onnx::TrainingInfoProto;
  Scope scope(main_, nullptr, opsets_);
  read_main(model_.graph(), scope, {{onnx::ModelProto::kGraphFieldNumber, 0}});
  read_main(
      model_.training_info(index).algorithm(), scope,
      {{onnx::ModelProto::kTrainingInfoFieldNumber, index}, {Info::kAlgorithmFieldNumber, 0}});
  return std::move(main_.graph);
}

Graph GraphReader::read_initialization(int index) {
  using Info = onnx::TrainingInfoProto;
  Scope scope(main_, nullptr, opsets_);
  read_main(
      model_.training_info(index).initialization(), scope,
      {{onnx::ModelProto::kTrainingInfoFieldNumber, index}, {Info::kInitializationFieldNumber, 0}});
  return std::move(main_.graph);
}

void GraphReader::read_main(const onnx::GraphProto& proto, Scope& scope, const Path& path) {
  if (main_.graph.name.empty()) main_.graph.name = proto.name();
  collect_declared(proto, scope);
  scope.nodes = &proto.node();
  read_initializers(proto, scope, path);
  read_main_inputs(proto, scope);
  read_contents(proto, scope, path);
}

std::string GraphReader::raised() const {
  std::string text;
  for (const auto& [from, count] : raised_) {
    text += fmt::format("{}{} {} from version {}", text.empty() ? "" : ", ", count, from.first,
                        from.second);
  }
  return text;
}

void GraphReader::read_initializers(const onnx::GraphProto& proto, Scope& scope, const Path& path) {
  auto place = [&](const std::string& name, const auto& tensor, int field, int i) {
    bool placed = attempt([&] {
      if (name.empty()) fail(ErrorKind::BadModel, "an initializer has no name");
      Payload payload = payload_of(tensor, path + std::pair(field, i));
      scope.define(name, place_constant(scope, name, payload));
    });
    if (!placed) stand_in(scope, name);
  };
  for (int i = 0; i < proto.initializer_size(); ++i) {
    const onnx::TensorProto& tensor = proto.initializer(i);
    place(tensor.name(), tensor, onnx::GraphProto::kInitializerFieldNumber, i);
  }
  for (int i = 0; i < proto.sparse_initializer_size(); ++i) {
    const onnx::SparseTensorProto& tensor = proto.sparse_initializer(i);
    place(tensor.values().name(), tensor, onnx::GraphProto::kSparseInitializerFieldNumber, i);
  }
}

void GraphReader::read_main_inputs(const onnx::GraphProto& proto, Scope& scope) {
  auto initialized = initializer_names(proto);
  std::unordered_set<std::string> seen;
  Graph& graph = main_.graph;
  auto read_input = [&](const onnx::ValueInfoProto& info) {
    if (info.name().empty()) fail(ErrorKind::BadModel, "a graph input has no name");
    if (!seen.insert(info.name()).second) {
      fail(ErrorKind::BadModel, "graph input '{}' is listed twice", info.name());
    }
    if (initialized.count(info.name())) {
      make_overridable(info, scope.lookup(info.name()));
      return;
    }
    Type type = read_type(info);
    if (!type.is_known() || (type.is_tensor() && type.dtype == DType::Undefined)) {
      fail(ErrorKind::BadModel, "graph input '{}' has no type", info.name());
    }
    main_.claim(info.name());
    ValueId id = graph.add_input(info.name(), std::move(type));
    keep_metadata(graph.value(id), info, onnx_field::value_info_metadata);
    main_.fix(id);
    scope.define(info.name(), id);
  };
  for (const auto& info : proto.input()) {
    if (!attempt([&] { read_input(info); })) stand_in(scope, info.name());
  }
}

void GraphReader::make_overridable(const onnx::ValueInfoProto& info, ValueId id) {
  Graph& graph = main_.graph;
  Value& value = graph.value(id);
  Type declared = read_type(info);
  if (!compatible(value.type, declared)) {
    fail(ErrorKind::BadModel, "'{}' is {} as initializer, but {} as graph input", info.name(),
         value.type.to_string(), declared.to_string());
  }
  keep_metadata(value, info, onnx_field::value_info_metadata);
  if (source_.ir_version < first_ir_without_listed_initializers) return;
  if (declared.is_known()) {
    value.type = Type::tensor(value.type.dtype, declared.shape);
  }
  // A caller may replace the elements, so nothing may be concluded from them.
  value.content.reset();
  graph.overridable.push_back(id);
}

std::unique_ptr<Frame> GraphReader::read_body(const BoundAttribute& attribute, Frame& around,
                                              int depth, const std::string& owner,
                                              const std::vector<Type>& formal) {
  const onnx::GraphProto& proto = attribute.proto->g();
  auto frame = std::make_unique<Frame>(registry_, &around);
  frame->graph.name = proto.name();
  Scope scope(*frame, attribute.scope, attribute.scope->opsets);
  scope.attributes = attribute.scope->attributes;
  scope.hoist_prefix = attribute.scope->hoist_prefix + owner + "/";
  scope.depth = depth;
  enter(scope.depth);
  collect_declared(proto, scope);
  scope.nodes = &proto.node();
  Path path = attribute.path + std::pair(onnx::AttributeProto::kGFieldNumber, 0);

  auto initialized = initializer_names(proto);
  size_t position = 0;
  for (const auto& info : proto.input()) {
    if (initialized.count(info.name())) continue;
    Type type = read_type(info);
    if (position < formal.size()) type = refine(type, formal[position]);
    ++position;
    std::string name = scope.own_name(info.name());
    ValueId id = frame->graph.add_input(name, std::move(type));
    frame->fix(id);
    scope.define(info.name(), id);
  }
  read_initializers(proto, scope, path);
  read_contents(proto, scope, path);
  return frame;
}

void GraphReader::read_contents(const onnx::GraphProto& proto, Scope& scope, const Path& path) {
  for (int i : order_of(proto.node())) {
    read_or_note(proto.node(i), scope, path + std::pair(onnx::GraphProto::kNodeFieldNumber, i));
  }
  Graph& graph = scope.frame.graph;
  std::unordered_set<std::string> seen;
  auto read_output = [&](const onnx::ValueInfoProto& info) {
    const bool again = !seen.insert(info.name()).second;
    // Callers know the model's outputs by name, a node those of its bodies by position.
    if (again && &scope.frame == &main_) {
      return warn("output-listed-twice", "graph output '" + info.name() + "' is listed twice");
    }
    ValueId id = no_value;
    try {
      id = scope.lookup(info.name());
    } catch (const Error& e) {
      throw e.in("graph output '" + info.name() + "'");
    }
    if (id == no_value) fail(ErrorKind::BadModel, "a graph output has no name");
    if (again) id = GraphBuilder(graph, info.name() + "/").add("Identity", {id});
    graph.outputs.push_back(id);
  };
  for (const auto& info : proto.output()) {
    attempt([&] { read_output(info); });
  }
  for (const auto& [name, info] : scope.declared) {
    if (!scope.defines(name)) continue;
    Value& value = scope.frame.graph.value(scope.lookup(name));
    keep_metadata(value, *info, onnx_field::value_info_metadata);
  }
}

std::vector<int> GraphReader::order_of(
    const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes) {
  std::vector<int> order = reading_order(nodes);
  auto moved = std::adjacent_find(order.begin(), order.end(), std::greater<>());
  if (moved != order.end()) {
    const onnx::NodeProto& early = nodes[*moved];
    warn("node-order", fmt::format("nodes do not stand in topological order: '{}' comes after what "
                                   "reads it",
                                   early.output_size() > 0 ? early.output(0) : early.name()));
  }
  return order;
}

void GraphReader::enter(int depth) const {
  if (depth > options_.max_depth) {
    fail(ErrorKind::Limit, "subgraphs and function calls are nested more than {} deep",
         options_.max_depth);
  }
}

}  // namespace onnxrun
