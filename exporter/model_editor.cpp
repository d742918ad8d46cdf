#include "model_editor.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "proto_writer.h"
#include "tensor/tensor.h"

namespace onnxrun {

namespace {

using onnx::GraphProto;
using onnx::NodeProto;
using onnx::TypeProto;
using onnx::ValueInfoProto;
using Names = std::set<std::string>;

template <typename Visit>
void visit_bodies(NodeProto& node, const Visit& visit) {
  for (onnx::AttributeProto& a : *node.mutable_attribute()) {
    if (a.has_g()) visit(*a.mutable_g());
    for (GraphProto& g : *a.mutable_graphs()) visit(g);
  }
}

// Calls visit(name) for every name of a value that stands in the graph, bodies included.
template <typename Visit>
void visit_value_names(GraphProto& graph, const Visit& visit) {
  for (ValueInfoProto& v : *graph.mutable_input()) visit(*v.mutable_name());
  for (ValueInfoProto& v : *graph.mutable_output()) visit(*v.mutable_name());
  for (ValueInfoProto& v : *graph.mutable_value_info()) visit(*v.mutable_name());
  for (onnx::TensorProto& t : *graph.mutable_initializer()) visit(*t.mutable_name());
  for (auto& t : *graph.mutable_sparse_initializer()) {
    visit(*t.mutable_values()->mutable_name());
  }
  for (auto& q : *graph.mutable_quantization_annotation()) {
    if (q.has_tensor_name()) visit(*q.mutable_tensor_name());
  }
  for (NodeProto& node : *graph.mutable_node()) {
    for (std::string& name : *node.mutable_input()) visit(name);
    for (std::string& name : *node.mutable_output()) visit(name);
    visit_bodies(node, [&](GraphProto& body) { visit_value_names(body, visit); });
  }
}

// What a node reads, its bodies included.
void collect_reads(NodeProto& node, Names& reads) {
  reads.insert(node.input().begin(), node.input().end());
  visit_bodies(node, [&](GraphProto& body) {
    for (NodeProto& inner : *body.mutable_node()) collect_reads(inner, reads);
    for (const ValueInfoProto& out : body.output()) reads.insert(out.name());
  });
}

template <typename Visit>
void visit_type(TypeProto& type, const Visit& visit) {
  if (type.has_tensor_type()) {
    for (auto& dim : *type.mutable_tensor_type()->mutable_shape()->mutable_dim()) visit(dim);
  } else if (type.has_sequence_type()) {
    visit_type(*type.mutable_sequence_type()->mutable_elem_type(), visit);
  } else if (type.has_optional_type()) {
    visit_type(*type.mutable_optional_type()->mutable_elem_type(), visit);
  }
}

bool has_shape(const ValueInfoProto& value) {
  const TypeProto& type = value.type();
  return type.has_tensor_type() ? type.tensor_type().has_shape() : value.has_type();
}

template <typename Visit>
void visit_dims(GraphProto& graph, const Visit& visit) {
  auto all = [&](auto& values) {
    for (ValueInfoProto& v : values) {
      if (has_shape(v)) visit_type(*v.mutable_type(), visit);
    }
  };
  all(*graph.mutable_input());
  all(*graph.mutable_output());
  all(*graph.mutable_value_info());
  for (NodeProto& node : *graph.mutable_node()) {
    visit_bodies(node, [&](GraphProto& body) { visit_dims(body, visit); });
  }
}

void set_length(onnx::TensorShapeProto::Dimension& dim, const std::string& length) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), number);
  if (error == std::errc() && end == length.data() + length.size()) {
    if (number < 0) fail(ErrorKind::BadInput, "a length is at least 0, not {}", length);
    dim.set_dim_value(number);
  } else {
    dim.set_dim_param(length);
  }
}

std::string list(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text.empty() ? "none" : text;
}

Names names_of(const google::protobuf::RepeatedPtrField<ValueInfoProto>& values) {
  Names names;
  for (const ValueInfoProto& v : values) names.insert(v.name());
  return names;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

template <typename Field, typename Keep>
void keep_if(Field& field, const Keep& keep) {
  field.erase(std::remove_if(field.begin(), field.end(), [&](auto& m) { return !keep(m); }),
              field.end());
}

}  // namespace

struct ModelEditor::Impl {
  onnx::ModelProto model;

