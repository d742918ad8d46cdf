// Windows of an image as columns of a matrix, so that convolutions are matrix products.
//
// One image is [channels, input...]; its matrix has a row for each channel and position in the
// window, [channels * kernel_size(), ...], and a column for each window, in row-major order of
// output... With weights of a group as [features, channels * kernel_size()], Conv is weights *
// matrix. Any number of spatial axes but none. A range of windows can be had alone, so that large
// images need no large matrix; the matrix then has just these columns. Serial: callers share
// images, channels or ranges out among threads.
#pragma once

#include <cstdint>

#include "kernels/window.h"

namespace onnxrun {

// columns = the windows [begin, end) of x; what lies outside of x is `padding`.
template <typename T>
void im2col(const Window& w, int64_t channels, const T* x, int64_t begin, int64_t end, T padding,
            T* columns);

// The transpose of im2col as a linear map: adds each element of columns to the element of x that
// im2col would copy it from.
template <typename T>
void col2im(const Window& w, int64_t channels, const T* columns, int64_t begin, int64_t end, T* x);

}  // namespace onnxrun
