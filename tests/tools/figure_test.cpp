#include "plot/figure.h"

#include <cmath>

#include "plot/contour.h"
#include "support/files.h"

namespace onnxrun::testing {
namespace {

// The distance from the origin over a grid of 11 by 11 cells.
std::vector<double> cone() {
  std::vector<double> values;
  for (int r = 0; r <= 10; ++r) {
    for (int c = 0; c <= 10; ++c) values.push_back(std::hypot(c, r));
  }
  return values;
}

TEST(Contour, LiesWhereTheValuesCrossTheLevel) {
  auto pieces = contour(cone(), 11, 5.5);
  ASSERT_GT(pieces.size(), 8u);
  for (const auto& piece : pieces) {
    ASSERT_EQ(piece.size(), 2u);
    for (const Place& p : piece) EXPECT_NEAR(std::hypot(p.x, p.y), 5.5, 0.03);
  }
  EXPECT_TRUE(contour(cone(), 11, 99).empty());
  EXPECT_TRUE(contour(std::vector<double>(4, std::nan("")), 2, 0).empty());
}

TEST(Figure, HasTheMapTheBoundaryAndThePoints) {
  Figure figure;
  figure.labels = {"cone", "a", "r"};
  figure.map = HeatMap{{0, 1}, {0, 2}, "b", 11, cone(), 5.0};
  figure.points = {{0.5, 0.5, 0}, {0.2, 1.5, 1}, {3, 0, 1}, {std::nan(""), 0, 1}};
  std::string svg = draw(figure, PictureFormat::Svg);
  EXPECT_EQ(svg, draw(figure, PictureFormat::Svg));
  for (const char* part : {">cone<", ">a<", ">b<", ">r<", "data:image/png;base64,iVBOR", "<path"}) {
    EXPECT_NE(svg.find(part), std::string::npos) << part;
  }
  size_t circles = 0;
  for (size_t at = 0; (at = svg.find("<circle", at)) != std::string::npos; ++at) ++circles;
  EXPECT_EQ(circles, 2u);  // the others lie outside
}

TEST(Figure, LabelsFitBesideTheAxis) {
  Figure figure;
  figure.curves = {{"loss", {0, 1, 2}, {1, 1e-4, 3e-7}}};
  std::string svg = draw(figure, PictureFormat::Svg);
  for (const char* label : {">1<", ">0.001<", ">1e-4<", ">1e-6<"}) {
    EXPECT_NE(svg.find(label), std::string::npos) << label;
  }
  figure.curves = {{"loss", {0, 1, 2}, {1.1e-4, 1.2e-4, 1.3e-4}}};
  svg = draw(figure, PictureFormat::Svg);
  EXPECT_NE(svg.find(">1.25e-4<"), std::string::npos) << svg;
}

TEST(Figure, IsAPngOfTwiceItsSize) {
  Figure figure;
  figure.curves = {{"l\xff\x01ss", {0, 1, 2}, {3, std::nan(""), 1}}};
  for (PlotTheme theme : {PlotTheme::Light, PlotTheme::Dark}) {
    figure.theme = theme;
    std::string png = draw(figure, PictureFormat::Png);
    EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
    EXPECT_EQ(static_cast<uint8_t>(png[18]) * 256 + static_cast<uint8_t>(png[19]), 1720);
  }
}

}  // namespace
}  // namespace onnxrun::testing
