#include "plot/contour.h"

#include <array>
#include <cmath>

namespace onnxrun {

std::vector<std::vector<Place>> contour(const std::vector<double>& values, int columns,
                                        double level) {
  std::vector<std::vector<Place>> pieces;
  int rows = static_cast<int>(values.size()) / columns;
  auto at = [&](int c, int r) {
    return values[static_cast<size_t>(r) * static_cast<size_t>(columns) + static_cast<size_t>(c)];
  };
  for (int r = 0; r + 1 < rows; ++r) {
    for (int c = 0; c + 1 < columns; ++c) {
      // Corners in the order of a walk around the cell.
      const std::array<Place, 4> corners = {
          {{c + 0.0, r + 0.0}, {c + 1.0, r + 0.0}, {c + 1.0, r + 1.0}, {c + 0.0, r + 1.0}}};
      const std::array<double, 4> v = {at(c, r), at(c + 1, r), at(c + 1, r + 1), at(c, r + 1)};
      std::vector<Place> crossings;
      for (size_t k = 0; k < 4; ++k) {
        double a = v[k] - level, b = v[(k + 1) % 4] - level;
        if (!std::isfinite(a) || !std::isfinite(b) || (a < 0) == (b < 0)) continue;
        double part = a / (a - b);
        const Place &p = corners[k], &q = corners[(k + 1) % 4];
        crossings.push_back({p.x + part * (q.x - p.x), p.y + part * (q.y - p.y)});
      }
      for (size_t k = 0; k + 1 < crossings.size(); k += 2) {
        pieces.push_back({crossings[k], crossings[k + 1]});
      }
    }
  }
  return pieces;
}

}  // namespace onnxrun
