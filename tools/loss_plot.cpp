#include "loss_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "formats/utf8.h"

namespace onnxrun {

namespace {

constexpr double width = 860, height = 500;
constexpr double left = 82, right = width - 28, top = 84, bottom = height - 62;
constexpr double log_ratio = 100;
constexpr const char* colors[] = {"#2563eb", "#ea580c", "#059669", "#9333ea",
                                  "#dc2626", "#0891b2", "#ca8a04", "#db2777"};

constexpr const char* style =
    "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#475569;"
    "font-size:13px}"
    ".title{font-size:18px;font-weight:600;fill:#0f172a}"
    ".axis{font-size:14px;fill:#334155}"
    ".value{font-weight:600;fill:#0f172a}"
    ".grid{stroke:#e2e8f0;stroke-width:1}"
    ".frame{stroke:#94a3b8;stroke-width:1;fill:none}"
    ".curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}";

std::string escaped(const std::string& text) {
  std::u32string points;
  if (!decode_utf8(text, points)) points.assign(text.size(), U'?');
  std::string out;
  for (char32_t c : points) {
    // XML 1.0 has no place for control characters and for the last two of the first plane.
    bool allowed = c >= 0x20 && c != 0xfffe && c != 0xffff;
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (!allowed || !append_utf8(out, c)) {
      out += '?';
    }
  }
  return out;
}

struct Tick {
  double value;
  std::string label;
};

// From data to pixels along one axis.
struct Axis {
  double low, high;   // of the data; their logarithms if `logarithmic`
  double start, end;  // in pixels
  bool logarithmic = false;
  std::vector<Tick> ticks = {};

  double pixel(double value) const {
    double v = logarithmic ? std::log10(value) : value;
    return start + (v - low) / (high - low) * (end - start);
  }
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return low > high; }
};

bool is_point(const PlotSeries& s, size_t i) {
  return std::isfinite(s.x[i]) && std::isfinite(s.y[i]);
}

// 1, 2 or 5 times a power of ten, for about `count` steps.
double nice_step(double range, double count) {
  double raw = range / count, power = std::pow(10, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * 0.999) return factor * power;
  }
  return 10 * power;
}

void set_linear_ticks(Axis& axis, double count, bool whole) {
  double step = nice_step(axis.high - axis.low, count);
  if (whole) step = std::max(1.0, step);
  double first = std::ceil(axis.low / step - 1e-9);
  constexpr int most = 50;
  for (int i = 0; i < most; ++i) {
    double value = (first + i) * step;
    if (!(value <= axis.high + step * 1e-9)) return;
    // A multiple of the step that should be zero.
    if (std::abs(value) < step * 1e-9) value = 0;
    axis.ticks.push_back({value, fmt::format("{:.6g}", value)});
  }
}

void set_log_ticks(Axis& axis) {
  auto first = static_cast<int>(std::floor(axis.low)),
       last = static_cast<int>(std::ceil(axis.high));
  int stride = std::max(1, (last - first) / 8);
  bool between = last - first <= 3;
  for (int power = first; power <= last; power += stride) {
    for (double factor : {1.0, 2.0, 5.0}) {
      double value = factor * std::pow(10, power), place = std::log10(value);
      if (place < axis.low - 1e-9 || place > axis.high + 1e-9 || (factor > 1 && !between)) continue;
      axis.ticks.push_back({value, fmt::format("{:.4g}", value)});
    }
  }
}

Axis x_axis(const std::vector<PlotSeries>& series) {
  Range range;
  bool whole = true;
  for (const PlotSeries& s : series) {
    for (size_t i = 0; i < s.x.size(); ++i) {
      if (!is_point(s, i)) continue;
      range.add(s.x[i]);
      whole &= s.x[i] == std::round(s.x[i]);
    }
  }
  if (range.empty()) range = {0, 1};
  if (range.low == range.high) range = {range.low - 1, range.high + 1};
  Axis axis{range.low, range.high, left, right};
  set_linear_ticks(axis, 9, whole);
  return axis;
}

Axis y_axis(const std::vector<PlotSeries>& series) {
  Range range;
  for (const PlotSeries& s : series) {
    for (size_t i = 0; i < s.y.size(); ++i) {
      if (is_point(s, i)) range.add(s.y[i]);
    }
  }
  if (range.empty()) range = {0, 1};
  bool logarithmic = range.low > 0 && range.high / range.low > log_ratio;
  if (logarithmic) range = {std::log10(range.low), std::log10(range.high)};
  // An empty range, or one lost in rounding, gets the size of the values themselves.
  double size = std::max(std::abs(range.low), std::abs(range.high));
  double span = range.high - range.low;
  if (span <= size * 1e-12) span = size > 0 ? size : 1;
  double margin = span * (range.high > range.low ? 0.05 : 0.5);
  Axis axis{range.low - margin, range.high + margin, bottom, top, logarithmic};
  // Losses end at zero: a margin below it would promise negative ones.
  if (!logarithmic && range.low >= 0 && axis.low < 0) axis.low = 0;
  if (logarithmic) {
    set_log_ticks(axis);
  } else {
    set_linear_ticks(axis, 6, false);
  }
  return axis;
}

struct Pixel {
  double x, y;
};

