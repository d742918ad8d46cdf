#include "new_classes.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "base/name_list.h"
#include "base/random.h"
#include "file_graph.h"
#include "graph_changes.h"
#include "model_rewriter.h"
#include "passes/export_marks.h"
#include "proto_writer.h"

namespace onnxrun {

namespace {

using onnx::GraphProto;

constexpr int64_t most_elements = int64_t{1} << 28;

// The layer as the file has it.
struct Head {
  const FileNode* product = nullptr;
  std::string weight, bias;          // names of initializers; no bias: ""
  std::vector<std::string> outputs;  // values that have the classes as last axis, to the output
  std::set<int> nodes;               // from the product to the output
  size_t class_axis = 0;             // of the weight
};

class Replacer {
 public:
  Replacer(const Graph& graph, std::string bytes, int64_t classes, uint64_t seed)
      : graph_(graph), bytes_(std::move(bytes)), file_(bytes_), classes_(classes), seed_(seed) {
    for (const FileNode& node : file_.nodes) {
      for (const std::string& name : node.outputs) producers_.emplace(name, &node);
      for (const std::string& name : node.inputs) ++readers_[name];
    }
    for (const std::string& name : file_.body_reads) ++readers_[name];
    for (const std::string& name : file_.outputs) ++readers_[name];
  }

  NewClassesFile run(const std::string& output) {
    if (classes_ < 1) fail(ErrorKind::Usage, "{} classes are none", classes_);
    NewClassesFile result;
    result.output = output.empty() && !file_.outputs.empty() ? file_.outputs[0] : output;
    if (std::find(file_.outputs.begin(), file_.outputs.end(), result.output) ==
        file_.outputs.end()) {
      fail(ErrorKind::Usage, "the model has no output '{}'; it has {}", output,
           name_list(file_.outputs));
    }
    Head head = find_head(result.output);
    const Tensor& weight = stored(head.weight)->value;
    result.classes_before = weight.dims()[head.class_axis];
    int64_t inputs = weight.dims()[1 - head.class_axis];
    if (classes_ > most_elements / std::max<int64_t>(inputs, 1)) {
      fail(ErrorKind::Usage, "{} classes of {} inputs are too many", classes_, inputs);
    }
    Dims dims = weight.dims();
    dims[head.class_axis] = classes_;
    double bound = inputs > 0 ? 1 / std::sqrt(static_cast<double>(inputs)) : 0;
    result.tensors.push_back(replace(head.weight, dims, bound, 0));
    if (!head.bias.empty()) {
      Dims bias_dims = bias_dims_of(head, result.classes_before);
      result.tensors.push_back(replace(head.bias, bias_dims, bound, 1));
    }
    for (const std::string& name : head.outputs) declare_last(name);
    changes_.metadata["onnxrun.new_classes"] =
        fmt::format("{}: {} instead of {}, fresh: {}", result.output, classes_,
                    result.classes_before, name_list(result.tensors));
    write_nodes(head);
    result.bytes = with_changes(bytes_, changes_);
    return result;
  }

 private:
  const Initializer* stored(const std::string& name) const {
    auto it = graph_.initializers.find(graph_.find(name));
    bool there = it != graph_.initializers.end() && it->second.stored >= 0 &&
                 is_differentiable(it->second.value.dtype());
    bool listed = std::find(file_.initializers.begin(), file_.initializers.end(), name) !=
                  file_.initializers.end();
    return there && listed ? &it->second : nullptr;
  }

  const FileNode* producer(const std::string& name) const {
    auto it = producers_.find(name);
    return it == producers_.end() ? nullptr : it->second;
  }

  int64_t readers(const std::string& name) const {
    auto it = readers_.find(name);
    return it == readers_.end() ? 0 : it->second;
  }

  static std::string shown(const FileNode& node) {
    return fmt::format("{} '{}'", node.op_type, node.name.empty() ? node.outputs[0] : node.name);
  }

  std::optional<Shape> shape_of(const std::string& name) const {
    ValueId v = graph_.find(name);
    return v == no_value ? std::nullopt : graph_.value(v).type.shape;
  }

  // One number for all classes, which new classes may have as well.
  bool is_number(const FileNode& node, const std::string& name) const {
    auto it = graph_.initializers.find(graph_.find(name));
    if (it == graph_.initializers.end() || it->second.value.size() != 1) return false;
    return node.op_type != "Add" || it->second.value.dims().empty();
  }

