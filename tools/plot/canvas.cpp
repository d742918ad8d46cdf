#include "plot/canvas.h"

#include <cctype>
#include <filesystem>

#include "base/error.h"

namespace onnxrun {

PictureFormat picture_format(const std::string& option, const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (ending == ".svg") return PictureFormat::Svg;
  if (ending == ".png") return PictureFormat::Png;
  fail(ErrorKind::Usage, "{} {}: pictures are .svg or .png", option, path);
}

std::unique_ptr<Canvas> make_canvas(PictureFormat format, double width, double height,
                                    const std::string& title) {
  if (format == PictureFormat::Png) return png_canvas(width, height);
  return svg_canvas(width, height, title);
}

}  // namespace onnxrun
