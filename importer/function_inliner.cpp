#include <algorithm>

#include "base/error.h"
#include "graph_reader.h"
#include "proto_fields.h"

namespace onnxrun {

BoundAttributes GraphReader::bind_attributes(const onnx::NodeProto& node, const Function& function,
                                             Scope& scope, const Path& path) const {
  BoundAttributes bound;
  for (int i = 0; i < node.attribute_size(); ++i) {
    const onnx::AttributeProto& a = node.attribute(i);
    if (!function.declares(a.name())) {
      fail(ErrorKind::Unsupported, "function '{}' has no attribute '{}'", function.qualified_name(),
           a.name());
    }
    auto value = resolve(a, scope, path + std::pair(onnx::NodeProto::kAttributeFieldNumber, i));
    if (value && !bound.emplace(a.name(), *value).second) {
      fail(ErrorKind::BadModel, "attribute '{}' is given twice", a.name());
    }
  }
  for (size_t i = 0; i < function.defaults.size(); ++i) {
    const onnx::AttributeProto& a = function.defaults[i];
    Path at = {{onnx::ModelProto::kFunctionsFieldNumber, function.index},
               {onnx_field::function_attribute_proto, static_cast<int>(i)}};
    bound.emplace(a.name(), BoundAttribute{&a, std::move(at), &scope});
  }
  return bound;
}

void GraphReader::inline_call(const onnx::NodeProto& node, const Function& function, Scope& scope,
                              const Path& path) {
  const onnx::FunctionProto& proto = *function.proto;
  auto first_new = static_cast<ValueId>(scope.frame.graph.value_count());
  Scope inner(scope.frame, nullptr, function.opsets);
  BoundAttributes attributes;
  try {
    if (std::find(calls_.begin(), calls_.end(), &function) != calls_.end()) {
      fail(ErrorKind::BadModel, "function '{}' calls itself", function.qualified_name());
    }
    inner.depth = scope.depth + 1;
    enter(inner.depth);
    if (node.input_size() > proto.input_size() || node.output_size() > proto.output_size()) {
      fail(ErrorKind::BadModel, "function '{}' has {} inputs and {} outputs, the call {} and {}",
           function.qualified_name(), proto.input_size(), proto.output_size(), node.input_size(),
           node.output_size());
    }
    for (int i = 0; i < proto.input_size(); ++i) {
      inner.define(proto.input(i), i < node.input_size() ? scope.lookup(node.input(i)) : no_value);
    }
    attributes = bind_attributes(node, function, scope, path);
  } catch (const Error& e) {
    throw e.in(frame_of(node));
  }
  std::string caller = node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name();
  inner.prefix = scope.prefix + (caller.empty() ? proto.name() : caller) + "/";
  inner.hoist_prefix = function.qualified_name() + "/";
  inner.attributes = &attributes;
  inner.nodes = &proto.node();

  calls_.push_back(&function);
  around_.push_back({ErrorFrame::Kind::Place, "function '" + function.qualified_name() + "'", ""});
  for (int i : order_of(proto.node())) {
    read_or_note(proto.node(i), inner,
                 {{onnx::ModelProto::kFunctionsFieldNumber, function.index},
                  {onnx::FunctionProto::kNodeFieldNumber, i}});
  }
  around_.pop_back();
  calls_.pop_back();
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    ValueId id = no_value;
    try {
      id = inner.lookup(proto.output(i));
    } catch (const Error& e) {
      throw e.in(frame_of(node));
    }
    if (id == no_value) {
      throw Error(ErrorKind::BadModel,
                  fmt::format("output '{}' is an input that the call leaves out", node.output(i)))
          .in(frame_of(node));
    }
    bind(scope, node.output(i), id, first_new);
  }
}

}  // namespace onnxrun
