// Where pictures are drawn: one interface, a document of vectors or of pixels behind it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace onnxrun {

enum class PictureFormat : uint8_t { Svg, Png };

// By the ending of the name, ".svg" or ".png" in any case. Throws Usage for others, naming
// `option`.
PictureFormat picture_format(const std::string& option, const std::string& path);

// In units of the picture, from its upper left corner.
struct Place {
  double x, y;
};

struct Color {
  uint8_t red = 0, green = 0, blue = 0;
};

struct Pen {
  Color color;
  double width = 1;
};

enum class Anchor : uint8_t { Start, Middle, End };

struct TextStyle {
  Color color;
  double size = 15;
  bool bold = false;
  Anchor anchor = Anchor::Start;
  bool upward = false;  // turned by a quarter
};

// A picture that is being drawn, once and from back to front. Places that are not finite are the
// caller's mistake.
class Canvas {
 public:
  virtual ~Canvas() = default;

  virtual void rectangle(Place corner, double width, double height, Color fill) = 0;
  virtual void line(Place from, Place to, Pen pen) = 0;
  // Lines through the places of each piece; what has one place only is a dot.
  virtual void curve(const std::vector<std::vector<Place>>& pieces, Pen pen) = 0;
  virtual void circle(Place centre, double radius, Color fill, const Pen* outline) = 0;
  // `at` is where the baseline begins, is centred or ends. Bytes that are no UTF-8 become "?".
  virtual void text(Place at, const std::string& text, const TextStyle& style) = 0;
  // Pixels from the upper left corner, row by row, stretched without smoothing.
  virtual void image(Place corner, double width, double height, int columns,
                     const std::vector<Color>& pixels) = 0;
  // The bytes of the file. Nothing is drawn afterwards.
  virtual std::string take() = 0;
};

// A self-contained SVG document (no scripts, fonts or links); equal drawings give equal bytes.
std::unique_ptr<Canvas> svg_canvas(double width, double height, const std::string& title);
// A PNG of twice as many pixels in each direction. Throws Unsupported where the system has no
// cairo.
std::unique_ptr<Canvas> png_canvas(double width, double height);
std::unique_ptr<Canvas> make_canvas(PictureFormat format, double width, double height,
                                    const std::string& title);

// A PNG file of these pixels.
std::string encode_png(int columns, const std::vector<Color>& pixels);

}  // namespace onnxrun
