// What operators on shapes share while types are inferred.
#pragma once

#include <optional>
#include <vector>

#include "graph/infer_context.h"

namespace onnxrun {

// `axis` counted from the end if negative; rejects one that a tensor of this rank does not have.
int64_t checked_axis(const InferContext& c, int64_t axis, int64_t rank);
// The same for a list, which must not name an axis twice.
std::vector<int64_t> checked_axes(const InferContext& c, std::vector<int64_t> axes, int64_t rank);

// The number of elements of input i if it is a list (rank 1) of known length.
std::optional<int64_t> list_length(const InferContext& c, size_t i);

// A shape of `rank` unknown lengths.
inline Shape unknown_shape(int64_t rank) { return Shape(static_cast<size_t>(rank)); }

// The shape that input i asks for as a list: with unknown lengths where elements are not known,
// nothing if not even their number is. Elements are as given, negative ones too.
std::optional<Shape> requested_shape(const InferContext& c, size_t i);
// The same, but rejects negative lengths.
std::optional<Shape> requested_lengths(const InferContext& c, size_t i);

// Rejects indices of GatherElements and ScatterElements whose rank or lengths do not fit the data.
void check_element_indices(const InferContext& c, const Shape& data, const Shape& indices,
                           int64_t axis);

// Sets output 0's type. Its elements are those of input 0 in the same order: what is known of them
// symbolically goes along if the output is a scalar or a list of integers.
void set_output_with_content(InferContext& c, DType dtype, std::optional<Shape> shape);

}  // namespace onnxrun
