// Slices of tensors along one axis, for Loop and Scan.
#pragma once

#include "graph/run_context.h"

namespace onnxrun {

// A copy of element `index` of an axis, without that axis; both must be in range. Memory is counted
// against the run's limit, here and below.
Tensor take_slice(const Tensor& t, int64_t axis, int64_t index, const RunControl& control);

// Writes `slice` as element `index` of the axis; dims must fit.
void put_slice(const Tensor& slice, Tensor& t, int64_t axis, int64_t index);

// Slices of equal type, stacked along a new axis at `axis`; in reverse order if asked. `empty` is
// the shape of a slice where there is none to take it from. Throws BadInput naming `what` if slices
// differ.
Tensor stack_slices(const std::vector<RuntimeValue>& slices, DType dtype, const Dims& empty,
                    int64_t axis, bool reverse, const RunControl& control, std::string_view what);

}  // namespace onnxrun
