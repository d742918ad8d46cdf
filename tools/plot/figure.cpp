#include "plot/figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "plot/contour.h"

namespace onnxrun {

namespace {

struct Colors {
  Color background, text, strong, grid, frame;
  std::array<Color, 8> curves;
};

constexpr Colors light = {{255, 255, 255},
                          {51, 65, 85},
                          {15, 23, 42},
                          {226, 232, 240},
                          {148, 163, 184},
                          {{{37, 99, 235},
                            {234, 88, 12},
                            {5, 150, 105},
                            {147, 51, 234},
                            {220, 38, 38},
                            {8, 145, 178},
                            {202, 138, 4},
                            {219, 39, 119}}}};
constexpr Colors dark = {{15, 23, 42},
                         {203, 213, 225},
                         {248, 250, 252},
                         {51, 65, 85},
                         {100, 116, 139},
                         {{{96, 165, 250},
                           {251, 146, 60},
                           {52, 211, 153},
                           {192, 132, 252},
                           {248, 113, 113},
                           {34, 211, 238},
                           {250, 204, 21},
                           {244, 114, 182}}}};

// Viridis (Smith and van der Walt 2015) at equal distances: even steps look even, in grey and to
// those who tell fewer colours apart, too.
constexpr std::array<Color, 9> viridis = {{{68, 1, 84},
                                           {71, 44, 122},
                                           {59, 81, 139},
                                           {44, 113, 142},
                                           {33, 144, 141},
                                           {39, 173, 129},
                                           {92, 200, 99},
                                           {170, 220, 50},
                                           {253, 231, 37}}};

Color heat(double part) {
  if (!std::isfinite(part)) return {128, 128, 128};
  double at = std::clamp(part, 0.0, 1.0) * (viridis.size() - 1);
  auto k = std::min(static_cast<size_t>(at), viridis.size() - 2);
  double rest = at - static_cast<double>(k);
  auto mix = [rest](uint8_t a, uint8_t b) {
    return static_cast<uint8_t>(std::lround(a + rest * (b - a)));
  };
  const Color &a = viridis[k], &b = viridis[k + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

bool is_point(const PlotSeries& s, size_t i) {
  return std::isfinite(s.x[i]) && std::isfinite(s.y[i]);
}

// Of the points in one pixel column only first, last, lowest and highest can be told apart.
void append_column(std::vector<Place>& column, std::vector<Place>& piece) {
  auto by_y = [](const Place& a, const Place& b) { return a.y < b.y; };
  auto [lowest, highest] = std::minmax_element(column.begin(), column.end(), by_y);
  auto a = std::min(lowest, highest), b = std::max(lowest, highest), last = column.end() - 1;
  auto previous = column.end();
  for (auto p : {column.begin(), a, b, last}) {
    if (p != previous) piece.push_back(*p);
    previous = p;
  }
  column.clear();
}

std::vector<std::vector<Place>> pieces_of(const PlotSeries& s, const Axis& x, const Axis& y) {
  std::vector<std::vector<Place>> pieces;
  std::vector<Place> column, piece;
  auto lift = [&] {
    if (!column.empty()) append_column(column, piece);
    if (!piece.empty()) pieces.push_back(std::move(piece));
    piece.clear();
  };
  for (size_t i = 0; i < s.x.size(); ++i) {
    if (!is_point(s, i)) {
      lift();
      continue;
    }
    Place p{x.pixel(s.x[i]), y.pixel(s.y[i])};
    if (!column.empty() && std::floor(column.back().x) != std::floor(p.x)) {
      append_column(column, piece);
    }
    column.push_back(p);
  }
  lift();
  return pieces;
}

class Drawing {
 public:
  // With its upper edge at `above`.
  Drawing(const Figure& figure, Canvas& canvas, double above)
      : figure_(figure),
        colors_(figure.theme == PlotTheme::Dark ? dark : light),
        edge_(above),
        above_(above + (figure.labels.title.empty() ? 0 : title_height)),
        right_(width_of(figure) - (figure.map ? 132 : 36)),
        bottom_(above + height_of(figure) - 66),
        canvas_(canvas) {}

  static double width_of(const Figure& figure) { return figure.map ? 680 : 860; }
  static double height_of(const Figure& figure) { return figure.map ? 600 : figure.height; }

  void draw() {
    canvas_.rectangle({0, edge_}, width_of(figure_), height_of(figure_), colors_.background);
    if (!figure_.labels.title.empty()) {
      canvas_.text({left, edge_ + 36}, figure_.labels.title, {colors_.strong, 20, true});
    }
    if (figure_.map) {
      map();
    } else {
      curves();
    }
  }

 private:
  static constexpr double left = 88, title_height = 36;

  void curves() {
    Range x_range, y_range;
    bool whole = true;
    auto add = [&](double x, double y) {
      if (!std::isfinite(x) || !std::isfinite(y)) return;
      x_range.add(x);
      y_range.add(y);
      whole &= x == std::round(x);
    };
    for (const PlotSeries& s : figure_.curves) {
      for (size_t i = 0; i < s.x.size(); ++i) add(s.x[i], s.y[i]);
    }
    for (const DataPoint& p : figure_.points) add(p.x, p.y);
    top_ = above_ + 52;
    bool by_powers = figure_.logarithmic_x && x_range.low > 0 && x_range.high > x_range.low;
    Axis x = by_powers ? tight_log_axis(x_range, left, right_)
                       : tight_axis(x_range, left, right_, 9, whole);
    Axis y = roomy_axis(y_range, bottom_, top_, figure_.linear);
    axes(x, y, true);
    legend();
    for (size_t i = 0; i < figure_.curves.size(); ++i) curve(i, x, y);
    points(x, y);
  }

  void map() {
    top_ = above_ + 24;
    const HeatMap& m = *figure_.map;
    Axis x = tight_axis(m.x, left, right_, 6, false);
    Axis y = tight_axis(m.y, bottom_, top_, 6, false);
    Range range;
    for (double v : m.values) range.add(v);
    if (range.empty()) range = {0, 1};
    if (range.low == range.high) range = {range.low - 0.5, range.high + 0.5};
    auto columns = static_cast<size_t>(m.columns);
    std::vector<Color> pixels(m.values.size());
    for (size_t i = 0; i < pixels.size(); ++i) {
      // Rows of pixels go down, those of the values up.
      size_t row = pixels.size() / columns - 1 - i / columns;
      double v = m.values[row * columns + i % columns];
      pixels[i] = heat((v - range.low) / (range.high - range.low));
    }
    canvas_.image({left, top_}, right_ - left, bottom_ - top_, m.columns, pixels);
    if (m.boundary) boundary(m);
    axes(x, y, false);
    scale(range);
    points(x, y);
  }

  // White on a dark edge shows on all colours of the map.
  void boundary(const HeatMap& m) {
    double rows = static_cast<double>(m.values.size()) / m.columns;
    std::vector<std::vector<Place>> pieces = contour(m.values, m.columns, *m.boundary);
    for (std::vector<Place>& piece : pieces) {
      for (Place& p : piece) {
        p = {left + (p.x + 0.5) / m.columns * (right_ - left),
             bottom_ - (p.y + 0.5) / rows * (bottom_ - top_)};
      }
    }
    canvas_.curve(pieces, {{15, 23, 42}, 5});
    canvas_.curve(pieces, {{255, 255, 255}, 2.5});
  }

  // The colours with their values.
  void scale(Range range) {
    constexpr int steps = 128;
    double at = right_ + 22, width = 20;
    std::vector<Color> pixels;
    for (int i = steps; i-- > 0;) pixels.push_back(heat((i + 0.5) / steps));
    canvas_.image({at, top_}, width, bottom_ - top_, 1, pixels);
    Axis axis = tight_axis(range, bottom_, top_, 5, false);
    for (const Tick& t : axis.ticks) {
      double y = axis.pixel(t.value);
      canvas_.line({at + width, y}, {at + width + 5, y}, {colors_.frame, 1});
      canvas_.text({at + width + 9, y + 5}, t.label, {colors_.text, 15});
    }
    TextStyle style{colors_.text, 16, false, Anchor::Middle};
    canvas_.text({at + width / 2 + 14, bottom_ + 24}, figure_.labels.y, style);
  }

  void axes(const Axis& x, const Axis& y, bool grid) {
    for (const Tick& t : y.ticks) {
      double at = y.pixel(t.value);
      if (grid) {
        canvas_.line({left, at}, {right_, at}, {colors_.grid, 1});
      } else {
        canvas_.line({left - 5, at}, {left, at}, {colors_.frame, 1});
      }
      canvas_.text({left - 10, at + 5}, t.label, {colors_.text, 15, false, Anchor::End});
    }
    for (const Tick& t : x.ticks) {
      double at = x.pixel(t.value);
      canvas_.line({at, bottom_}, {at, bottom_ + 5}, {colors_.frame, 1});
      canvas_.text({at, bottom_ + 23}, t.label, {colors_.text, 15, false, Anchor::Middle});
    }
    canvas_.line({left, top_}, {left, bottom_}, {colors_.frame, 1.5});
    canvas_.line({left, bottom_}, {right_, bottom_}, {colors_.frame, 1.5});
    canvas_.text({(left + right_) / 2, bottom_ + 50}, figure_.labels.x,
                 {colors_.text, 16, false, Anchor::Middle});
    std::string label = figure_.map ? map_y_ : figure_.labels.y;
    if (y.logarithmic) label += " (log scale)";
    canvas_.text({24, (top_ + bottom_) / 2}, label,
                 {colors_.text, 16, false, Anchor::Middle, true});
  }

  void legend() {
    // One row; widths of characters in the reader's font can only be guessed.
    double at = left;
    for (size_t i = 0; i < figure_.curves.size(); ++i) {
      const PlotSeries& s = figure_.curves[i];
      std::string value =
          figure_.last_values && !s.y.empty() ? fmt::format("{:.4g}", s.y.back()) : "";
      double name_width = 8.2 * static_cast<double>(s.name.size() + (value.empty() ? 0 : 1));
      double space = 56 + name_width + 9.0 * static_cast<double>(value.size());
      if (at > left && at + space - 24 > right_) return;
      canvas_.line({at, above_ + 25}, {at + 22, above_ + 25}, {color(i), 3.5});
      canvas_.text({at + 30, above_ + 30}, s.name + (value.empty() ? "" : " " + value),
                   {colors_.text, 15});
      at += space;
    }
  }

  void curve(size_t i, const Axis& x, const Axis& y) {
    const PlotSeries& s = figure_.curves[i];
    canvas_.curve(pieces_of(s, x, y), {color(i), 2.5});
    constexpr size_t few = 40;
    if (s.x.size() > few) return;
    for (size_t p = 0; p < s.x.size(); ++p) {
      if (is_point(s, p))
        canvas_.circle({x.pixel(s.x[p]), y.pixel(s.y[p])}, 3.5, color(i), nullptr);
    }
  }

  void points(const Axis& x, const Axis& y) {
    double radius = figure_.points.size() > 200 ? 3 : 7;
    for (const DataPoint& p : figure_.points) {
      if (!std::isfinite(p.x) || !std::isfinite(p.y)) continue;
      Place at{x.pixel(p.x), y.pixel(p.y)};
      constexpr double slack = 1;
      if (at.x < left - slack || at.x > right_ + slack) continue;
      if (at.y < top_ - slack || at.y > bottom_ + slack) continue;
      constexpr Color white = {255, 255, 255}, black = {15, 23, 42};
      Color fill = p.kind == 0 ? white : p.kind == 1 ? black : color(static_cast<size_t>(p.kind));
      Pen outline{p.kind == 0 ? black : white, radius > 3 ? 2.0 : 1.0};
      canvas_.circle(at, radius, fill, &outline);
    }
  }

  Color color(size_t i) const { return colors_.curves[i % colors_.curves.size()]; }

  const Figure& figure_;
  const Colors& colors_;
  double edge_, above_, right_, bottom_, top_ = 0;
  std::string map_y_ = figure_.map ? figure_.map->y_name : "";
  Canvas& canvas_;
};

}  // namespace

std::string draw(const std::vector<Figure>& panels, PictureFormat format) {
  double width = 0, height = 0;
  for (const Figure& panel : panels) {
    width = std::max(width, Drawing::width_of(panel));
    height += Drawing::height_of(panel);
  }
  auto canvas = make_canvas(format, width, height, panels.front().labels.title);
  double above = 0;
  for (const Figure& panel : panels) {
    Drawing(panel, *canvas, above).draw();
    above += Drawing::height_of(panel);
  }
  return canvas->take();
}

std::string draw(const Figure& figure, PictureFormat format) {
  return draw(std::vector<Figure>{figure}, format);
}

}  // namespace onnxrun
