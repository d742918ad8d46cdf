#include "plot/sweep.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "graph/graph.h"
#include "inputs.h"
#include "interrupt.h"
#include "onnxrun/session.h"
#include "tensor/tensor.h"

namespace onnxrun::tool {

namespace {

// "y[2]" as name and element.
std::pair<std::string, std::optional<int64_t>> split_element(const std::string& option,
                                                             const std::string& text) {
  size_t open = text.rfind('[');
  if (open == std::string::npos || open == 0 || text.back() != ']') return {text, std::nullopt};
  int64_t element = parse_integer(option, text.substr(open + 1, text.size() - open - 2));
  if (element < 0) fail(ErrorKind::Usage, "{}: '{}' counts elements from 0", option, text);
  return {text.substr(0, open), element};
}

class Sweep {
 public:
  Sweep(const Model& model, const CommonOptions& common, const std::vector<SweptElement>& elements,
        int steps, const SweepOptions& options)
      : graph_(model.graph()), elements_(elements), steps_(steps), common_(common) {
    SessionOptions session = common.session_options();
    for (const std::string& text : split_list(options.outputs)) add_output(text);
    for (const auto& [name, element] : wanted_) session.outputs.push_back(name);
    session_.emplace(model, session);
    if (wanted_.empty()) {
      for (const std::string& name : session_->output_names())
        wanted_.emplace_back(name, std::nullopt);
    }
    gather_base(options);
    points_ = 1;
    for (size_t k = 0; k < elements.size(); ++k) points_ *= steps;
  }

  std::vector<SweptOutput> run() {
    CancelScope cancel(*session_);
    int64_t batch = batched_ ? 4096 : 1;
    for (int64_t from = 0; from < points_; from += batch) {
      check_interrupt();
      run_points(from, std::min(batch, points_ - from));
    }
    return std::move(results_);
  }

 private:
  void add_output(const std::string& text) {
    bool whole = graph_.find(text) != no_value;
    auto [name, element] =
        whole ? std::pair(text, std::optional<int64_t>()) : split_element("--outputs", text);
    if (graph_.find(name) == no_value) {
      std::vector<std::string> there;
      for (ValueId v : graph_.outputs) there.push_back(graph_.name_of(v));
      fail(ErrorKind::BadInput, "there is no value '{}'; outputs are {}", name, name_list(there));
    }
    wanted_.emplace_back(name, element);
  }

  // One sample of every input, with what does not move in it.
  void gather_base(const SweepOptions& options) {
    std::map<std::string, bool> moves;
    for (const SweptElement& e : elements_) moves[e.input] = true;
    InputOptions inputs{.inputs = options.inputs};
    std::vector<std::string> given, needed = session_->input_names();
    for (const auto& [name, moving] : moves) {
      if (std::find(needed.begin(), needed.end(), name) == needed.end()) {
        fail(ErrorKind::BadInput, "there is no input '{}'; there are {}", name, name_list(needed));
      }
    }
    for (const std::string& name : needed) {
      bool is_given = std::any_of(options.inputs.begin(), options.inputs.end(),
                                  [&](const auto& t) { return t.starts_with(name + "="); });
      if (is_given) given.push_back(name);
      batched_ &= moves.count(name) > 0 && !is_given && has_open_first(name);
      if (!is_given && !moves.count(name)) {
        fail(ErrorKind::BadInput, "input '{}' neither moves nor is given (-i {}=...)", name, name);
      }
    }
    NamedValues values = gather_inputs(graph_, inputs, common_, given);
    for (const std::string& name : needed) {
      auto it = std::find_if(values.begin(), values.end(),
                             [&](const auto& v) { return v.first == name; });
      base_.emplace_back(name, it == values.end() ? zeros(name) : it->second.tensor);
    }
    for (const SweptElement& e : elements_) check_element(e);
  }

  const Type& type_of(const std::string& name) const {
    return graph_.value(graph_.find(name)).type;
  }

  bool has_open_first(const std::string& name) const {
    const Type& type = type_of(name);
    return type.shape && type.rank() > 0 && !(*type.shape)[0].is_known();
  }

  Tensor zeros(const std::string& name) const {
    const Type& type = type_of(name);
    if (!type.shape)
      fail(ErrorKind::BadInput, "the rank of input '{}' is open; give -i {}=...", name, name);
    Dims dims;
    for (const Dim& d : *type.shape) dims.push_back(d.is_known() ? d.value() : 1);
    Tensor t(DType::Float64, dims);
    std::fill(t.span<double>().begin(), t.span<double>().end(), 0.0);
    return t;
  }