  // Elements stay where they are.
  bool keeps_places(const FileNode& node, const std::string& input) const {
    const OpInfo* info = graph_.registry().find(node.domain, node.op_type);
    bool moves = info && info->spec.kind == OpKind::Move && node.op_type != "Identity" &&
                 node.op_type != "Cast";
    std::optional<Shape> before = shape_of(input), after = shape_of(node.outputs[0]);
    return !moves && before && after &&
           std::equal(before->begin(), before->end(), after->begin(), after->end(),
                      [](const Dim& a, const Dim& b) { return identical(a, b); });
  }

  // One number for each class, on the last axis.
  Dims bias_dims_of(const Head& head, int64_t before) const {
    Dims dims = stored(head.bias)->value.dims();
    if (dims.empty() || stored(head.bias)->value.size() != dims.back() ||
        (dims.back() != before && dims.back() != 1)) {
      fail(ErrorKind::Usage, "'{}' is {}, no bias of {} classes", head.bias,
           stored(head.bias)->value.type_text(), before);
    }
    dims.back() = classes_;
    return dims;
  }

  Head find_head(const std::string& output) const {
    Head head;
    std::string name = output;
    for (size_t steps = file_.nodes.size() + 1; steps > 0; --steps) {
      if (readers(name) > 1) {
        fail(ErrorKind::Usage,
             "'{}', between the last layer and output '{}', is read elsewhere too", name, output);
      }
      head.outputs.push_back(name);
      const FileNode* node = producer(name);
      if (!node) break;
      head.nodes.insert(node->index);
      if (node->op_type == "Gemm" || node->op_type == "MatMul") {
        take_product(*node, head);
        return head;
      }
      name = input_behind(*node, head, output);
    }
    fail(ErrorKind::Usage, "no Gemm or MatMul stands before output '{}'", output);
  }

  // Which input of a node between the layer and the output comes from the layer.
  std::string input_behind(const FileNode& node, Head& head, const std::string& output) const {
    std::vector<std::string> computed;
    std::string bias;
    for (const std::string& input : node.inputs) {
      if (input.empty() || is_number(node, input)) continue;
      if (stored(input)) {
        bias = input;
      } else {
        computed.push_back(input);
      }
    }
    bool adds = !bias.empty() && node.op_type == "Add" && head.bias.empty();
    bool passes = computed.size() == 1 && keeps_places(node, computed[0]);
    if (!passes || (!bias.empty() && !adds)) {
      fail(ErrorKind::Usage,
           "{} stands between the last layer and output '{}': only functions of each element and "
           "along the classes, and a bias, may",
           shown(node), output);
    }
    if (adds) head.bias = bias;
    return computed[0];
  }

  void take_product(const FileNode& node, Head& head) const {
    head.product = &node;
    std::string weight = node.inputs.size() > 1 ? node.inputs[1] : "";
    bool turned = node.op_type == "Gemm" && attribute(node, "transB") != 0;
    // A linear layer that was exported without folding.
    if (const FileNode* transpose = stored(weight) ? nullptr : producer(weight);
        transpose && transpose->op_type == "Transpose" && !transpose->inputs.empty() &&
        readers(weight) == 1) {
      weight = transpose->inputs[0];
      turned = !turned;
      head.nodes.insert(transpose->index);
    }
    const Initializer* init = stored(weight);
    if (!init || init->value.dims().size() != 2) {
      fail(ErrorKind::Usage, "the weight of {}, the last layer, is no stored matrix", shown(node));
    }
    head.weight = weight;
    head.class_axis = turned ? 0 : 1;
    if (node.op_type == "Gemm" && node.inputs.size() > 2 && !node.inputs[2].empty()) {
      if (!stored(node.inputs[2]) || !head.bias.empty()) {
        fail(ErrorKind::Usage, "{}, the last layer, has a bias that is not stored", shown(node));
      }
      head.bias = node.inputs[2];
    }
  }

  static int64_t attribute(const FileNode& node, std::string_view name) {
    onnx::NodeProto proto;
    if (!proto.ParseFromArray(node.message.data(), static_cast<int>(node.message.size()))) return 0;
    for (const onnx::AttributeProto& a : proto.attribute()) {
      if (a.name() == name) return a.i();
    }
    return 0;
  }

