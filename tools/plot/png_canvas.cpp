// The one place that knows cairo and writes PNG. Cairo brings the window system's libraries with
// it, so it is loaded when the first PNG is drawn: a command that draws none starts without them.
#include <cairo/cairo.h>
#include <png.h>

#include <array>
#include <cstring>

#include "base/error.h"
#include "base/shared_library.h"
#include "formats/utf8.h"
#include "plot/canvas.h"

namespace onnxrun {

namespace {

// Cairo's functions by the names that its header declares.
class Cairo {
 public:
  static const Cairo& get() {
    static const Cairo functions;
    return functions;
  }

  SharedLibrary library{
      "libcairo.so.2",
      "PNG pictures are drawn by cairo, which is not there (libcairo2); .svg needs nothing"};

// NOLINTBEGIN(bugprone-macro-parentheses): names of members
#define ONNXRUN_CAIRO(name) \
  decltype(&cairo_##name) name = library.find<decltype(&cairo_##name)>("cairo_" #name)
  // NOLINTEND(bugprone-macro-parentheses)

  ONNXRUN_CAIRO(image_surface_create);
  ONNXRUN_CAIRO(image_surface_create_for_data);
  ONNXRUN_CAIRO(image_surface_get_data);
  ONNXRUN_CAIRO(image_surface_get_stride);
  ONNXRUN_CAIRO(surface_flush);
  ONNXRUN_CAIRO(surface_destroy);
  ONNXRUN_CAIRO(create);
  ONNXRUN_CAIRO(destroy);
  ONNXRUN_CAIRO(status);
  ONNXRUN_CAIRO(scale);
  ONNXRUN_CAIRO(translate);
  ONNXRUN_CAIRO(rotate);
  ONNXRUN_CAIRO(save);
  ONNXRUN_CAIRO(restore);
  ONNXRUN_CAIRO(set_source_rgb);
  ONNXRUN_CAIRO(set_source_surface);
  ONNXRUN_CAIRO(get_source);
  ONNXRUN_CAIRO(pattern_set_filter);
  ONNXRUN_CAIRO(set_line_width);
  ONNXRUN_CAIRO(set_line_cap);
  ONNXRUN_CAIRO(set_line_join);
  ONNXRUN_CAIRO(move_to);
  ONNXRUN_CAIRO(line_to);
  ONNXRUN_CAIRO(rectangle);
  ONNXRUN_CAIRO(arc);
  ONNXRUN_CAIRO(fill);
  ONNXRUN_CAIRO(fill_preserve);
  ONNXRUN_CAIRO(stroke);
  ONNXRUN_CAIRO(new_path);
  ONNXRUN_CAIRO(paint);
  ONNXRUN_CAIRO(select_font_face);
  ONNXRUN_CAIRO(set_font_size);
  ONNXRUN_CAIRO(text_extents);
  ONNXRUN_CAIRO(show_text);
#undef ONNXRUN_CAIRO
};

// Pixels as cairo keeps them: 0xRRGGBB in words of the machine.
uint32_t word_of(Color c) {
  return uint32_t{c.red} << 16 | uint32_t{c.green} << 8 | uint32_t{c.blue};
}

class PngCanvas final : public Canvas {
 public:
  PngCanvas(double width, double height)
      : columns_(static_cast<int>(width * scale)), rows_(static_cast<int>(height * scale)) {
    surface_ = cairo_.image_surface_create(CAIRO_FORMAT_RGB24, columns_, rows_);
    pen_ = cairo_.create(surface_);
    cairo_.scale(pen_, scale, scale);
    cairo_.set_line_cap(pen_, CAIRO_LINE_CAP_ROUND);
    cairo_.set_line_join(pen_, CAIRO_LINE_JOIN_ROUND);
  }
  ~PngCanvas() override {
    cairo_.destroy(pen_);
    cairo_.surface_destroy(surface_);
  }
  PngCanvas(const PngCanvas&) = delete;
  PngCanvas& operator=(const PngCanvas&) = delete;

  void rectangle(Place corner, double width, double height, Color fill) override {
    use(fill);
    cairo_.rectangle(pen_, corner.x, corner.y, width, height);
    cairo_.fill(pen_);
  }

  void line(Place from, Place to, Pen pen) override { curve({{from, to}}, pen); }

  void curve(const std::vector<std::vector<Place>>& pieces, Pen pen) override {
    use(pen.color);
    cairo_.set_line_width(pen_, pen.width);
    for (const std::vector<Place>& piece : pieces) {
      for (size_t i = 0; i < piece.size(); ++i) {
        (i == 0 ? cairo_.move_to : cairo_.line_to)(pen_, piece[i].x, piece[i].y);
      }
      // A piece of one place is a dot.
      if (piece.size() == 1) cairo_.line_to(pen_, piece[0].x, piece[0].y);
    }
    cairo_.stroke(pen_);
  }

