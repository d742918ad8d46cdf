#include "loss_plot.h"

namespace onnxrun {

std::string loss_plot(const std::vector<PlotSeries>& series, const PlotLabels& labels,
                      PictureFormat format) {
  Figure figure;
  figure.labels = labels;
  figure.curves = series;
  figure.last_values = true;
  return draw(figure, format);
}

}  // namespace onnxrun
