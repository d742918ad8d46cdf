// Cuts a model that computes something wrong down to the part that does.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "comparison.h"
#include "graph/graph.h"
#include "onnxrun/model.h"
#include "onnxrun/session.h"

namespace onnxrun::tool {

struct ReducedModel {
  std::string bytes;               // in wire form
  size_t nodes_before = 0;         // that the output which differs depends on
  std::vector<std::string> nodes;  // "MatMul node 'fc'", those that are left
  NamedValues inputs;              // what it is fed
  NamedValues expected;            // what should come out
  std::string message;             // what is wrong with what does
};

// The search goes by one output that differs: the first node in the model's order whose value is
// wrong, then the fewest nodes before it, which are fed values that are known. As failures need not
// be monotonous, what is found is minimal (no single node can go) and not the minimum.
class Reduction {
 public:
  // Runs a model on these inputs, of which it needs all, and gives its outputs.
  using Run = std::function<NamedValues(const Model& model, const NamedValues& inputs)>;

  // `known` are values of the model by name, its inputs among them: what a part may be fed, and,
  // without a `reference`, what should come out of it.
  Reduction(const Model& model, NamedValues known, Run tested, Run reference, Tolerance tolerance);

  // Nothing if none of the outputs fails alone.
  std::optional<ReducedModel> reduce();

 private:
  // A part of the graph: the nodes between `cuts` and inputs, and one output.
  struct Part {
    ValueId output = no_value;
    std::vector<size_t> nodes;    // ascending
    std::vector<ValueId> inputs;  // cuts and inputs of the model that it needs
  };
  struct Failure {
    std::string bytes, message;
    NamedValues inputs, expected;
  };

  Part part_of(ValueId output, const std::set<ValueId>& cuts) const;
  // What goes wrong in this part; nothing if nothing does or it cannot be run.
  std::optional<Failure> failure_of(const Part& part) const;
  bool fails(const Part& part);  // and keeps the failure, if it does
  const RuntimeValue* known(ValueId v) const;
  // The output of a node that can stand for it, or no_value.
  ValueId known_output(size_t node) const;

  bool move_output();
  bool cut_front();
  bool cut_single_nodes();

  const Graph& graph_;
  std::string bytes_;
  std::vector<int> producers_;
  NamedValues known_;
  std::map<std::string, size_t> known_at_;
  Run tested_, reference_;
  Tolerance tolerance_;
  std::set<ValueId> cuts_;
  Part part_;
  Failure failure_;
};

}  // namespace onnxrun::tool
