#include "function_table.h"

#include <algorithm>

#include "base/error.h"
#include "proto_fields.h"

namespace onnxrun {

std::string normalized_domain(const std::string& domain) {
  return domain == "ai.onnx" ? std::string() : domain;
}

Opsets read_opsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports) {
  Opsets opsets;
  for (const auto& import : imports) {
    auto [it, first] = opsets.emplace(normalized_domain(import.domain()), import.version());
    if (!first && it->second != import.version()) {
      fail(ErrorKind::BadModel, "domain '{}' is imported in versions {} and {}", import.domain(),
           it->second, import.version());
    }
  }
  return opsets;
}

static int64_t newest_known(const std::string& domain) {
  if (domain.empty()) return current_opset;
  if (domain == "ai.onnx.ml") return current_ml_opset;
  return domain.starts_with("ai.onnx.preview") ? 1 : INT64_MAX;
}

int64_t checked_opset(const Opsets& opsets, const std::string& domain) {
  auto it = opsets.find(domain);
  std::string shown = domain.empty() ? "ai.onnx" : domain;
  if (it == opsets.end()) {
    fail(ErrorKind::BadModel, "operators of domain '{}' are used, but no opset of it is imported",
         shown);
  }
  if (it->second < 1) fail(ErrorKind::BadModel, "opset {} of '{}' is imported", it->second, shown);
  if (it->second > newest_known(domain)) {
    fail(ErrorKind::Unsupported, "opset {} of '{}' is imported, the newest known is {}", it->second,
         shown, newest_known(domain));
  }
  return it->second;
}

bool Function::declares(const std::string& attribute) const {
  auto has_name = [&](const onnx::AttributeProto& a) { return a.name() == attribute; };
  const auto& required = proto->attribute();
  return std::find(required.begin(), required.end(), attribute) != required.end() ||
         std::any_of(defaults.begin(), defaults.end(), has_name);
}

std::string Function::qualified_name() const {
  return proto->domain().empty() ? proto->name() : proto->domain() + "." + proto->name();
}

FunctionTable::FunctionTable(const onnx::ModelProto& model) {
  Opsets of_model = read_opsets(model.opset_import());
  for (int i = 0; i < model.functions_size(); ++i) {
    const onnx::FunctionProto& proto = model.functions(i);
    Function f;
    f.proto = &proto;
    f.index = i;
    f.opsets = read_opsets(proto.opset_import());
    // Early writers leave the imports of a function to the model.
    f.opsets.insert(of_model.begin(), of_model.end());
    for (const std::string& bytes : read_bytes_field(proto, onnx_field::function_attribute_proto)) {
      if (!f.defaults.emplace_back().ParseFromString(bytes)) {
        fail(ErrorKind::BadModel, "a default attribute of function '{}' is damaged", proto.name());
      }
    }
    Key key{normalized_domain(proto.domain()), proto.name(),
            read_string_field(proto, onnx_field::function_overload)};
    if (!functions_.emplace(std::move(key), std::move(f)).second) {
      fail(ErrorKind::BadModel, "function '{}' of domain '{}' is defined twice", proto.name(),
           proto.domain());
    }
  }
}

const Function* FunctionTable::find(const onnx::NodeProto& node) const {
  if (functions_.empty()) return nullptr;
  auto it = functions_.find({normalized_domain(node.domain()), node.op_type(),
                             read_string_field(node, onnx_field::node_overload)});
  return it == functions_.end() ? nullptr : &it->second;
}

}  // namespace onnxrun
