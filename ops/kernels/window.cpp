#include "kernels/window.h"

#include <algorithm>

#include "base/error.h"

namespace onnxrun {

bool Window::is_identity() const {
  for (size_t i = 0; i < rank(); ++i) {
    if (kernel[i] != 1 || strides[i] != 1 || pads[i] != 0 || input[i] != output[i]) return false;
  }
  return true;
}

static void check_list(const char* name, const std::optional<std::vector<int64_t>>& list,
                       size_t count, int64_t lowest) {
  if (!list) return;
  if (list->size() != count) {
    fail(ErrorKind::BadModel, "attribute '{}' has {} elements, expected {}", name, list->size(),
         count);
  }
  for (int64_t v : *list) {
    if (v < lowest || v > INT32_MAX) {
      fail(ErrorKind::BadModel, "attribute '{}' holds {}, expected {} to {}", name, v, lowest,
           INT32_MAX);
    }
  }
}

void WindowAttributes::check(size_t rank) const {
  if (auto_pad != "NOTSET" && auto_pad != "VALID" && !same()) {
    fail(ErrorKind::BadModel,
         "attribute 'auto_pad' is '{}', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
         auto_pad);
  }
  check_list("kernel_shape", kernel_shape, rank, 1);
  check_list("strides", strides, rank, 1);
  check_list("dilations", dilations, rank, 1);
  check_list("pads", pads, 2 * rank, 0);
}

std::optional<size_t> WindowAttributes::rank() const {
  for (const auto* list : {&kernel_shape, &strides, &dilations}) {
    if (*list) return (*list)->size();
  }
  if (pads) return pads->size() / 2;
  return std::nullopt;
}

Dim WindowAttributes::output_length(size_t i, const Dim& input, const Dim& kernel) const {
  int64_t step = stride(i);
  if (same()) return ceil_div(input, step);
  bool padded = auto_pad != "VALID";
  int64_t before = padded ? pad_begin(i) : 0, after = padded ? pad_end(i) : 0;
  Dim extent = (kernel - 1) * dilation(i) + 1;
  Dim room = input + before + after - extent;
  // Less than one step too long, it has no place, and the result is empty.
  const int64_t least = ceil_mode && padded ? 0 : -step;
  if (room.is_known() && room.value() < least) {
    fail(ErrorKind::BadModel,
         "a window of {} positions does not fit axis {} of {} (pads {} and {})", extent.to_string(),
         i + 2, input.to_string(), before, after);
  }
  if (!ceil_mode || !padded) return floor_div(room, step) + 1;
  Dim length = ceil_div(room, step) + 1;
  // Windows that would start in the padding behind the input are left out.
  bool all_start_before = extent.is_known() && after + step <= extent.value();
  return all_start_before ? length : min(length, ceil_div(input + before, step));
}

Shape WindowAttributes::output_shape(const Shape& input, const Shape& kernel) const {
  Shape output;
  for (size_t i = 0; i < input.size(); ++i) output.push_back(output_length(i, input[i], kernel[i]));
  return output;
}

Window WindowAttributes::resolve(const Dims& input, const Dims& kernel) const {
  Window w;
  w.input = input;
  w.kernel = kernel;
  for (size_t i = 0; i < input.size(); ++i) {
    w.strides.push_back(stride(i));
    w.dilations.push_back(dilation(i));
    w.output.push_back(output_length(i, input[i], kernel[i]).value());
    int64_t before = 0, after = 0;
    if (same()) {
      int64_t total =
          std::max<int64_t>(0, (w.output[i] - 1) * w.strides[i] + w.extent(i) - input[i]);
      before = first_part(total);
      after = total - before;
    } else if (auto_pad != "VALID") {
      before = pad_begin(i);
      after = pad_end(i);
    }
    w.pads.push_back(before);
    w.pads_end.push_back(after);
  }
  return w;
}

}  // namespace onnxrun
