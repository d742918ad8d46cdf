#include "emit/scan_builder.h"

namespace onnxrun {

ValueId ScanBuilder::input(ValueId value, Inputs& list) {
  Type type = outer_.type(value);
  if (&list == &scans_ && type.shape && !type.shape->empty())
    type.shape->erase(type.shape->begin());
  ValueId inner = graph_.add_input(graph_.unique_name("in"), std::move(type));
  list.outer.push_back(value);
  list.inner.push_back(inner);
  return inner;
}

void ScanBuilder::finish_iteration(std::vector<ValueId> states, std::vector<ValueId> stacked) {
  graph_.outputs = std::move(states);
  graph_.outputs.insert(graph_.outputs.end(), stacked.begin(), stacked.end());
}

std::vector<ValueId> ScanBuilder::build() {
  graph_.inputs.clear();
  for (const Inputs* list : {&states_, &scans_, &captures_}) {
    graph_.inputs.insert(graph_.inputs.end(), list->inner.begin(), list->inner.end());
  }
  size_t outputs = graph_.outputs.size();
  NodeOptions options;
  options.attributes["num_scan_inputs"] = static_cast<int64_t>(scans_.outer.size());
  if (reverse_) {
    options.attributes["scan_input_directions"] = std::vector<int64_t>(scans_.outer.size(), 1);
    options.attributes["scan_output_directions"] =
        std::vector<int64_t>(outputs - states_.outer.size(), 1);
  }
  options.captures = captures_.outer;
  options.bodies.push_back(std::move(graph_));
  std::vector<ValueId> inputs = states_.outer;
  inputs.insert(inputs.end(), scans_.outer.begin(), scans_.outer.end());
  return outer_.add_n("Scan", std::move(inputs), outputs, std::move(options));
}

}  // namespace onnxrun
