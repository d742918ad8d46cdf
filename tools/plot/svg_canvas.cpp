#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "formats/utf8.h"
#include "plot/canvas.h"

namespace onnxrun {

namespace {

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

std::string hex(Color c) { return fmt::format("#{:02x}{:02x}{:02x}", c.red, c.green, c.blue); }

std::string base64(const std::string& bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    size_t there = std::min<size_t>(3, bytes.size() - at);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < there ? static_cast<uint8_t>(bytes[at + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += k <= there ? digits[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

class SvgCanvas final : public Canvas {
 public:
  SvgCanvas(double width, double height, const std::string& title) {
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" role=\"img\">",
        width, height);
    add("<title>{}</title>", escaped(title));
    add("<style>text{{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}}"
        "path{{fill:none;stroke-linejoin:round;stroke-linecap:round}}</style>");
  }

  void rectangle(Place corner, double width, double height, Color fill) override {
    add("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"/>",
        corner.x, corner.y, width, height, hex(fill));
  }

  void line(Place from, Place to, Pen pen) override {
    add("<line x1=\"{:.2f}\" y1=\"{:.2f}\" x2=\"{:.2f}\" y2=\"{:.2f}\" stroke=\"{}\" "
        "stroke-width=\"{}\"/>",
        from.x, from.y, to.x, to.y, hex(pen.color), pen.width);
  }

  void curve(const std::vector<std::vector<Place>>& pieces, Pen pen) override {
    std::string path;
    for (const std::vector<Place>& piece : pieces) {
      char verb = 'M';
      for (const Place& p : piece) {
        path += fmt::format("{}{:.2f} {:.2f}", std::exchange(verb, 'L'), p.x, p.y);
      }
    }
    if (path.empty()) return;
    add("<path class=\"curve\" stroke=\"{}\" stroke-width=\"{}\" d=\"{}\"/>", hex(pen.color),
        pen.width, path);
  }

  void circle(Place centre, double radius, Color fill, const Pen* outline) override {
    std::string edge;
    if (outline) {
      edge = fmt::format(" stroke=\"{}\" stroke-width=\"{}\"", hex(outline->color), outline->width);
    }
    add("<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"{}\" fill=\"{}\"{}/>", centre.x, centre.y, radius,
        hex(fill), edge);
  }

  void text(Place at, const std::string& text, const TextStyle& style) override {
    constexpr const char* anchors[] = {"start", "middle", "end"};
    std::string place =
        style.upward ? fmt::format("transform=\"translate({:.2f} {:.2f}) rotate(-90)\"", at.x, at.y)
                     : fmt::format("x=\"{:.2f}\" y=\"{:.2f}\"", at.x, at.y);
    add("<text {} font-size=\"{}\"{} text-anchor=\"{}\" fill=\"{}\">{}</text>", place, style.size,
        style.bold ? " font-weight=\"600\"" : "", anchors[static_cast<size_t>(style.anchor)],
        hex(style.color), escaped(text));
  }

  void image(Place corner, double width, double height, int columns,
             const std::vector<Color>& pixels) override {
    add("<image x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" "
        "preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" "
        "href=\"data:image/png;base64,{}\"/>",
        corner.x, corner.y, width, height, base64(encode_png(columns, pixels)));
  }

  std::string take() override {
    out_ += "</svg>\n";
    return std::move(out_);
  }

 private:
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }

  std::string out_;
};

}  // namespace

std::unique_ptr<Canvas> svg_canvas(double width, double height, const std::string& title) {
  return std::make_unique<SvgCanvas>(width, height, title);
}

}  // namespace onnxrun
