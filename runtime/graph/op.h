// The operator interface. One operator (or family) is one file of ops/: attributes, type and shape
// inference, kernel, gradient, registration. docs/adding-an-operator.md walks through one.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "graph/attributes.h"

namespace onnxrun {

class Count;
class CostContext;
class InferContext;
class PrepareContext;
class RunContext;
class GradientContext;
class DecomposeContext;
class Graph;
class ModeContext;
struct Node;

// What an operator found out once per plan (kernels chosen, strides, packed weights). Shared by
// concurrent runs, so never changed after prepare().
struct KernelState {
  virtual ~KernelState() = default;
  // Which of an operator's kernels runs, in a word; empty where there is but one.
  virtual std::string_view kernel() const { return {}; }
};

struct OpTraits {
  // Outputs that may be written over an input's buffer, when that input has the output's type and
  // nobody reads it later: pairs (input, output).
  std::vector<std::pair<int, int>> in_place;
  // Output 0 is input 0 with another shape: a view, and no work at run time.
  bool view = false;
  // Output 0 is input 0 as it is wherever both have the same type and shape.
  bool noop_if_same_type = false;
  // Outputs depend on random numbers.
  bool random = false;
  // The same inputs give the same outputs, without side effects: may be folded and merged.
  bool deterministic = true;
  // Output element i depends on element i of the (broadcast) inputs only.
  bool elementwise = false;
};

// How the formal inputs and outputs of a node's bodies go with the node's own.
struct BodyLayout {
  // Formal input i of a body is formal input i of the node, begins as it, or is a part of it.
  bool takes_inputs = false;
  // Where carried values begin: among the inputs of node and body, and among the outputs of the
  // body; the node's outputs begin with their last values.
  std::optional<size_t> carried_input = {};
  size_t carried_output = 0;
  // A body runs at most once.
  bool once = false;
};

// Which axes of a weight count the inputs that are summed over, and which the outputs; those from
// `field` on are positions of a kernel.
struct WeightAxes {
  size_t in = 1, out = 0, field = 2;
};

// Of the matrices in the last two axes.
constexpr WeightAxes matrix_axes(size_t rank, bool inputs_first) {
  return inputs_first ? WeightAxes{rank - 2, rank - 1, rank} : WeightAxes{rank - 1, rank - 2, rank};
}

// One node's computation with its attributes. Immutable once its node is built; all methods are
// safe to call from several threads.
class Op {
 public:
  virtual ~Op() = default;

  // Passes every attribute to the visitor; the order is that of the standard's page.
  virtual void attributes(AttributeVisitor&) {}

  // Sets the types of all outputs from those of the inputs, as far as they are known. Element types
  // and the number of inputs have been checked against the operator's spec. Throws BadModel (or
  // BadInput) saying what is wrong with the values, with the values in the text.
  virtual void infer(InferContext& c) const = 0;

  // Work that needs to be done once for given input shapes. May be called anew for every run where
  // shapes are only known at run time.
  virtual std::unique_ptr<KernelState> prepare(PrepareContext&) const { return nullptr; }

  // Computes the outputs. Those whose types inference made concrete are allocated already.
  virtual void run(RunContext& c) const;

  // Emits the gradients of the inputs that want one, from ordinary operators.
  virtual void gradient(GradientContext& g) const;

  // Emits the same computation from simpler operators. Only called if the spec says decomposes.
  virtual void decompose(DecomposeContext& d) const;

  virtual OpTraits traits() const { return {}; }

  // What one run takes, as far as the types say: a multiplication and the addition of its result
  // are two operations. By default some for each element, by what kind of operator it is; what is
  // small beside the rest may be left out.
  virtual Count operations(const CostContext& c) const;

  // Of input `input`, a weight of `rank` axes, two at least.
  virtual WeightAxes weight_axes(size_t input, size_t rank) const;

  // For operators with subgraphs.
  virtual BodyLayout body_layout() const { return {}; }
  // How often a body runs that may run more than once, as far as types and constants say.
  virtual Count body_runs(const CostContext& c) const;
  // The types of a body's formal inputs, as far as those of the node's inputs say: files need not
  // declare them. Asked before the node's own attributes are read.
  virtual std::vector<Type> body_inputs(const std::vector<Type>& inputs) const;

  // True if `node`, one of this operator, gives the same outputs whenever its inputs are the same;
  // an input that is known may decide.
  virtual bool repeats(const Graph& graph, const Node& node) const;

  // Whether attribute `name`, an element type, is that of an output the node has. Such attributes
  // change where a graph is widened to doubles.
  virtual bool types_an_output(std::string_view name, const Node& node) const;

  // For operators that behave in training as they do not in inference: puts the node into the mode
  // that the context asks for.
  virtual void set_mode(ModeContext&) const {}

  // For nodes of a form that some runtimes do not take: appends to `graph` what is equal to `node`,
  // giving its outputs, and returns true. The node may be taken apart.
  virtual bool emit_plain(Graph& graph, Node& node) const;
};

using OpPtr = std::shared_ptr<const Op>;

}  // namespace onnxrun