  GraphProto& graph() { return *model.mutable_graph(); }

  Names value_names() {
    Names names;
    visit_value_names(graph(), [&](const std::string& name) { names.insert(name); });
    names.erase("");
    return names;
  }

  void expect_value(const Names& there, const std::string& name) {
    if (there.count(name)) return;
    fail(ErrorKind::BadInput, "there is no value '{}'", name);
  }

  bool rename_node(const std::string& name, const std::string& new_name) {
    for (NodeProto& node : *graph().mutable_node()) {
      if (node.name() != name) continue;
      node.set_name(new_name);
      return true;
    }
    return false;
  }

  // Takes over the declaration of a value, or its type from inference.
  ValueInfoProto info_of(const std::string& name, const ModelEditor::Impl& before,
                         const std::function<Type(const std::string&)>& type_of) const {
    const GraphProto& g = before.model.graph();
    for (const auto* field : {&g.input(), &g.output(), &g.value_info()}) {
      for (const ValueInfoProto& v : *field) {
        if (v.name() == name && v.has_type()) return v;
      }
    }
    ValueInfoProto info;
    info.set_name(name);
    Type type = type_of(name);
    if (type.is_known()) *info.mutable_type() = write_type(type);
    return info;
  }

  // Removes what the outputs do not need; gives the names that are read and that no node produces.
  Names cut(const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) {
    Names wanted(outputs.begin(), outputs.end());
    std::vector<NodeProto*> kept;
    auto& nodes = *graph().mutable_node();
    std::set<const NodeProto*> live;
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
      bool needed =
          std::any_of(node->output().begin(), node->output().end(), [&](const std::string& o) {
            return !o.empty() && wanted.count(o) && !contains(inputs, o);
          });
      if (!needed) continue;
      live.insert(&*node);
      collect_reads(*node, wanted);
    }
    // Another output of a node that stays would give a value that is an input now.
    int unused = 0;
    Names produced;
    keep_if(nodes, [&](const NodeProto& node) { return live.count(&node) > 0; });
    for (NodeProto& node : nodes) {
      for (std::string& o : *node.mutable_output()) {
        if (contains(inputs, o)) o += "::unused" + std::to_string(unused++);
        produced.insert(o);
      }
    }
    for (const std::string& name : produced) wanted.erase(name);
    return wanted;
  }
};

ModelEditor::ModelEditor(const std::string& model) : impl_(std::make_unique<Impl>()) {
  if (!impl_->model.ParseFromString(model)) fail(ErrorKind::BadModel, "the model is damaged");
}

ModelEditor::~ModelEditor() = default;

void ModelEditor::rename(const std::string& name, const std::string& new_name) {
  if (new_name.empty()) fail(ErrorKind::Usage, "'{}' cannot be renamed to nothing", name);
  Names there = impl_->value_names();
  if (!there.count(name)) {
    if (impl_->rename_node(name, new_name)) return;
    fail(ErrorKind::BadInput, "there is no value and no node '{}'", name);
  }
  if (there.count(new_name)) fail(ErrorKind::Usage, "there is a value '{}' already", new_name);
  visit_value_names(impl_->graph(), [&](std::string& n) {
    if (n == name) n = new_name;
  });
}

void ModelEditor::extract(const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs,
                          const std::function<Type(const std::string&)>& type_of) {
  Names there = impl_->value_names();
  for (const std::string& name : inputs) impl_->expect_value(there, name);
  for (const std::string& name : outputs) impl_->expect_value(there, name);
  Impl before;
  before.model = impl_->model;
  GraphProto& graph = impl_->graph();
  std::vector<std::string> new_outputs = outputs;
  if (outputs.empty()) {
    for (const ValueInfoProto& v : graph.output()) new_outputs.push_back(v.name());
  }
  Names free = impl_->cut(inputs, new_outputs);
  auto is_free = [&](const auto& t) { return free.count(t.name()) && !contains(inputs, t.name()); };
  keep_if(*graph.mutable_initializer(), is_free);
  keep_if(*graph.mutable_sparse_initializer(), [&](const auto& t) { return is_free(t.values()); });
  Names stored, missing;
  for (const auto& t : graph.initializer()) stored.insert(t.name());
  for (const auto& t : graph.sparse_initializer()) stored.insert(t.values().name());

  Names model_inputs = names_of(graph.input());
  graph.clear_input();
  for (const std::string& name : inputs) *graph.add_input() = impl_->info_of(name, before, type_of);
  for (const ValueInfoProto& v : before.model.graph().input()) {
    if (contains(inputs, v.name()) || !free.count(v.name())) continue;
    if (!inputs.empty() && !stored.count(v.name())) missing.insert(v.name());
    *graph.add_input() = v;
  }
  if (!missing.empty()) {
    fail(ErrorKind::BadInput, "the outputs need inputs that are not extracted: {}", list(missing));
  }
  graph.clear_output();
  for (const std::string& name : new_outputs) {
    *graph.add_output() = impl_->info_of(name, before, type_of);
  }
  Names left;
  for (NodeProto& node : *graph.mutable_node())
    left.insert(node.output().begin(), node.output().end());
  keep_if(*graph.mutable_value_info(), [&](const ValueInfoProto& v) {
    return left.count(v.name()) && !contains(new_outputs, v.name());
  });
}