  Tensor fresh(DType dtype, const Dims& dims, double bound, uint64_t stream) const {
    Philox random(seed_, stream);
    Tensor values(DType::Float64, dims);
    for (int64_t i = 0; i < values.size(); ++i) {
      values.data<double>()[i] = bound * (2 * random.uniform(static_cast<uint64_t>(i)) - 1);
    }
    return convert(values, dtype);
  }

  std::string replace(const std::string& name, const Dims& dims, double bound, uint64_t stream) {
    Tensor value = fresh(stored(name)->value.dtype(), dims, bound, stream);
    if (readers(name) > 1) return add_beside(name, value);
    auto at = std::find(file_.initializers.begin(), file_.initializers.end(), name);
    changes_.fields[{GraphProto::kInitializerFieldNumber,
                     static_cast<int>(at - file_.initializers.begin())}] =
        write_tensor(value, name).SerializeAsString();
    declare(name, [&](onnx::TypeProto& type) {
      *type.mutable_tensor_type()->mutable_shape() =
          write_type(Type::tensor(value.dtype(), to_shape(dims))).tensor_type().shape();
    });
    return name;
  }

  // The tensor stays for those who read it, too.
  std::string add_beside(const std::string& name, const Tensor& value) {
    std::string added = name + ".new";
    for (int n = 1; file_.names.count(added); ++n) added = name + ".new" + std::to_string(n);
    changes_.added.emplace_back(GraphProto::kInitializerFieldNumber,
                                write_tensor(value, added).SerializeAsString());
    onnx::ValueInfoProto info;
    info.set_name(added);
    *info.mutable_type() = write_type(Type::tensor(value.dtype(), to_shape(value.dims())));
    write_metadata(info, value_info_metadata, {{std::string(export_mark::kind), "PARAMETER"}});
    changes_.added.emplace_back(GraphProto::kValueInfoFieldNumber, info.SerializeAsString());
    renamed_[name] = added;
    return added;
  }

  // Changes what inputs, outputs and inner values declare of a value.
  template <typename Change>
  void declare(const std::string& name, const Change& change) {
    for (const FileDeclaration& d : file_.declarations) {
      if (d.name != name) continue;
      onnx::ValueInfoProto info;
      if (!info.ParseFromArray(d.message.data(), static_cast<int>(d.message.size()))) continue;
      if (info.type().has_tensor_type()) change(*info.mutable_type());
      changes_.fields[{d.field, d.which}] = info.SerializeAsString();
    }
  }

  void declare_last(const std::string& name) {
    declare(name, [&](onnx::TypeProto& type) {
      if (!type.tensor_type().has_shape()) return;
      auto& shape = *type.mutable_tensor_type()->mutable_shape();
      if (shape.dim_size() == 0) return;
      auto& last = *shape.mutable_dim(shape.dim_size() - 1);
      last.Clear();
      last.set_dim_value(classes_);
    });
  }

  // Nodes of the layer that read a tensor of another name now.
  void write_nodes(const Head& head) {
    if (renamed_.empty()) return;
    for (const FileNode& node : file_.nodes) {
      if (!head.nodes.count(node.index)) continue;
      std::vector<std::string> inputs = node.inputs;
      for (std::string& input : inputs) {
        if (auto it = renamed_.find(input); it != renamed_.end()) input = it->second;
      }
      if (inputs != node.inputs) {
        changes_.fields[{GraphProto::kNodeFieldNumber, node.index}] = node.with_inputs(inputs);
      }
    }
  }

  const Graph& graph_;
  std::string bytes_;
  FileGraph file_;
  std::unordered_map<std::string, const FileNode*> producers_;
  std::unordered_map<std::string, int64_t> readers_;  // by value
  int64_t classes_;
  uint64_t seed_;
  std::map<std::string, std::string> renamed_;
  GraphChanges changes_;
};

}  // namespace

NewClassesFile replace_classes(const Graph& imported, const std::string& output, int64_t classes,
                               uint64_t seed) {
  if (!imported.source || imported.source->bytes.empty()) {
    fail(ErrorKind::Usage, "the graph was not read from a model file");
  }
  std::string bytes = imported.source->file_bytes();
  if (has_split_messages(bytes)) {
    onnx::ModelProto model;
    model.ParseFromString(bytes);
    bytes = model.SerializeAsString();
  }
  return Replacer(imported, std::move(bytes), classes, seed).run(output);
}

}  // namespace onnxrun
