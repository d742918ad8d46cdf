#include <algorithm>
#include <cmath>

#include "base/atomic_file.h"
#include "base/error.h"
#include "command.h"
#include "data_options.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "plot/figure.h"
#include "plot/log_curves.h"
#include "plot/sweep.h"
#include "tensor/tensor.h"

namespace onnxrun::tool {

namespace {

class Plot final : public Command {
 public:
  Plot() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", model_path_, "the .onnx file whose outputs are shown").type_name("FILE");
    options.add("-o,--output", output_, "the picture, .svg or .png").type_name("FILE").required();
    options.add_repeated("--log", logs_, "curves of a log that train wrote (.jsonl or .csv)")
        .type_name("FILE");
    options.add("--fields", fields_, "fields of the logs (default: the losses): loss,val_loss")
        .type_name("NAMES");
    options.add("--x", x_, "the element of an input that moves: NAME=FROM..TO, or NAME[K]=FROM..TO")
        .type_name("NAME=A..B");
    options.add("--y", y_, "a second one: a heat map over the plane").type_name("NAME=A..B");
    options.add_repeated("-i,--input", sweep_.inputs, "the elements that do not move (default: 0)")
        .type_name("NAME=FILE");
    options
        .add("--outputs", sweep_.outputs,
             "outputs shown, or an element of one: y[2] (default: all, or the first over a plane)")
        .type_name("NAMES");
    options.add("--steps", steps_, "points along each direction (default: 400, 200 for a plane)")
        .type_name("N")
        .check(between(2, 2000));
    options.add_repeated("--data", data_, "points: arrays named like the inputs, and a target")
        .type_name("[NAME=]FILE[:KEY]");
    options.add("--boundary", boundary_, "a line where the output crosses this value")
        .type_name("VALUE");
    options.add("--theme", theme_, "background (default: light)")
        .type_name("light|dark")
        .check(one_of({"light", "dark"}));
    options.add("--title", title_, "text above the picture").type_name("TEXT");
  }

  int execute() override {
    check_usage();
    PictureFormat format = picture_format("-o", output_);
    Figure figure = logs_.empty() ? of_model() : of_logs();
    if (theme_ == "dark") figure.theme = PlotTheme::Dark;
    if (!title_.empty()) figure.labels.title = title_;
    std::string bytes = draw(figure, format);
    UninterruptedScope hold;
    write_file(output_, bytes);
    return exit_ok;
  }

 private:
  void check_usage() const {
    if (logs_.empty() == model_path_.empty()) {
      fail(ErrorKind::Usage, "give either a model or --log");
    }
    if (!logs_.empty() && (!x_.empty() || !y_.empty() || !data_.empty() || boundary_)) {
      fail(ErrorKind::Usage, "--x, --y, --data and --boundary belong to a model");
    }
    if (logs_.empty() && x_.empty()) {
      fail(ErrorKind::Usage, "what moves? --x NAME=FROM..TO, and --y for a plane");
    }
    if (boundary_ && y_.empty()) fail(ErrorKind::Usage, "--boundary belongs to --x with --y");
    if (logs_.empty() && !fields_.empty()) fail(ErrorKind::Usage, "--fields belongs to --log");
    FilesInUse files;
    files.read(logs_);
    files.read(model_path_);
    files.read(data_);
    files.read(sweep_.inputs);
    files.write("-o", output_);
  }

  Figure of_logs() const {
    Figure figure;
    figure.curves = log_curves(logs_, split_list(fields_), figure.labels.x);
    figure.last_values = true;
    bool losses = std::all_of(figure.curves.begin(), figure.curves.end(), [](const auto& c) {
      return c.name.find("loss") != std::string::npos;
    });
    if (!losses) figure.labels.y = "value";
    return figure;
  }

  Figure of_model() {
    Model model = load_model(model_path_, common_);
    SweptElement x = parse_swept("--x", x_);
    Figure figure;
    figure.labels = {model_path_.substr(model_path_.rfind('/') + 1), x.text(), ""};
    figure.linear = true;
    if (y_.empty()) {
      curves(model, x, figure);
    } else {
      plane(model, x, figure);
    }
    return figure;
  }

