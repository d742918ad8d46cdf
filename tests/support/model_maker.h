// Models made in memory, and a few operators for them: what the importer and the exporter do must
// not depend on which operators there are.
#pragma once

#include <onnx/onnx_pb.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "graph/registry.h"
#include "onnx_importer.h"
#include "support/files.h"
#include "tensor/tensor.h"

namespace onnxrun {

// Add (of up to four inputs, all but the first optional), Mul, Relu, Identity, If, Loop (types of
// outputs are those of the first input or body output); Sum2: opset 1 has an attribute `axes` that
// opset 13 takes as input; Pass: before opset 10 its output is its input; Twice: before opset 10 it
// is written Add(x, x); onnxrun.Private.
const OpRegistry& maker_registry();

class ModelMaker {
 public:
  explicit ModelMaker(int64_t opset = current_opset, int64_t ir_version = 10);

  onnx::ModelProto model;
  onnx::GraphProto& graph() { return *model.mutable_graph(); }
  std::string bytes() const { return model.SerializeAsString(); }

  // All with element type float unless said otherwise; a dimension of "" is unknown.
  void input(const std::string& name, const std::vector<std::string>& dims, int type = 1);
  void output(const std::string& name) { graph().add_output()->set_name(name); }
  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs) {
    return add_node(*graph().mutable_node(), op, inputs, outputs);
  }
  onnx::TensorProto& initializer(const std::string& name, const std::vector<float>& values) {
    return add_initializer(graph(), name, values);
  }

  using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
  static onnx::NodeProto& add_node(Nodes& nodes, const std::string& op,
                                   const std::vector<std::string>& inputs,
                                   const std::vector<std::string>& outputs);
  // A list in raw_data.
  static onnx::TensorProto& add_initializer(onnx::GraphProto& graph, const std::string& name,
                                            const std::vector<float>& values);
  static void fill(onnx::TensorProto& tensor, const std::vector<float>& values);
  static onnx::AttributeProto& attribute(onnx::NodeProto& node, const std::string& name,
                                         onnx::AttributeProto::AttributeType type);
  // A subgraph attribute.
  static onnx::GraphProto& body(onnx::NodeProto& node, const std::string& name);
  onnx::FunctionProto& function(const std::string& name, const std::vector<std::string>& inputs,
                                const std::vector<std::string>& outputs);

  Graph import(const ImportOptions& options = {}) const {
    return import_model_bytes(bytes(), "", maker_registry(), options);
  }
};

// x -> Add(x, w) -> y with an initializer w of two floats.
ModelMaker small_model();

// The bytes of a metadata_props entry or any other length-delimited field that libonnx 1.12 does
// not know.
void add_unknown(google::protobuf::Message& message, int number, const std::string& bytes);

using testing::TempDir;

}  // namespace onnxrun
