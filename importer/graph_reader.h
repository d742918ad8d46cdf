// Reads the graphs of a ModelProto into IR graphs.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "function_table.h"
#include "graph/builder.h"
#include "model_file.h"
#include "onnx_importer.h"
#include "scope.h"
#include "tensor_decoder.h"

namespace onnxrun {

// One import; used once.
class GraphReader {
 public:
  // All arguments must outlive the reader; stored tensors are listed in `source`. `file` has the
  // elements that the message lacks, and is null if it lacks none.
  GraphReader(const onnx::ModelProto& model, const OpRegistry& registry,
              const ImportOptions& options, TensorDecoder decoder, const ModelFile* file,
              ModelSource& source);

  Graph read();

 private:
  // graph_reader.cpp: graphs, their inputs, initializers and outputs.
  void read_contents(const onnx::GraphProto& proto, Scope& scope, const Path& path);
  void read_initializers(const onnx::GraphProto& proto, Scope& scope, const Path& path);
  void read_main_inputs(const onnx::GraphProto& proto, Scope& scope);
  void make_overridable(const onnx::ValueInfoProto& info, ValueId id);
  std::unique_ptr<Frame> read_body(const BoundAttribute& attribute, Frame& around, int depth,
                                   const std::string& owner, const std::vector<Type>& formal);

  // constant_reader.cpp: tensors of the file become initializers.
  struct Payload {
    const void* key = nullptr;  // the message, for constants that are met again
    DType dtype = DType::Undefined;
    Path path;
    std::function<Tensor()> decode;
  };
  Payload payload_of(const onnx::TensorProto& tensor, Path path) const;
  Payload payload_of(const onnx::SparseTensorProto& tensor, Path path) const;
  Payload payload_of(const BoundAttribute& attribute) const;
  ValueId place_constant(Scope& scope, const std::string& name, const Payload& payload);
  void read_constant(const onnx::NodeProto& node, Scope& scope, const Path& path);

  // node_reader.cpp: nodes of operators.
  struct Formed {
    Attributes attributes;
    std::map<std::string, BoundAttribute> bodies;
  };
  void read_node(const onnx::NodeProto& node, Scope& scope, const Path& path);
  void read_operator(const onnx::NodeProto& node, Scope& scope, const Path& path);
  // What the attribute stands for: itself, or what the call around gives to ref_attr_name.
  static std::optional<BoundAttribute> resolve(const onnx::AttributeProto& attribute, Scope& scope,
                                               const Path& path);
  Formed read_attributes_of(const onnx::NodeProto& node, const OpInfo& info, Scope& scope,
                            const Path& path) const;
  void read_bodies(const onnx::NodeProto& node, const OpInfo& info, const Formed& formed,
                   const std::vector<ValueId>& inputs, Scope& scope, NodeOptions& options);
  std::vector<ValueId> add_operator(const onnx::NodeProto& node, const OpInfo& info, int64_t opset,
                                    std::vector<ValueId> inputs, Scope& scope, NodeOptions options);
  void check_size(const Graph& graph) const;  // throws Limit
  // Gives `name` of the scope the meaning `id`. A value made since `first_new` takes the name
  // itself, any other is copied to a value that has it.
  void bind(Scope& scope, const std::string& name, ValueId id, ValueId first_new);
  static void apply_declared_type(const Scope& scope, const std::string& name, ValueId id);
  std::vector<ValueId> lookup_inputs(const onnx::NodeProto& node, const Scope& scope) const;

  // function_inliner.cpp: nodes that call functions of the model.
  void inline_call(const onnx::NodeProto& node, const Function& function, Scope& scope,
                   const Path& path);
  BoundAttributes bind_attributes(const onnx::NodeProto& node, const Function& function,
                                  Scope& scope, const Path& path) const;

  void enter(int depth) const;  // throws Limit if that is too deep

  const onnx::ModelProto& model_;
  const OpRegistry& registry_;
  const ImportOptions& options_;
  TensorDecoder decoder_;
  const ModelFile* file_;
  ModelSource& source_;
  FunctionTable functions_;
  Opsets opsets_;
  Frame main_;
  int64_t max_nodes_;
  int64_t nodes_left_;
  // Constants by frame and message.
  std::map<std::pair<int64_t, const void*>, ValueId> constants_;
  std::vector<const Function*> calls_;  // the functions that are being inlined
};

// "MatMul node '/encoder/q'"; a node without a name goes by its first output.
std::string describe(const onnx::NodeProto& node);

}  // namespace onnxrun
