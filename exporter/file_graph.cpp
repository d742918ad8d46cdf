#include "file_graph.h"

#include <onnx/onnx_pb.h>

#include "base/error.h"
#include "wire.h"

namespace onnxrun {

namespace {

using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;

constexpr int node_metadata_field = 9;  // newer than the installed classes

template <typename Visit>
void each_field(std::string_view message, const Visit& visit) {
  wire::Reader reader(message);
  while (auto field = reader.next()) {
    if (field->type == wire::Type::Bytes) visit(field->number, field->content);
  }
}

std::string string_field(std::string_view message, int number) {
  std::string text;
  each_field(message, [&](int n, std::string_view content) {
    if (n == number) text = content;
  });
  return text;
}

void collect_body_reads(std::string_view graph, std::set<std::string>& reads);

void collect_attribute_reads(std::string_view attribute, std::set<std::string>& reads) {
  each_field(attribute, [&](int number, std::string_view content) {
    bool graph =
        number == AttributeProto::kGFieldNumber || number == AttributeProto::kGraphsFieldNumber;
    if (graph) collect_body_reads(content, reads);
  });
}

void collect_body_reads(std::string_view graph, std::set<std::string>& reads) {
  each_field(graph, [&](int number, std::string_view content) {
    if (number == GraphProto::kOutputFieldNumber) {
      reads.insert(string_field(content, onnx::ValueInfoProto::kNameFieldNumber));
    }
    if (number != GraphProto::kNodeFieldNumber) return;
    each_field(content, [&](int n, std::string_view part) {
      if (n == NodeProto::kInputFieldNumber) reads.insert(std::string(part));
      if (n == NodeProto::kAttributeFieldNumber) collect_attribute_reads(part, reads);
    });
  });
}

FileNode read_node(std::string_view message, int index, std::set<std::string>& body_reads) {
  FileNode node;
  node.index = index;
  node.message = message;
  each_field(message, [&](int number, std::string_view content) {
    switch (number) {
      case NodeProto::kInputFieldNumber:
        node.inputs.emplace_back(content);
        break;
      case NodeProto::kOutputFieldNumber:
        node.outputs.emplace_back(content);
        break;
      case NodeProto::kNameFieldNumber:
        node.name = content;
        break;
      case NodeProto::kOpTypeFieldNumber:
        node.op_type = content;
        break;
      case NodeProto::kDomainFieldNumber:
        node.domain = content;
        break;
      case NodeProto::kAttributeFieldNumber:
        collect_attribute_reads(content, body_reads);
        break;
      case node_metadata_field:
        node.metadata[string_field(content, 1)] = string_field(content, 2);
        break;
      default:
        break;
    }
  });
  return node;
}

}  // namespace

std::string FileNode::with_inputs(const std::vector<std::string>& new_inputs) const {
  std::string result;
  size_t at = 0;
  auto rest = [&] {
    for (; at < new_inputs.size(); ++at) {
      wire::append_bytes(result, NodeProto::kInputFieldNumber, new_inputs[at]);
    }
  };
  wire::Reader reader(message);
  size_t seen = 0;
  while (auto field = reader.next()) {
    if (field->number != NodeProto::kInputFieldNumber) {
      if (seen >= inputs.size()) rest();
      result.append(field->header).append(field->content);
      continue;
    }
    ++seen;
    if (at < new_inputs.size()) wire::append_field(result, *field, new_inputs[at++]);
  }
  rest();
  return result;
}

FileGraph::FileGraph(std::string_view model) {
  std::string_view graph;
  each_field(model, [&](int number, std::string_view content) {
    if (number == onnx::ModelProto::kGraphFieldNumber) graph = content;
  });
  std::map<int, int> declared;
  each_field(graph, [&](int number, std::string_view content) {
    bool declares = number == GraphProto::kInputFieldNumber ||
                    number == GraphProto::kOutputFieldNumber ||
                    number == GraphProto::kValueInfoFieldNumber;
    if (declares) {
      declarations.push_back({number, declared[number]++,
                              string_field(content, onnx::ValueInfoProto::kNameFieldNumber),
                              content});
    }
    switch (number) {
      case GraphProto::kNodeFieldNumber:
        nodes.push_back(read_node(content, static_cast<int>(nodes.size()), body_reads));
        names.insert(nodes.back().inputs.begin(), nodes.back().inputs.end());
        names.insert(nodes.back().outputs.begin(), nodes.back().outputs.end());
        break;
      case GraphProto::kInitializerFieldNumber:
        initializers.push_back(string_field(content, onnx::TensorProto::kNameFieldNumber));
        break;
      case GraphProto::kInputFieldNumber:
        inputs.push_back(declarations.back().name);
        break;
      case GraphProto::kOutputFieldNumber:
        outputs.push_back(declarations.back().name);
        break;
      default:
        break;
    }
  });
  names.insert(initializers.begin(), initializers.end());
  names.insert(inputs.begin(), inputs.end());
}

}  // namespace onnxrun
