#include <algorithm>

#include "base/error.h"
#include "graph_writer.h"
#include "onnx_exporter.h"
#include "opset_changes.h"

namespace onnxrun {

namespace {

// The IR version that came with an opset (onnx docs/Versioning.md), and the one that brought a
// type.
int ir_of_opset(int opset) {
  constexpr std::pair<int, int> releases[] = {{28, 14}, {25, 13}, {24, 12}, {23, 11}};
  for (auto [first, ir] : releases) {
    if (opset >= first) return ir;
  }
  return 10;
}

int ir_of_types(DTypeSet dtypes) {
  if (dtypes.contains(DType::Float6E2M3) || dtypes.contains(DType::Float6E3M2)) return 14;
  if (dtypes.contains(DType::UInt2) || dtypes.contains(DType::Int2)) return 13;
  if (dtypes.contains(DType::Float8E8M0)) return 12;
  return dtypes.contains(DType::Float4E2M1) ? 11 : 10;
}

int checked_opset(const GraphWriter& writer, const ExportOptions& options) {
  int needed = std::max(writer.opset(), oldest_written_opset), wanted = options.opset;
  if (wanted == 0) return std::max(needed, options.at_least);
  if (wanted < oldest_written_opset || wanted > current_opset) {
    fail(ErrorKind::Unsupported, "opset {} cannot be written, opsets {} to {} can", wanted,
         oldest_written_opset, current_opset);
  }
  if (wanted < needed) {
    fail(ErrorKind::Unsupported, "{} : this node needs opset {}, opset {} was asked for",
         writer.needs_opset(), needed, wanted);
  }
  return wanted;
}

}  // namespace

std::string export_graph(const Graph& graph, const ExportOptions& options) {
  onnx::ModelProto model;
  GraphWriter writer;
  *model.mutable_graph() = writer.write(graph);
  int opset = checked_opset(writer, options);
  model.set_ir_version(std::max(ir_of_opset(opset), ir_of_types(writer.dtypes())));
  auto import = [&](const std::string& domain, int64_t version) {
    onnx::OperatorSetIdProto* set = model.add_opset_import();
    set->set_domain(domain);
    set->set_version(version);
  };
  import("", opset);
  for (const auto& [domain, version] : writer.domains()) import(domain, version);
  model.set_producer_name(options.producer_name);
  if (!options.producer_version.empty()) model.set_producer_version(options.producer_version);
  std::string bytes;
  if (model.ByteSizeLong() > INT32_MAX || !model.SerializeToString(&bytes)) {
    fail(ErrorKind::CannotWrite, "the model is larger than the 2 GiB of a protobuf message");
  }
  return bytes;
}

}  // namespace onnxrun
