#include "training_display.h"

#include <algorithm>
#include <cstdio>

#include "base/atomic_file.h"
#include "base/seconds.h"
#include "messages.h"
#include "plot/canvas.h"

namespace onnxrun::tool {

Progress::Progress() : bar_(shows_progress()) {}

void Progress::step_end(Fit& fit, const StepRecord& record) {
  if (is_shown(LogLevel::Debug)) {
    debug("step {}: loss {:.9g}, lr {:.9g}", record.step, record.loss, record.lr);
  }
  if (!bar_) return;
  double time = seconds_now();
  if (time - shown_at_ < 0.1) return;
  shown_at_ = time;
  const FitSummary& all = fit.summary();
  double part = static_cast<double>(record.step) / static_cast<double>(all.total_steps);
  auto filled = static_cast<size_t>(std::min(part, 1.0) * 24);
  double left = fit.seconds() / part * (1 - part);
  std::string line =
      fmt::format("epoch {}/{} [{}{}] step {}/{}, loss {:.6g}, {:.0f} s left", record.epoch,
                  fit.options().epochs, std::string(filled, '='), std::string(24 - filled, ' '),
                  record.step, all.total_steps, record.loss, std::max(left, 0.0));
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
}

void Progress::epoch_end(Fit& fit, const EpochRecord& record) {
  if (!is_shown(LogLevel::Info)) return;
  bool shown = bar_ && record.epoch < fit.options().epochs && seconds_now() - shown_at_ < 0.1;
  if (shown) return;
  clear();
  std::string text =
      fmt::format("epoch {}/{}: loss {:.6g}", record.epoch, fit.options().epochs, record.loss);
  for (const auto& [name, value] : record.metrics) text += fmt::format(", {} {:.6g}", name, value);
  info("{}, {:.1f} s", text, record.seconds);
  shown_at_ = seconds_now();
}

void Progress::aborted(Fit&) { clear(); }

void Progress::clear() const {
  if (bar_) std::fprintf(stderr, "\r\033[K");
}

void CurvePlot::step_end(Fit& fit, const StepRecord& record) {
  if (fit.options().epochs == 1) steps_.push_back(record);
}

namespace {

// Panels of curves over one x.
class Curves {
 public:
  explicit Curves(std::string x) : x_(std::move(x)) {}

  // A point of curve `name`, which stands among those that its name says.
  void add(const std::string& name, double x, double y) {
    Panel& panel = name == "learning rate" ? rates_ : name.ends_with("loss") ? losses_ : metrics_;
    auto curve = std::find_if(panel.begin(), panel.end(),
                              [&](const PlotSeries& s) { return s.name == name; });
    if (curve == panel.end()) curve = panel.insert(curve, {name, {}, {}});
    curve->x.push_back(x);
    curve->y.push_back(y);
  }

  std::vector<Figure> figures() {
    std::vector<Figure> all;
    append(all, "Training", "loss", 500, std::move(losses_));
    append(all, "", "metrics", 320, std::move(metrics_));
    bool changes = !rates_.empty() && std::count(rates_[0].y.begin(), rates_[0].y.end(),
                                                 rates_[0].y[0]) < std::ssize(rates_[0].y);
    if (changes) append(all, "", "learning rate", 320, std::move(rates_));
    all.back().linear = changes;
    return all;
  }

 private:
  using Panel = std::vector<PlotSeries>;

  void append(std::vector<Figure>& all, const char* title, const char* y, double height,
              Panel curves) const {
    if (curves.empty() && !all.empty()) return;
    Figure figure;
    figure.labels = {title, x_, y};
    figure.curves = std::move(curves);
    figure.height = height;
    figure.last_values = true;
    all.push_back(std::move(figure));
  }

  std::string x_;
  Panel losses_, metrics_, rates_;
};

}  // namespace

void CurvePlot::end(Fit& fit) {
  const bool by_steps = fit.options().epochs == 1;
  Curves curves(by_steps ? "step" : "epoch");
  for (const StepRecord& record : steps_) {
    curves.add("loss", static_cast<double>(record.step), record.loss);
    curves.add("learning rate", static_cast<double>(record.step), record.lr);
  }
  for (const EpochRecord& record : fit.history()) {
    auto x = static_cast<double>(by_steps ? record.step : record.epoch);
    if (!by_steps) {
      curves.add("loss", x, record.loss);
      curves.add("learning rate", x, record.lr);
    }
    for (const auto& [name, value] : record.metrics) curves.add(name, x, value);
  }
  write_file(path_, draw(curves.figures(), picture_format("--plot", path_)));
}

void plot_sweep(const std::string& path, const RateSweep& sweep) {
  Figure figure;
  figure.labels = {"Learning rates", "learning rate", "loss"};
  figure.curves = {{"smoothed", {}, {}}, {"loss", {}, {}}};
  figure.logarithmic_x = true;
  for (const RateSweep::Point& point : sweep.points) {
    figure.curves[0].x.push_back(point.lr);
    figure.curves[0].y.push_back(point.smoothed);
    figure.curves[1].x.push_back(point.lr);
    figure.curves[1].y.push_back(point.loss);
    if (point.lr == sweep.suggestion) figure.points.push_back({point.lr, point.smoothed, 1});
  }
  write_file(path, draw(figure, picture_format("--plot", path)));
}

}  // namespace onnxrun::tool