void ModelEditor::set_dimension(const std::string& dimension, const std::string& length) {
  if (length.empty()) fail(ErrorKind::BadInput, "the length of '{}' is missing", dimension);
  bool found = false;
  Names symbols;
  visit_dims(impl_->graph(), [&](onnx::TensorShapeProto::Dimension& dim) {
    if (!dim.has_dim_param()) return;
    symbols.insert(dim.dim_param());
    if (dim.dim_param() != dimension) return;
    found = true;
    set_length(dim, length);
  });
  if (found) return;
  size_t colon = dimension.rfind(':');
  GraphProto& graph = impl_->graph();
  for (ValueInfoProto& v : *graph.mutable_input()) {
    if (colon == std::string::npos || v.name() != dimension.substr(0, colon)) continue;
    int axis = -1;
    auto [end, error] =
        std::from_chars(dimension.data() + colon + 1, dimension.data() + dimension.size(), axis);
    int rank = v.type().tensor_type().shape().dim_size();
    if (error != std::errc() || end != dimension.data() + dimension.size() || axis < 0 ||
        axis >= rank) {
      fail(ErrorKind::BadInput, "'{}' is no axis of input '{}', which has {}", dimension, v.name(),
           rank);
    }
    set_length(*v.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(axis),
               length);
    graph.clear_value_info();
    for (ValueInfoProto& out : *graph.mutable_output()) {
      if (out.type().has_tensor_type()) out.mutable_type()->mutable_tensor_type()->clear_shape();
    }
    return;
  }
  fail(ErrorKind::BadInput,
       "there is no dimension '{}'; symbolic ones are {}, and INPUT:AXIS names one of an input",
       dimension, list(symbols));
}

void ModelEditor::declare(const Graph& graph) {
  auto declare_all = [&](auto& values) {
    for (ValueInfoProto& v : values) {
      ValueId id = graph.find(v.name());
      if (id == no_value || !graph.value(id).type.is_known()) continue;
      *v.mutable_type() = write_type(graph.value(id).type);
    }
  };
  declare_all(*impl_->graph().mutable_output());
  declare_all(*impl_->graph().mutable_value_info());
}

namespace {

// Everything in a node that reads a value of the graph around it, a body's outputs included.
void rename_reads(NodeProto& node, const std::string& name, const std::string& new_name) {
  for (std::string& input : *node.mutable_input()) {
    if (input == name) input = new_name;
  }
  visit_bodies(node, [&](GraphProto& body) {
    if (names_of(body.input()).count(name)) return;
    for (NodeProto& inner : *body.mutable_node()) rename_reads(inner, name, new_name);
    for (ValueInfoProto& out : *body.mutable_output()) {
      if (out.name() == name) out.set_name(new_name);
    }
  });
}

// Nodes that compute one value from another, step by step.
class Chain {
 public:
  Chain(GraphProto& graph, Names names, std::string input)
      : graph_(graph), names_(std::move(names)), input_(input), last_(std::move(input)) {}

  const std::string& last() const { return last_; }

  void cast(DType to) {
    NodeProto& node = add("Cast", {last_});
    *node.add_attribute() = write_attribute("to", static_cast<int64_t>(to));
    last_ = node.output(0);
  }