// Of the points in one pixel column only first, last, lowest and highest can be told apart.
void append_column(std::vector<Pixel>& column, std::string& path, bool& pen_down) {
  auto by_y = [](const Pixel& a, const Pixel& b) { return a.y < b.y; };
  auto [lowest, highest] = std::minmax_element(column.begin(), column.end(), by_y);
  auto a = std::min(lowest, highest), b = std::max(lowest, highest), last = column.end() - 1;
  auto previous = column.end();
  for (auto p : {column.begin(), a, b, last}) {
    if (p == previous) continue;
    path += fmt::format("{}{:.2f} {:.2f}", pen_down ? "L" : "M", p->x, p->y);
    pen_down = true;
    previous = p;
  }
  column.clear();
}

std::string curve_path(const PlotSeries& s, const Axis& x, const Axis& y) {
  std::string path;
  std::vector<Pixel> column;
  bool pen_down = false;
  for (size_t i = 0; i < s.x.size(); ++i) {
    if (!is_point(s, i)) {
      if (!column.empty()) append_column(column, path, pen_down);
      pen_down = false;
      continue;
    }
    Pixel p{x.pixel(s.x[i]), y.pixel(s.y[i])};
    if (!column.empty() && std::floor(column.back().x) != std::floor(p.x)) {
      append_column(column, path, pen_down);
    }
    column.push_back(p);
  }
  if (!column.empty()) append_column(column, path, pen_down);
  return path;
}

class Document {
 public:
  Document(const std::vector<PlotSeries>& series, const PlotLabels& labels)
      : series_(series), labels_(labels), x_(x_axis(series)), y_(y_axis(series)) {}

  std::string text() {
    line(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" role=\"img\">",
        width, height);
    line("<title>{}</title>", escaped(labels_.title));
    line("<style>{}</style>", style);
    line("<rect width=\"{}\" height=\"{}\" rx=\"8\" fill=\"#ffffff\"/>", width, height);
    line("<text class=\"title\" x=\"{}\" y=\"36\">{}</text>", left, escaped(labels_.title));
    axes();
    legend();
    for (size_t i = 0; i < series_.size(); ++i) curve(i);
    out_ += "</svg>\n";
    return std::move(out_);
  }

 private:
  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }

  void axes() {
    for (const Tick& t : y_.ticks) {
      line("<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.2f}\" y2=\"{2:.2f}\"/>", left,
           right, y_.pixel(t.value));
      line("<text x=\"{}\" y=\"{:.2f}\" text-anchor=\"end\">{}</text>", left - 10,
           y_.pixel(t.value) + 4.5, t.label);
    }
    for (const Tick& t : x_.ticks) {
      line("<line class=\"frame\" x1=\"{0:.2f}\" x2=\"{0:.2f}\" y1=\"{1}\" y2=\"{2}\"/>",
           x_.pixel(t.value), bottom, bottom + 5);
      line("<text x=\"{:.2f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x_.pixel(t.value),
           bottom + 22, t.label);
    }
    line("<path class=\"frame\" d=\"M{0} {1}V{2}H{3}\"/>", left, top, bottom, right);
    line("<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
         (left + right) / 2, height - 16, escaped(labels_.x));
    line(
        "<text class=\"axis\" transform=\"translate(22 {}) rotate(-90)\" "
        "text-anchor=\"middle\">{}{}</text>",
        (top + bottom) / 2, escaped(labels_.y), y_.logarithmic ? " (log scale)" : "");
  }

  void legend() {
    // One row; character widths of the reader's font can only be guessed.
    double at = left;
    for (size_t i = 0; i < series_.size(); ++i) {
      const PlotSeries& s = series_[i];
      std::string value = last_value(s);
      double space = 60 + 7.5 * static_cast<double>(s.name.size() + value.size());
      if (at > left && at + space - 24 > right) return;
      line("<line class=\"curve\" x1=\"{}\" x2=\"{}\" y1=\"60\" y2=\"60\" stroke=\"{}\"/>", at,
           at + 22, color(i));
      line("<text x=\"{}\" y=\"64.5\">{} <tspan class=\"value\">{}</tspan></text>", at + 30,
           escaped(s.name), value);
      at += space;
    }
  }

  void curve(size_t i) {
    const PlotSeries& s = series_[i];
    std::string path = curve_path(s, x_, y_);
    if (path.empty()) return;
    line("<path class=\"curve\" stroke=\"{}\" d=\"{}\"/>", color(i), path);
    constexpr size_t few = 40;
    if (s.x.size() > few) return;
    for (size_t p = 0; p < s.x.size(); ++p) {
      if (!is_point(s, p)) continue;
      line("<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"3\" fill=\"{}\"/>", x_.pixel(s.x[p]),
           y_.pixel(s.y[p]), color(i));
    }
  }

  static const char* color(size_t i) { return colors[i % std::size(colors)]; }

  static std::string last_value(const PlotSeries& s) {
    return s.y.empty() ? "" : fmt::format("{:.4g}", s.y.back());
  }

  const std::vector<PlotSeries>& series_;
  const PlotLabels& labels_;
  Axis x_, y_;
  std::string out_;
};

}  // namespace

std::string loss_plot(const std::vector<PlotSeries>& series, const PlotLabels& labels) {
  return Document(series, labels).text();
}

}  // namespace onnxrun
