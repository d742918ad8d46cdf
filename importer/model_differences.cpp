#include "model_differences.h"

#include <google/protobuf/util/message_differencer.h>
#include <onnx/onnx_pb.h>

#include "base/dtype.h"
#include "base/error.h"
#include "input_file.h"

namespace onnxrun {

namespace {

onnx::ModelProto read_model(const std::string& path) {
  silence_protobuf();
  onnx::ModelProto model;
  if (!model.ParseFromString(read_input_file(path, ErrorKind::BadModel))) {
    fail(ErrorKind::BadModel, "{}: no ONNX model, or damaged", path);
  }
  return model;
}

// Removes what does not count from every tensor of a graph.
class Blanker {
 public:
  void blank(onnx::GraphProto& graph, bool main) const {
    for (auto& t : *graph.mutable_initializer()) blank(t, main);
    for (auto& t : *graph.mutable_sparse_initializer()) blank(*t.mutable_values(), main);
    for (auto& node : *graph.mutable_node()) blank(node, main);
  }

  void blank(onnx::NodeProto& node, bool main) const {
    bool constant = node.op_type() == "Constant";
    for (auto& a : *node.mutable_attribute()) {
      if (constant) blank_constant(a, main);
      if (a.has_g()) blank(*a.mutable_g(), false);
      for (auto& g : *a.mutable_graphs()) blank(g, false);
    }
  }

 private:
  static void blank_constant(onnx::AttributeProto& a, bool main) {
    if (a.has_t()) blank(*a.mutable_t(), main);
    if (a.has_sparse_tensor()) blank(*a.mutable_sparse_tensor()->mutable_values(), main);
    if (a.name() == "value_float") a.set_f(0);
    if (a.name() == "value_floats") {
      for (float& f : *a.mutable_floats()) f = 0;
    }
    if (!main) return;
    if (a.name() == "value_int") a.set_i(0);
    if (a.name() == "value_ints") {
      for (int64_t& i : *a.mutable_ints()) i = 0;
    }
  }

  static void blank(onnx::TensorProto& t, bool main) {
    bool number = t.data_type() > 0 && t.data_type() < dtype_count &&
                  is_differentiable(static_cast<DType>(t.data_type()));
    for (auto& entry : *t.mutable_external_data()) {
      if (entry.key() == "location") entry.clear_value();
    }
    if (!main && !number) return;
    t.clear_raw_data();
    t.clear_float_data();
    t.clear_double_data();
    t.clear_int32_data();
    t.clear_int64_data();
    t.clear_uint64_data();
    t.clear_string_data();
  }
};

onnx::ModelProto blanked(const std::string& path) {
  onnx::ModelProto model = read_model(path);
  Blanker blanker;
  if (model.has_graph()) blanker.blank(*model.mutable_graph(), true);
  for (auto& f : *model.mutable_functions()) {
    for (auto& node : *f.mutable_node()) blanker.blank(node, false);
  }
  return model;
}

}  // namespace

std::vector<std::string> differences_beside_elements(const std::string& path_a,
                                                     const std::string& path_b) {
  onnx::ModelProto a = blanked(path_a), b = blanked(path_b);
  std::string report;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&report);
  std::vector<std::string> lines;
  if (differencer.Compare(a, b)) return lines;
  for (size_t begin = 0; begin < report.size();) {
    size_t end = std::min(report.find('\n', begin), report.size());
    if (end > begin) lines.push_back(report.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

}  // namespace onnxrun
