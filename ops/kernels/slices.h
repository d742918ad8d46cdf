// Slices of tensors along one axis, for Loop and Scan.
#pragma once

#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

// A copy of element `index` of an axis, without that axis; both must be in range. Memory is counted
// against the run's limit, here and below.
Tensor take_slice(const Tensor& t, int64_t axis, int64_t index, const RunControl& control);

// What slices of type `slice`, output `k` of a body, become when `count` of them are stacked along
// a new axis. Rejects what is no tensor.
Type stacked_type(const InferContext& c, Type slice, size_t k, int64_t axis, const Dim& count);

// Writes `slice` as element `index` of the axis; dims must fit.
void put_slice(const Tensor& slice, Tensor& t, int64_t axis, int64_t index);

// Reads `part` from the elements of the axis from `begin` on; all other dims must be equal.
void take_elements(const Tensor& t, int64_t axis, int64_t begin, Tensor& part);

// Writes `part` over the elements of the axis from `begin` on; all other dims must be equal.
void put_range(const Tensor& part, Tensor& t, int64_t axis, int64_t begin);

// Slices of equal type, stacked along a new axis at `axis`; in reverse order if asked. `empty` is
// the shape of a slice where there is none to take it from. Throws BadInput naming `what` if slices
// differ or are no tensors of type `dtype`.
Tensor stack_slices(const std::vector<RuntimeValue>& slices, DType dtype, const Dims& empty,
                    int64_t axis, bool reverse, const RunControl& control, std::string_view what);

// The slices that a loop gives one by one. Many small ones are gathered on the way: as tensors of
// their own they would take a hundred times the memory of their elements, and uncounted.
class SliceStack {
 public:
  // `what` names the result in errors.
  SliceStack(const RunControl& control, std::string_view what) : control_(control), what_(what) {}

  void add(RuntimeValue slice);
  // All slices as stack_slices() would have them; `type` says what a slice is where there is none.
  Tensor stacked(const Type& type, int64_t axis, bool reverse) const;

 private:
  Tensor stacked(DType dtype, const Dims& empty, int64_t axis, bool reverse) const;

  const RunControl& control_;
  std::string_view what_;
  std::vector<Tensor> gathered_;      // along axis 0, each of `gathered_slices`
  std::vector<RuntimeValue> single_;  // the last ones
};

}  // namespace onnxrun
