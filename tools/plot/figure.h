// What a picture shows, and how it is laid out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plot/axis.h"
#include "plot/canvas.h"

namespace onnxrun {

struct PlotSeries {
  std::string name;
  std::vector<double> x, y;  // equally many; points that are not finite leave a gap
};

struct PlotLabels {
  std::string title = "Training";  // none if empty
  std::string x = "epoch";
  std::string y = "loss";
};

// Values over a plane: `columns` by rows of them, the lowest y first, from edge to edge.
struct HeatMap {
  Range x, y;
  std::string y_name;  // of the upward axis; PlotLabels::y names the values
  int columns = 0;
  std::vector<double> values;
  std::optional<double> boundary;  // a line where the values cross it
};

// Points of data. `kind` chooses the colour; points of kind 0 are light, of kind 1 dark.
struct DataPoint {
  double x, y;
  int kind = 0;
};

enum class PlotTheme : uint8_t { Light, Dark };

struct Figure {
  PlotLabels labels;
  PlotTheme theme = PlotTheme::Light;
  std::vector<PlotSeries> curves;
  double height = 500;         // of curves
  bool last_values = false;    // in the legend
  bool linear = false;         // never a logarithmic y axis
  bool logarithmic_x = false;  // where all x are positive
  std::optional<HeatMap> map;  // then there are no curves, and a scale of colours stands beside it
  std::vector<DataPoint> points;
};

// The bytes of the picture. Long curves keep the extremes of every pixel column, so the document
// stays small. Equal figures give equal bytes in SVG.
std::string draw(const Figure& figure, PictureFormat format);
// One below the other, at least one; the picture is called what the first is.
std::string draw(const std::vector<Figure>& panels, PictureFormat format);

}  // namespace onnxrun
