#include <algorithm>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "command.h"
#include "data_options.h"
#include "exit_code.h"
#include "files_in_use.h"
#include "fit/model_data.h"
#include "fit/sample_shape.h"
#include "formats/print.h"
#include "inputs.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "onnxrun/preparation.h"
#include "top_classes.h"
#include "value_files.h"

namespace onnxrun::tool {

namespace {

// Batches of outputs, joined along the axis that counts their samples: the first, or another that
// is named for the batch.
class OutputCollector {
 public:
  void add(const NamedValues& outputs, int64_t samples) {
    if (parts_.empty()) parts_.resize(outputs.size());
    for (size_t k = 0; k < outputs.size(); ++k) {
      const auto& [name, value] = outputs[k];
      if (!value.is_tensor()) {
        fail(ErrorKind::Unsupported, "output '{}' is no tensor and cannot be joined over batches",
             name);
      }
      Tensor t = value.tensor;
      if (samples == 1 && dropped_) {
        Dims dims = t.dims();
        dims.insert(dims.begin(), 1);
        t = t.view(dims);
      }
      int64_t axis = axis_of(k);
      if (t.rank() <= axis || t.dim(axis) != samples) {
        fail(ErrorKind::BadInput,
             "output '{}' is {} for a batch of {}: its {} has to count the samples", name,
             t.type_text(), samples, axis == 0 ? "first axis" : fmt::format("axis {}", axis));
      }
      parts_[k].push_back(t.clone());
    }
  }

  // Each batch is one sample without an axis for it.
  void set_dropped(bool dropped) { dropped_ = dropped; }
  // Axes of the outputs.
  void set_axes(std::vector<int64_t> axes) { axes_ = std::move(axes); }

  NamedValues join(const std::vector<std::string>& names) const {
    NamedValues joined;
    for (size_t k = 0; k < names.size(); ++k) {
      joined.emplace_back(names[k], concatenate(parts_[k], axis_of(k)));
    }
    return joined;
  }

 private:
  int64_t axis_of(size_t k) const { return k < axes_.size() ? axes_[k] : 0; }

  static Tensor concatenate(const std::vector<Tensor>& parts, int64_t axis) {
    Dims dims = parts.front().dims();
    auto length = dims.begin() + axis;
    *length = 0;
    for (const Tensor& p : parts) {
      Dims others = p.dims();
      *length += p.dim(axis);
      others[static_cast<size_t>(axis)] = *length;
      if (others != dims) {
        fail(ErrorKind::BadInput, "batches give outputs of different shapes: {} and {}",
             parts.front().type_text(), p.type_text());
      }
    }
    Tensor all(parts.front().dtype(), dims);
    if (bits_of(all.dtype()) % 8 != 0) {
      fail(ErrorKind::Unsupported, "outputs of type {} are not joined over batches",
           to_string(all.dtype()));
    }
    int64_t outer = element_count(Dims(dims.begin(), length)), at = 0;
    int64_t width = bits_of(all.dtype()) / 8;
    for (int64_t o = 0; o < outer; ++o) {
      for (const Tensor& p : parts) {
        int64_t count = p.size() / outer;
        if (p.dtype() == DType::String) {
          std::copy_n(p.data<std::string>() + o * count, count, all.data<std::string>() + at);
        } else {
          std::memcpy(all.raw() + at * width, p.raw() + o * count * width,
                      static_cast<size_t>(count * width));
        }
        at += count;
      }
    }
    return all;
  }

  std::vector<int64_t> axes_;
  std::vector<std::vector<Tensor>> parts_;
  bool dropped_ = false;
};

class Run final : public Command {
 public:
  Run() : Command({}) {}

  void declare(Options& options) override {
    options.add("model", model_, model_help).type_name("FILE").required();
    add_input_options(options, inputs_);
    options
        .add("-o,--output", output_,
             "write outputs to .npz, .npy, .pb, .json, .csv, .safetensors, or a directory of "
             ".pb (default: print them)")
        .type_name("FILE");
    options.add("--outputs", wanted_, "values to compute, inner ones included: a,b")
        .type_name("NAMES");
    add_data_options(options, data_);
    add_as_trained(options, data_.as_trained);
    options.add("--top", top_, "print the K largest elements of each sample")
        .type_name("K")
        .check(at_least(1));
    options
        .add("--labels", labels_,
             "names of classes for --top, one a line (default: those that the model was trained "
             "with)")
        .type_name("FILE");
  }

  int execute() override {
    if (!labels_.empty() && !top_) fail(ErrorKind::Usage, "--labels belongs to --top");
    if (data_.batch_size && data_.data.empty()) {
      fail(ErrorKind::Usage, "--batch-size belongs to --data");
    }
    Model model = load_model(model_, common_);
    check_files(model);
    SessionOptions options = common_.session_options();
    if (wanted_) options.outputs = wanted_values(model.graph(), *wanted_);
    Session session(model, options);
    if (top_ && labels_.empty()) names_ = class_names(model, session.output_names().front());
    write(compute(model, session));
    return exit_ok;
  }

 private:
  void check_files(const Model& model) const {
    FilesInUse files;
    files.read(model);
    files.read(inputs_.inputs);
    files.read(data_.data);
    files.read(labels_);
    files.write("-o", output_);
  }

