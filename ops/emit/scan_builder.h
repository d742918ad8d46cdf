// Writes a Scan node and its body together.
#pragma once

#include <vector>

#include "graph/builder.h"

namespace onnxrun {

// All sequences are scanned along their first axis, all results stacked along it; in reverse from
// the last element to the first. The body sees nothing but what state(), scan() and capture() give
// it.
class ScanBuilder {
 public:
  ScanBuilder(GraphBuilder& outer, bool reverse)
      : outer_(outer), reverse_(reverse), graph_(outer.graph().registry()), body_(graph_) {}

  GraphBuilder& body() { return body_; }

  // The body's values of: a carried value that begins as `initial`, the current element of
  // `sequence`, and `value` itself.
  ValueId state(ValueId initial) { return input(initial, states_); }
  ValueId scan(ValueId sequence) { return input(sequence, scans_); }
  ValueId capture(ValueId value) { return input(value, captures_); }

  // The carried values after an iteration, in the order of state(), and what is stacked.
  void finish_iteration(std::vector<ValueId> states, std::vector<ValueId> stacked);

  // Adds the node: the carried values in the end, then the stacked results.
  std::vector<ValueId> build();

 private:
  struct Inputs {
    std::vector<ValueId> outer, inner;
  };
  ValueId input(ValueId value, Inputs& list);

  GraphBuilder& outer_;
  bool reverse_;
  Graph graph_;
  GraphBuilder body_;
  Inputs states_, scans_, captures_;
};

}  // namespace onnxrun
