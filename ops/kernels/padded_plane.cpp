#include "kernels/padded_plane.h"

namespace onnxrun {

std::optional<PaddedPlane> PaddedPlane::of(const Window& w) {
  // Enough for the last vector of a line, and for lines to begin at one.
  constexpr int64_t slack = 32;
  constexpr int64_t most_elements = 1 << 18, most_padding = 4;
  if (w.rank() > 2 || w.input_size() == 0 || w.output_size() == 0) return std::nullopt;
  auto axis = [&](size_t i) {
    return Axis{w.input[i], w.output[i], w.kernel[i], w.strides[i], w.dilations[i], w.pads[i]};
  };
  PaddedPlane p;
  p.columns = axis(w.rank() - 1);
  if (w.rank() == 2) p.lines = axis(0);
  p.height = p.lines.reach();
  const int64_t width = p.columns.reach();
  if (p.height > most_elements || width > most_elements ||
      p.height * width > most_padding * (w.input_size() + w.output_size())) {
    return std::nullopt;
  }
  p.margin = (slack - p.columns.pad % slack) % slack;
  p.pitch = (p.margin + width + slack - 1) / 16 * 16;
  return p.size() <= most_elements ? std::optional(p) : std::nullopt;
}

}  // namespace onnxrun
