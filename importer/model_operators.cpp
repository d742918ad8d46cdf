#include "model_operators.h"

#include <onnx/onnx_pb.h>

#include <map>
#include <set>
#include <tuple>

#include "base/error.h"
#include "function_table.h"
#include "input_file.h"

namespace onnxrun {

namespace {

// Bodies nest no deeper than protobuf parses.
class Counter {
 public:
  explicit Counter(const onnx::ModelProto& model) {
    for (const auto& f : model.functions())
      functions_.emplace(normalized_domain(f.domain()), f.name());
  }

  template <typename Nodes>
  void count(const Nodes& nodes, const Opsets& opsets) {
    for (const onnx::NodeProto& node : nodes) {
      std::string domain = normalized_domain(node.domain());
      if (!functions_.count({domain, node.op_type()})) {
        auto opset = opsets.find(domain);
        ++uses_[{domain, node.op_type(), opset == opsets.end() ? 0 : opset->second}];
      }
      for (const auto& a : node.attribute()) {
        if (a.has_g()) count(a.g().node(), opsets);
        for (const auto& g : a.graphs()) count(g.node(), opsets);
      }
    }
  }

  std::vector<OperatorUse> uses() const {
    std::vector<OperatorUse> list;
    for (const auto& [key, count] : uses_) {
      list.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), count});
    }
    return list;
  }

 private:
  std::set<std::pair<std::string, std::string>> functions_;
  std::map<std::tuple<std::string, std::string, int64_t>, int64_t> uses_;
};

}  // namespace

std::vector<OperatorUse> operators_of(const std::string& path) {
  std::string bytes = read_input_file(path, ErrorKind::BadModel);
  try {
    return operators_of_bytes(bytes);
  } catch (const Error& e) {
    throw e.in_file(path);
  }
}

std::vector<OperatorUse> operators_of_bytes(const std::string& bytes) {
  silence_protobuf();
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes) || !model.has_graph()) {
    fail(ErrorKind::BadModel, "no ONNX model, or damaged");
  }
  Counter counter(model);
  counter.count(model.graph().node(), read_opsets(model.opset_import()));
  for (const auto& f : model.functions()) {
    Opsets opsets = read_opsets(f.opset_import());
    counter.count(f.node(), opsets.empty() ? read_opsets(model.opset_import()) : opsets);
  }
  return counter.uses();
}

}  // namespace onnxrun
