// Operators of other domains that are functions of standard ones.
#pragma once

#include "kernels/composed.h"

namespace onnxrun {

// decompose() says everything: the types of the outputs are those of its results, and what its
// nodes reject is rejected. Where the rank of an input is not known, so are the outputs' shapes.
class FunctionOp : public ComposedOp {
 public:
  void infer(InferContext& c) const final;

 protected:
  // Rejects attributes and inputs that cannot be. Before decompose() ever sees them.
  virtual void check(const InferContext&) const {}
  // The element type of output i, for inputs of unknown rank.
  virtual DType output_type(const InferContext& c, size_t /*i*/) const { return c.dtype(0); }
};

// Rejects an input that is there and known not to have this rank.
void require_rank(const InferContext& c, size_t i, int64_t rank);
// Rejects an input that is there and known not to have one of these shapes' lengths; unknown
// lengths of `shape` fit all.
void require_shape(const InferContext& c, size_t i, const Shape& shape);
// Rejects an input that is there and known to have more than one element.
void require_single(const InferContext& c, size_t i);

}  // namespace onnxrun