  void curves(const Model& model, const SweptElement& x, Figure& figure) {
    int steps = static_cast<int>(steps_.value_or(400));
    std::vector<double> places;
    for (int i = 0; i < steps; ++i) places.push_back(swept_value(x.range, i, steps));
    for (SweptOutput& out :
         in_context(model_path_, [&] { return sweep(model, common_, {x}, steps, sweep_); })) {
      figure.curves.push_back({out.name, places, std::move(out.values)});
    }
    figure.labels.y = figure.curves.size() == 1 ? figure.curves[0].name : "output";
    if (data_.empty()) return;
    NamedTensors arrays = load_data("--data", data_, common_);
    std::vector<double> at = coordinates(arrays, x), targets = targets_of(arrays, at.size());
    for (size_t i = 0; i < at.size(); ++i) figure.points.push_back({at[i], targets[i]});
  }

  void plane(const Model& model, const SweptElement& x, Figure& figure) {
    SweptElement y = parse_swept("--y", y_);
    if (y.input == x.input && y.element == x.element) {
      fail(ErrorKind::Usage, "--x and --y are the same, {}", x.text());
    }
    int steps = static_cast<int>(steps_.value_or(200));
    std::vector<SweptOutput> outputs = in_context(model_path_, [&] {
      return sweep(model, common_, {x, y}, steps, sweep_);
    });
    figure.labels.y = outputs.front().name;
    figure.map =
        HeatMap{x.range, y.range, y.text(), steps, std::move(outputs.front().values), boundary_};
    if (data_.empty()) return;
    NamedTensors arrays = load_data("--data", data_, common_);
    std::vector<double> across = coordinates(arrays, x), upward = coordinates(arrays, y);
    if (across.size() != upward.size()) {
      fail(ErrorKind::BadInput, "--data: there are {} points of '{}' and {} of '{}'", across.size(),
           x.text(), upward.size(), y.text());
    }
    std::vector<double> targets = targets_of(arrays, across.size());
    for (size_t i = 0; i < across.size(); ++i) {
      figure.points.push_back({across[i], upward[i], kind_of(targets[i])});
    }
  }

  // A class, or on which side of the boundary the target lies.
  int kind_of(double target) const {
    bool whole = target == std::floor(target) && target >= 0 && target < 100;
    return whole ? static_cast<int>(target) : target > boundary_.value_or(0.5);
  }

  static const NamedTensor* find(const NamedTensors& arrays, const std::string& name) {
    for (const NamedTensor& a : arrays) {
      if (a.name == name) return &a;
    }
    return nullptr;
  }

  static std::vector<double> coordinates(const NamedTensors& arrays, const SweptElement& swept) {
    const NamedTensor* a = find(arrays, swept.input);
    if (!a) fail(ErrorKind::BadInput, "--data: there is no array '{}'", swept.input);
    int64_t samples = a->tensor.rank() == 0 ? 1 : a->tensor.dim(0);
    int64_t size = samples == 0 ? 0 : a->tensor.size() / samples;
    if (swept.element >= size) {
      fail(ErrorKind::BadInput, "--data: '{}' is {}, and element {} of a sample does not exist",
           swept.input, a->tensor.type_text(), swept.element);
    }
    std::vector<double> values = to_doubles(a->tensor), chosen;
    for (int64_t i = 0; i < samples; ++i) {
      chosen.push_back(values[static_cast<size_t>(i * size + swept.element)]);
    }
    return chosen;
  }

  static std::vector<double> targets_of(const NamedTensors& arrays, size_t samples) {
    for (const char* name : {"target", "y", "label"}) {
      const NamedTensor* a = find(arrays, name);
      if (a && a->tensor.size() == static_cast<int64_t>(samples)) return to_doubles(a->tensor);
    }
    fail(ErrorKind::BadInput,
         "--data: there is no array target, y or label with a number for each of {} points",
         samples);
  }

  std::string model_path_, output_, x_, y_, fields_, theme_ = "light", title_;
  std::vector<std::string> logs_, data_;
  SweepOptions sweep_;
  std::optional<int64_t> steps_;
  std::optional<double> boundary_;
};

}  // namespace

const CommandInfo plot_command = {
    "plot", "draws curves of logs, or a model's outputs",
    "  onnxrun plot --log metrics.jsonl -o loss.svg\n"
    "  onnxrun plot --log sgd.csv --log adam.csv --fields val_loss --theme dark -o losses.png\n"
    "  onnxrun plot model.onnx --x 'x=-5..5' -o curve.svg\n"
    "  onnxrun plot model.onnx --x 'x[0]=0..1' --y 'x[1]=0..1' --data train.npz --boundary 0.5 "
    "-o plane.png",
    make_command<Plot>};

}  // namespace onnxrun::tool
