#include <cmath>
#include <limits>

#include "plot/figure.h"
#include "support/files.h"

namespace onnxrun::testing {
namespace {

std::string loss_plot(const std::vector<PlotSeries>& series, const PlotLabels& labels = {},
                      PictureFormat format = PictureFormat::Svg) {
  Figure figure;
  figure.labels = labels;
  figure.curves = series;
  figure.last_values = true;
  return draw(figure, format);
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++n;
  return n;
}

// Tags that open and close in each other, and entities instead of bare ampersands.
void expect_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (size_t at = 0; (at = svg.find('<', at)) != std::string::npos; ++at) {
    size_t end = svg.find('>', at);
    ASSERT_NE(end, std::string::npos);
    std::string tag = svg.substr(at + 1, end - at - 1), name = tag.substr(0, tag.find(' '));
    EXPECT_EQ(count(tag, "\"") % 2, 0u) << tag;
    if (name[0] == '/') {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ("/" + open.back(), name);
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(count(svg, "&"), count(svg, "&amp;") + count(svg, "&lt;") + count(svg, "&gt;"));
}

PlotSeries series(const std::string& name, size_t n, double (*y)(double)) {
  PlotSeries s{name, {}, {}};
  for (size_t i = 0; i < n; ++i) {
    s.x.push_back(static_cast<double>(i));
    s.y.push_back(y(static_cast<double>(i)));
  }
  return s;
}

TEST(LossPlot, DrawsACurveASeries) {
  std::string svg = loss_plot({series("loss", 20, [](double x) { return 2 - x / 20; }),
                               series("val_loss", 20, [](double x) { return 3 - x / 20; })});
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "<path class=\"curve\""), 2u);
  EXPECT_EQ(count(svg, "<circle"), 40u);
  EXPECT_EQ(count(svg, ">val_loss "), 1u);
  EXPECT_EQ(count(svg, "log scale"), 0u);
  EXPECT_EQ(count(svg, "nan"), 0u);
}

TEST(LossPlot, IsLogarithmicWhenTheRangeIsLarge) {
  std::string svg = loss_plot({series("loss", 50, [](double x) { return std::exp(-x / 4); })});
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "log scale"), 1u);
  EXPECT_EQ(count(svg, ">0.01<"), 1u);
}

TEST(LossPlot, StaysSmall) {
  auto noise = [](double x) { return std::sin(x * x) + 2; };
  std::string svg = loss_plot({series("loss", 200000, noise)});
  EXPECT_LT(svg.size(), 80000u);
  expect_well_formed(svg);
}

TEST(LossPlot, SurvivesWhatHasNoPlace) {
  double inf = std::numeric_limits<double>::infinity();
  std::vector<std::vector<PlotSeries>> cases = {
      {},
      {{"empty", {}, {}}},
      {{"one", {3}, {0.5}}},
      {{"zero", {1, 2}, {0, 0}}},
      {{"constant", {1, 2}, {5e9, 5e9}}},
      {{"gap", {1, 2, 3, 4}, {1, inf - inf, inf, 2}}},
      {{"huge", {1, 2}, {-1.7e308, 1.7e308}}},
      {{"tiny", {1, 2}, {1e-320, 1e-310}}},
      {{"narrow", {1, 2}, {1e17, 1e17 + 64}}},
      {{"far", {1e300, 1.5e300}, {1, 2}}},
      {{"<&>\x01\xff", {1}, {1}}},
  };
  for (const auto& s : cases) {
    std::string svg = loss_plot(s, {.title = "a & b"});
    expect_well_formed(svg);
    EXPECT_EQ(count(svg, "\x01"), 0u);
  }
}

}  // namespace
}  // namespace onnxrun::testing