  void compute(const char* op, const Tensor& operand, const char* what) {
    NodeProto& constant = add("Constant", {}, what);
    onnx::AttributeProto& value = *constant.add_attribute();
    value.set_name("value");
    value.set_type(onnx::AttributeProto::TENSOR);
    *value.mutable_t() = write_tensor(operand);
    last_ = add(op, {last_, constant.output(0)}).output(0);
  }

  // The nodes, in front of all others.
  void finish() {
    auto& nodes = *graph_.mutable_node();
    int old = nodes.size();
    for (const NodeProto& node : nodes_) *nodes.Add() = node;
    std::rotate(nodes.pointer_begin(), nodes.pointer_begin() + old, nodes.pointer_end());
  }

 private:
  NodeProto& add(const char* op, std::initializer_list<std::string> inputs, const char* what = "") {
    std::string base = input_ + "/prepared/" + (*what ? what : op), name = base;
    for (int k = 2; !names_.insert(name).second; ++k) name = base + std::to_string(k);
    NodeProto& node = nodes_.emplace_back();
    node.set_op_type(op);
    node.set_name(name);
    node.add_output(name);
    for (const std::string& input : inputs) node.add_input(input);
    return node;
  }

  GraphProto& graph_;
  Names names_;
  std::string input_, last_;
  std::deque<NodeProto> nodes_;
};

}  // namespace

void ModelEditor::prepare_input(const std::string& name, double scale, const Tensor& mean,
                                const Tensor& deviation) {
  GraphProto& graph = impl_->graph();
  auto it = std::find_if(graph.input().begin(), graph.input().end(),
                         [&](const ValueInfoProto& v) { return v.name() == name; });
  if (it == graph.input().end()) fail(ErrorKind::BadInput, "there is no input '{}'", name);
  auto dtype = static_cast<DType>(it->type().tensor_type().elem_type());
  if (!it->type().has_tensor_type() || !is_float(dtype) || bits_of(dtype) < 16) {
    fail(ErrorKind::Unsupported, "input '{}' is no tensor of floats, so nothing is computed of it",
         name);
  }
  for (const auto& opset : impl_->model.opset_import()) {
    if (!opset.domain().empty() && opset.domain() != "ai.onnx") continue;
    if (opset.version() >= 7) continue;
    fail(ErrorKind::Unsupported, "opset {} does not broadcast; 7 does (convert --opset)",
         opset.version());
  }
  if (names_of(graph.output()).count(name)) {
    fail(ErrorKind::Unsupported, "input '{}' is an output, too, so it stays what it is", name);
  }
  DType computed = dtype == DType::Float64 ? dtype : DType::Float32;
  Chain chain(graph, impl_->value_names(), name);
  if (computed != dtype) chain.cast(computed);
  if (scale != 1) chain.compute("Mul", convert(Tensor::scalar(scale), computed), "scale");
  if (mean.defined()) {
    chain.compute("Sub", convert(mean, computed), "mean");
    chain.compute("Div", convert(deviation, computed), "deviation");
  }
  if (computed != dtype) chain.cast(dtype);
  for (NodeProto& node : *graph.mutable_node()) rename_reads(node, name, chain.last());
  chain.finish();
}

void ModelEditor::set_metadata(const std::string& key, const std::string& value) {
  auto& entries = *impl_->model.mutable_metadata_props();
  keep_if(entries, [&](const auto& entry) { return entry.key() != key; });
  if (value.empty()) return;
  auto& entry = *entries.Add();
  entry.set_key(key);
  entry.set_value(value);
}

void ModelEditor::describe_as(const ModelEditor& other) {
  const onnx::ModelProto& from = other.impl_->model;
  onnx::ModelProto& to = impl_->model;
  to.set_producer_name(from.producer_name());
  to.set_producer_version(from.producer_version());
  if (from.has_domain()) to.set_domain(from.domain());
  if (from.has_model_version()) to.set_model_version(from.model_version());
  if (from.has_doc_string()) to.set_doc_string(from.doc_string());
  *to.mutable_metadata_props() = from.metadata_props();
  if (from.graph().has_doc_string()) to.mutable_graph()->set_doc_string(from.graph().doc_string());
}

std::string ModelEditor::bytes() const {
  std::string bytes;
  if (impl_->model.ByteSizeLong() > INT32_MAX || !impl_->model.SerializeToString(&bytes)) {
    fail(ErrorKind::CannotWrite, "the model is larger than the 2 GiB of a protobuf message");
  }
  return bytes;
}

}  // namespace onnxrun
