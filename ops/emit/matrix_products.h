// What the matrix products share: shapes of batches, and products as rules of gradients write them.
#pragma once

#include "graph/builder.h"
#include "graph/infer_context.h"

namespace onnxrun {

// Rejects the node if both are known and differ: the two inputs' inner dimensions.
void check_inner(const InferContext& c, const Dim& a, const Dim& b);

// alpha op(a) op(b) over the last two axes, in the operator that does it without a transposed copy.
// Ranks must be known and at least 2; the batch axes broadcast.
ValueId emit_product(GraphBuilder& b, ValueId a, bool trans_a, ValueId other, bool trans_b,
                     float alpha = 1);

// v as a matrix: all axes but the last in one.
ValueId emit_rows(GraphBuilder& b, ValueId v);

}  // namespace onnxrun