  void circle(Place centre, double radius, Color fill, const Pen* outline) override {
    constexpr double full = 6.283185307179586;
    use(fill);
    cairo_.new_path(pen_);
    cairo_.arc(pen_, centre.x, centre.y, radius, 0, full);
    cairo_.fill_preserve(pen_);
    if (outline) {
      use(outline->color);
      cairo_.set_line_width(pen_, outline->width);
      cairo_.stroke(pen_);
    }
    cairo_.new_path(pen_);
  }

  void text(Place at, const std::string& text, const TextStyle& style) override {
    std::u32string points;
    std::string shown = decode_utf8(text, points) && text.find('\0') == std::string::npos
                            ? text
                            : std::string(text.size(), '?');
    use(style.color);
    cairo_.select_font_face(pen_, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                            style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_.set_font_size(pen_, style.size);
    cairo_text_extents_t extents;
    cairo_.text_extents(pen_, shown.c_str(), &extents);
    double before = extents.x_advance * 0.5 * static_cast<double>(style.anchor);
    cairo_.save(pen_);
    cairo_.translate(pen_, at.x, at.y);
    if (style.upward) cairo_.rotate(pen_, -1.5707963267948966);
    cairo_.move_to(pen_, -before, 0);
    cairo_.show_text(pen_, shown.c_str());
    cairo_.restore(pen_);
    cairo_.new_path(pen_);
  }

  void image(Place corner, double width, double height, int columns,
             const std::vector<Color>& pixels) override {
    std::vector<uint32_t> words(pixels.size());
    for (size_t i = 0; i < pixels.size(); ++i) words[i] = word_of(pixels[i]);
    int rows = static_cast<int>(pixels.size()) / columns;
    cairo_surface_t* source =
        cairo_.image_surface_create_for_data(reinterpret_cast<unsigned char*>(words.data()),
                                             CAIRO_FORMAT_RGB24, columns, rows, columns * 4);
    cairo_.save(pen_);
    cairo_.rectangle(pen_, corner.x, corner.y, width, height);
    cairo_.translate(pen_, corner.x, corner.y);
    cairo_.scale(pen_, width / columns, height / rows);
    cairo_.set_source_surface(pen_, source, 0, 0);
    cairo_.pattern_set_filter(cairo_.get_source(pen_), CAIRO_FILTER_NEAREST);
    cairo_.fill(pen_);
    cairo_.restore(pen_);
    cairo_.surface_destroy(source);
  }

  std::string take() override {
    cairo_.surface_flush(surface_);
    if (cairo_.status(pen_) != CAIRO_STATUS_SUCCESS) {
      fail(ErrorKind::CannotWrite, "cairo could not draw the picture");
    }
    const unsigned char* rows = cairo_.image_surface_get_data(surface_);
    auto stride = static_cast<size_t>(cairo_.image_surface_get_stride(surface_));
    std::vector<Color> pixels;
    for (int r = 0; r < rows_; ++r) {
      for (int c = 0; c < columns_; ++c) {
        uint32_t word = 0;
        std::memcpy(&word, rows + static_cast<size_t>(r) * stride + static_cast<size_t>(c) * 4, 4);
        pixels.push_back({static_cast<uint8_t>(word >> 16), static_cast<uint8_t>(word >> 8),
                          static_cast<uint8_t>(word)});
      }
    }
    return encode_png(columns_, pixels);
  }

 private:
  static constexpr double scale = 2;

  void use(Color c) { cairo_.set_source_rgb(pen_, c.red / 255.0, c.green / 255.0, c.blue / 255.0); }

  const Cairo& cairo_ = Cairo::get();
  int columns_, rows_;
  cairo_surface_t* surface_ = nullptr;
  cairo_t* pen_ = nullptr;
};

}  // namespace

std::string encode_png(int columns, const std::vector<Color>& pixels) {
  static_assert(sizeof(Color) == 3);
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(columns);
  image.height = static_cast<png_uint_32>(pixels.size()) / image.width;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  std::string bytes;
  bool done = png_image_write_get_memory_size(image, size, 0, pixels.data(), 0, nullptr) != 0;
  if (done) {
    bytes.resize(size);
    done =
        png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, nullptr) != 0;
  }
  if (!done) fail(ErrorKind::CannotWrite, "the PNG could not be made: {}", image.message);
  bytes.resize(size);
  return bytes;
}

std::unique_ptr<Canvas> png_canvas(double width, double height) {
  return std::make_unique<PngCanvas>(width, height);
}

}  // namespace onnxrun
