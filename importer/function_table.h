// The functions of a model and the opsets that models and functions import.
#pragma once

#include <onnx/onnx_pb.h>

#include <deque>
#include <map>
#include <string>
#include <tuple>

#include "graph/registry.h"

namespace onnxrun {

// Versions by domain; "ai.onnx" is "".
using Opsets = std::map<std::string, int64_t>;

std::string normalized_domain(const std::string& domain);

// Throws BadModel if a domain is imported in two versions.
Opsets read_opsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports);

// The version in which `opsets` import `domain`. Throws BadModel if they do not, Unsupported if it
// is newer than this build knows.
int64_t checked_opset(const Opsets& opsets, const std::string& domain);

struct Function {
  const onnx::FunctionProto* proto = nullptr;
  int index = 0;  // in ModelProto.functions
  Opsets opsets;
  // Attributes with default values, in the order of FunctionProto.attribute_proto.
  std::deque<onnx::AttributeProto> defaults;

  bool declares(const std::string& attribute) const;
  std::string qualified_name() const;
};

class FunctionTable {
 public:
  explicit FunctionTable(const onnx::ModelProto& model);

  // Null if there is none.
  const Function* find(const onnx::NodeProto& node) const;

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // domain, name, overload
  std::map<Key, Function> functions_;
};

}  // namespace onnxrun