  // Names may have commas: one that is whole in the graph is not cut.
  std::vector<std::string> wanted_values(const Graph& graph, const std::string& list) const {
    std::vector<std::string> names = split_list(list);
    if (names.empty()) fail(ErrorKind::Usage, "--outputs: '{}' names no output", list);
    if (graph.find(list) != no_value) names = {list};
    for (const std::string& name : names) {
      if (graph.find(name) != no_value) continue;
      std::vector<std::string> there;
      for (const Node& node : graph.nodes) {
        for (ValueId v : node.outputs) {
          if (v != no_value) there.push_back(graph.name_of(v));
        }
      }
      fail(ErrorKind::BadInput, "{}: there is no value '{}'; there are {}", model_, name,
           name_list(there));
    }
    return names;
  }

  NamedValues compute(const Model& model, Session& session) {
    const Graph& graph = model.graph();
    std::vector<std::string> needed = session.input_names();
    if (!data_.data.empty()) return compute_batches(model, session, needed);
    NamedValues inputs = gather_inputs(graph, inputs_, common_, needed);
    in_context(model_, [&] { prepare_as_trained(model, data_.as_trained, inputs); });
    CancelScope cancel(session);
    return in_context(model_, [&] { return session.run(inputs); });
  }

  NamedValues compute_batches(const Model& model, Session& session,
                              std::vector<std::string> needed) {
    const Graph& graph = model.graph();
    NamedTensors arrays = load_data("--data", data_.take_streams(model, common_), common_);
    FeedOptions feed = feed_options(data_, common_);
    ModelData data = make_model_data(graph, arrays, feed, {}, {}, needed);
    for (const std::string& text : data.warnings) warn("{}", text);
    for (const std::string& note : data.notes) info("{}", note);
    std::erase_if(needed, [&](const std::string& name) {
      return std::find(data.inputs.begin(), data.inputs.end(), name) != data.inputs.end();
    });
    NamedValues fixed = gather_inputs(graph, inputs_, common_, needed);
    BatchOptions options{.batch_size = batch_size_for(graph, data, feed), .shuffle = false};
    Batches batches(data.set, options);
    OutputCollector collector;
    collector.set_dropped(data.set.arrays().front().drop_single);
    bool first_axis = data.set.arrays().front().batch_axis == 0;
    if (!first_axis) collector.set_axes(batch_axes(graph, session.output_names()));
    CancelScope cancel(session);
    for (int64_t k = 0; k < batches.count(); ++k) {
      check_interrupt();
      NamedValues feeds = data.feeds(batches.batch(k));
      feeds.insert(feeds.end(), fixed.begin(), fixed.end());
      in_context(model_, [&] { collector.add(session.run(feeds), batches.size_of(k)); });
    }
    return collector.join(session.output_names());
  }

  static std::vector<int64_t> batch_axes(const Graph& graph,
                                         const std::vector<std::string>& names) {
    std::vector<int64_t> axes;
    for (const std::string& name : names) {
      axes.push_back(named_batch_axis(graph.value(graph.find(name)).type).value_or(0));
    }
    return axes;
  }

  void write(const NamedValues& outputs) {
    if (!output_.empty()) {
      UninterruptedScope hold;
      write_values(output_, outputs);
    }
    if (top_) return write_top(outputs);
    if (!output_.empty()) return;
    if (common_.json) {
      print(fmt::format("{{\"schema\": \"onnxrun.run/1\", \"outputs\": {}}}\n",
                        values_to_json(outputs)));
    } else {
      print(values_to_text(outputs));
    }
  }

  // What the model remembers of its training.
  static std::vector<std::string> class_names(const Model& model, const std::string& output) {
    try {
      return Preparation::of(model).classes[output];
    } catch (const Error& e) {
      warn("{}", e.what());
      return {};
    }
  }

  void write_top(const NamedValues& outputs) const {
    TopClasses top = top_classes(outputs.front(), *top_);
    std::vector<std::string> labels = labels_.empty() ? names_ : read_lines(labels_);
    // A model may tell more classes apart than its data had.
    if (!names_.empty()) {
      const Tensor& scores = outputs.front().second.tensor;
      for (auto k = static_cast<int64_t>(labels.size()); k < scores.dim(scores.rank() - 1); ++k) {
        labels.push_back(std::to_string(k));
      }
    }
    print(common_.json ? top.to_json(labels) : top.to_text(labels));
  }

  std::string model_, output_, labels_;
  std::vector<std::string> names_;  // of classes
  std::optional<std::string> wanted_;
  InputOptions inputs_;
  DataOptions data_;
  std::optional<int64_t> top_;
};

}  // namespace

const CommandInfo run_command = {
    "run", "runs a model once, or over a data set",
    "  onnxrun run model.onnx -i 'x=[[0,0],[0,1],[1,0],[1,1]]'\n"
    "  onnxrun run model.onnx -i x=input.npy -o outputs.npz\n"
    "  onnxrun run model.onnx --random --dim batch=4 --json\n"
    "  onnxrun run model.onnx -i image.png --top 5 --labels names.txt\n"
    "  onnxrun run model.onnx --data test.npz --batch-size 64 -o predictions.npy\n"
    "  onnxrun run model.onnx -i test_data_set_0 --outputs '/encoder/q,/encoder/k'",
    make_command<Run>};

}  // namespace onnxrun::tool
