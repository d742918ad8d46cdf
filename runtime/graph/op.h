// The operator interface. One operator (or family) is one file of ops/: attributes, type and shape
// inference, kernel, gradient, registration. docs/adding-an-operator.md walks through one.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "graph/attributes.h"

namespace onnxrun {

class InferContext;
class PrepareContext;
class RunContext;
class GradientContext;
class DecomposeContext;

// What an operator found out once per plan (kernels chosen, strides, packed weights). Shared by
// concurrent runs, so never changed after prepare().
struct KernelState {
  virtual ~KernelState() = default;
};

struct OpTraits {
  // Outputs that may be written over an input's buffer, when that input has the output's type and
  // nobody reads it later: pairs (input, output).
  std::vector<std::pair<int, int>> in_place;
  // Output 0 is input 0 with another shape: a view, and no work at run time.
  bool view = false;
  // The same inputs give the same outputs, without side effects: may be folded and merged.
  bool deterministic = true;
  // Output element i depends on element i of the (broadcast) inputs only.
  bool elementwise = false;
};

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
};

using OpPtr = std::shared_ptr<const Op>;

}  // namespace onnxrun
