#include "base/error.h"
#include "graph_reader.h"

namespace onnxrun {

void GraphReader::note(const Error& error, const onnx::NodeProto* node) {
  Error e = error;
  if (node && e.node().empty() && e.op().empty()) e = e.in(frame_of(*node));
  for (auto frame = around_.rbegin(); frame != around_.rend(); ++frame) e = e.in(*frame);
  findings_->note(e);
}

void GraphReader::warn(const char* rule, const std::string& text, const onnx::NodeProto* node) {
  if (!findings_) return;
  Error e(ErrorKind::Unsupported, text);
  if (node) e = e.in(frame_of(*node));
  for (auto frame = around_.rbegin(); frame != around_.rend(); ++frame) e = e.in(*frame);
  findings_->add({Severity::Warning, rule, e});
}

ValueId GraphReader::unknown_value(Frame& frame, const std::string& name) {
  ValueId id = frame.graph.add_value(frame.fresh(name));
  frame.doubt(id);
  return id;
}

void GraphReader::stand_in(Scope& scope, const std::string& name) {
  if (!name.empty() && !scope.defines(name)) scope.define(name, unknown_value(scope.frame, name));
}

void GraphReader::read_or_note(const onnx::NodeProto& node, Scope& scope, const Path& path) {
  const size_t calls = calls_.size(), around = around_.size();
  auto read = [&] {
    try {
      read_node(node, scope, path);
    } catch (const Error&) {
      calls_.resize(calls);
      around_.resize(around);
      throw;
    }
  };
  if (attempt(read, &node)) return;
  for (const std::string& input : node.input()) {
    attempt([&] { scope.lookup(input); }, &node);
  }
  for (const std::string& output : node.output()) stand_in(scope, output);
}

std::vector<ValueId> GraphReader::add_or_doubt(const onnx::NodeProto& node, const OpInfo& info,
                                               int64_t opset, std::vector<ValueId> inputs,
                                               Scope& scope, NodeOptions options, bool doubtful) {
  Frame& frame = scope.frame;
  auto of_doubt = [&](ValueId v) { return v != no_value && frame.is_doubtful(v); };
  for (ValueId v : inputs) doubtful = doubtful || of_doubt(v);
  for (ValueId v : options.captures) doubtful = doubtful || of_doubt(v);
  if (!doubtful)
    return add_operator(node, info, opset, std::move(inputs), scope, std::move(options));
  std::vector<ValueId> outputs;
  try {
    outputs = add_operator(node, info, opset, std::move(inputs), scope, std::move(options));
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::Limit || e.kind() == ErrorKind::Internal) throw;
    for (const std::string& name : node.output()) {
      outputs.push_back(name.empty() ? no_value : unknown_value(frame, name));
    }
  }
  for (ValueId v : outputs) {
    if (v != no_value && !frame.graph.value(v).type.is_concrete()) frame.doubt(v);
  }
  return outputs;
}

void GraphReader::note_declaration(const std::string& name, const Type& found,
                                   const Type& declared) {
  Finding finding{
      Severity::Warning, "declared-shape",
      Error(ErrorKind::BadModel, fmt::format("value '{}' is {}, but is declared {}", name,
                                             found.to_string(), declared.to_string())),
      found.to_string(), declared.to_string()};
  for (auto frame = around_.rbegin(); frame != around_.rend(); ++frame) {
    finding.error = finding.error.in(*frame);
  }
  findings_->add(std::move(finding));
}

}  // namespace onnxrun
