// Standard operators in the forms that every runtime has.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// Rewrites what the standard allows but some runtimes do not take, in bodies too; the meaning
// stays.
//   Scan from the last element on, or along other axes than the first, becomes a plain one over
//   turned sequences (the ONNX project's reference evaluator has no other);
//   stacked results of Loop leave it as rows and get their shape behind it (the evaluator stacks
//   with np.vstack, which is right for rows only), and its condition is never left out (the
//   evaluator takes that for false);
//   Pad by known negative amounts becomes Slice and Pad (the evaluator's np.pad adds only);
//   ConvTranspose with groups of several channels becomes one for each (the evaluator takes the
//   wrong weights);
//   BatchNormalization that gives running statistics becomes its formula (ONNX Runtime writes them
//   into the memory that the caller feeds).
void use_plain_forms(Graph& graph);

}  // namespace onnxrun