  void check_element(const SweptElement& e) const {
    for (const auto& [name, tensor] : base_) {
      if (name != e.input || e.element < tensor.size()) continue;
      fail(ErrorKind::BadInput, "a sample of input '{}' has {} elements, and no element {}", name,
           tensor.size(), e.element);
    }
  }

  void run_points(int64_t from, int64_t count) {
    NamedValues feeds;
    for (const auto& [name, one] : base_) {
      Dims dims = one.dims();
      if (batched_) dims[0] = count;
      Tensor values(DType::Float64, dims);
      std::vector<double> sample = to_doubles(one);
      int64_t size = one.size();
      for (int64_t p = 0; p < (batched_ ? count : 1); ++p) {
        std::copy(sample.begin(), sample.end(), values.data<double>() + p * size);
        move(name, from + p, values.data<double>() + p * size);
      }
      feeds.emplace_back(name, convert(values, type_of(name).dtype));
    }
    NamedValues outputs = session_->run(feeds);
    collect(outputs, from, count);
  }

  void move(const std::string& name, int64_t point, double* sample) const {
    for (const SweptElement& e : elements_) {
      auto step = static_cast<int>(point % steps_);
      point /= steps_;
      if (e.input == name) sample[e.element] = swept_value(e.range, step, steps_);
    }
  }

  void collect(const NamedValues& outputs, int64_t from, int64_t count) {
    size_t at = 0;
    for (const auto& [name, element] : wanted_) {
      auto it = std::find_if(outputs.begin(), outputs.end(),
                             [n = name](const auto& v) { return v.first == n; });
      if (!it->second.is_tensor()) fail(ErrorKind::BadInput, "output '{}' is no tensor", name);
      const Tensor& t = it->second.tensor;
      if (t.size() % count != 0 || t.size() == 0 ||
          (batched_ && (t.rank() == 0 || t.dim(0) != count))) {
        fail(ErrorKind::BadInput, "output '{}' is {} for {} points", name, t.type_text(), count);
      }
      int64_t size = t.size() / count;
      if (element.value_or(0) >= size) {
        fail(ErrorKind::BadInput, "output '{}' has {} elements a point, and no element {}", name,
             size, *element);
      }
      std::vector<double> values = to_doubles(t);
      constexpr int64_t most = 8;
      for (int64_t e = element.value_or(0); e < (element ? *element + 1 : std::min(size, most));
           ++e) {
        if (at == results_.size()) {
          std::string label = size > 1 ? fmt::format("{}[{}]", name, e) : name;
          results_.push_back({label, std::vector<double>(static_cast<size_t>(points_))});
        }
        for (int64_t p = 0; p < count; ++p) {
          results_[at].values[static_cast<size_t>(from + p)] =
              values[static_cast<size_t>(p * size + e)];
        }
        ++at;
      }
    }
  }

  const Graph& graph_;
  const std::vector<SweptElement>& elements_;
  int64_t steps_, points_ = 1;
  const CommonOptions& common_;
  std::optional<Session> session_;
  std::vector<std::pair<std::string, std::optional<int64_t>>> wanted_;
  std::vector<std::pair<std::string, Tensor>> base_;
  bool batched_ = true;
  std::vector<SweptOutput> results_;
};

}  // namespace

std::string SweptElement::text() const {
  return is_named ? fmt::format("{}[{}]", input, element) : input;
}

SweptElement parse_swept(const std::string& option, const std::string& text) {
  auto [name, range] = parse_assignment(option, text);
  auto [input, element] = split_element(option, name);
  size_t dots = range.find("..");
  if (dots == std::string::npos) {
    fail(ErrorKind::Usage, "{}: '{}' should be NAME=FROM..TO", option, text);
  }
  SweptElement swept{input, element.value_or(0), {}};
  swept.is_named = element.has_value();
  swept.range.low = parse_number(option, range.substr(0, dots));
  swept.range.high = parse_number(option, range.substr(dots + 2));
  if (!(swept.range.low < swept.range.high) || !std::isfinite(swept.range.high - swept.range.low)) {
    fail(ErrorKind::Usage, "{}: '{}' does not go upward", option, range);
  }
  return swept;
}

double swept_value(const Range& range, int i, int steps) {
  return range.low + (range.high - range.low) * i / (steps - 1);
}

std::vector<SweptOutput> sweep(const Model& model, const CommonOptions& common,
                               const std::vector<SweptElement>& elements, int steps,
                               const SweepOptions& options) {
  return Sweep(model, common, elements, steps, options).run();
}

}  // namespace onnxrun::tool
