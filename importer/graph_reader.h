// Reads the graphs of a ModelProto into IR graphs.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "findings.h"
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
  // elements that the message lacks, and is null if it lacks none. With `findings`, errors are
  // noted there and reading goes on without what they are about; the graph is of use only if there
  // are none.
  GraphReader(const onnx::ModelProto& model, const OpRegistry& registry,
              const ImportOptions& options, TensorDecoder decoder, const ModelFile* file,
              ModelSource& source, Findings* findings = nullptr);

  Graph read();
  // "2 Upsample from version 9, ...": the nodes whose operators have newer versions, and were
  // raised to these. "" if there was none.
  std::string raised() const;
  // In place of read(): the main graph and the algorithm of training_info(index) as one, or what
  // that training begins with.
  Graph read_step(int index);
  Graph read_initialization(int index);

 private:
  // graph_reader.cpp: graphs, their inputs, initializers and outputs.
  void read_main(const onnx::GraphProto& proto, Scope& scope, const Path& path);
  void read_contents(const onnx::GraphProto& proto, Scope& scope, const Path& path);
  // reading_order(), and a warning if that is not the file's.
  std::vector<int> order_of(const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes);
  void read_initializers(const onnx::GraphProto& proto, Scope& scope, const Path& path);
  void read_main_inputs(const onnx::GraphProto& proto, Scope& scope);
  void make_overridable(const onnx::ValueInfoProto& info, ValueId id);
  std::unique_ptr<Frame> read_body(const BoundAttribute& attribute, Frame& around, int depth,
                                   const std::string& owner, const std::vector<Type>& formal);

  // checked_reading.cpp: going on after errors, where they are collected.
  // Calls part(). An error is noted, with `node` as its place if it has none, and false comes back;
  // without findings it goes on its way.
  template <typename Part>
  bool attempt(Part&& part, const onnx::NodeProto* node = nullptr);
  void note(const Error& error, const onnx::NodeProto* node);
  // Notes, if findings are wanted, what is read although it should not be so.
  void warn(const char* rule, const std::string& text, const onnx::NodeProto* node = nullptr);
  // Gives `name` a value of unknown type, if it has none.
  static void stand_in(Scope& scope, const std::string& name);
  static ValueId unknown_value(Frame& frame, const std::string& name);
  // Reads a node of the region; where that fails, what else is wrong with it is noted, and its
  // outputs are unknown values.
  void read_or_note(const onnx::NodeProto& node, Scope& scope, const Path& path);
  // As add_operator(). Where nothing is known of an input, what the operator says against it is
  // not noted: unknown values come back.
  std::vector<ValueId> add_or_doubt(const onnx::NodeProto& node, const OpInfo& info, int64_t opset,
                                    std::vector<ValueId> inputs, Scope& scope, NodeOptions options,
                                    bool doubtful);
  void note_declaration(const std::string& name, const Type& found, const Type& declared);

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
  void apply_declared_type(const Scope& scope, const std::string& name, ValueId id);
  std::vector<ValueId> lookup_inputs(const onnx::NodeProto& node, const Scope& scope);

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
  Findings* findings_;
  FunctionTable functions_;
  Opsets opsets_;
  Frame main_;
  int64_t max_nodes_;
  int64_t nodes_left_;
  std::map<std::pair<std::string, int>, int64_t> raised_;  // by operator and version
  // Constants by frame and message.
  std::map<std::pair<int64_t, const void*>, ValueId> constants_;
  std::vector<const Function*> calls_;  // the functions that are being inlined
  std::vector<ErrorFrame> around_;      // nodes and functions that are being read, for findings
};

// The node as the place of an error; one without a name goes by its first output.
ErrorFrame frame_of(const onnx::NodeProto& node);

template <typename Part>
bool GraphReader::attempt(Part&& part, const onnx::NodeProto* node) {
  if (!findings_) {
    part();
    return true;
  }
  try {
    part();
    return true;
  } catch (const Error& e) {
    note(e, node);
    return false;
  }
}

}  // namespace onnxrun
