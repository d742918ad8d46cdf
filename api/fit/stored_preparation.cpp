#include "fit/stored_preparation.h"

#include <cmath>

#include "base/error.h"
#include "fit/standardizer.h"
#include "formats/json.h"
#include "model_editor.h"
#include "model_metadata.h"
#include "model_saving.h"

namespace onnxrun {

namespace {

[[noreturn]] void damaged(std::string_view what) {
  fail(ErrorKind::BadModel, "metadata '{}': {}", preparation_key, what);
}

std::vector<double> numbers(const Json& list, size_t count, bool positive) {
  std::vector<double> values;
  for (const Json& element : *list.elements()) {
    std::optional<double> value = element.number();
    if (!value || !std::isfinite(*value) || (positive && *value <= 0)) {
      damaged("means and deviations should be finite numbers, and deviations above 0");
    }
    values.push_back(*value);
  }
  if (values.size() != count) damaged("means and deviations should fit their shape");
  return values;
}

PreparedInput input_of(const Json& json) {
  PreparedInput input;
  if (const Json* scale = json.find("scale")) {
    std::optional<double> value = scale->number();
    if (!value || !std::isfinite(*value)) damaged("a scale should be a number");
    input.scale = *value;
  }
  if (const Json* axis = json.find("batch_axis")) input.batch_axis = axis->integer().value_or(-1);
  if (input.batch_axis < 0 || input.batch_axis > 64) damaged("a batch axis should count axes");
  const Json *shape = json.find("shape"), *mean = json.find("mean"),
             *deviation = json.find("deviation");
  if (!shape && !mean && !deviation) return input;
  bool whole =
      shape && mean && deviation && shape->elements() && mean->elements() && deviation->elements();
  if (!whole) damaged("shape, mean and deviation should be lists");
  Dims dims;
  int64_t count = 1;
  for (const Json& length : *shape->elements()) {
    dims.push_back(length.integer().value_or(-1));
    if (dims.back() < 0 || __builtin_mul_overflow(count, dims.back(), &count)) {
      damaged("a shape should hold lengths");
    }
  }
  input.mean = Tensor::of<double>(dims, numbers(*mean, static_cast<size_t>(count), false));
  input.deviation = Tensor::of<double>(dims, numbers(*deviation, static_cast<size_t>(count), true));
  return input;
}

std::vector<std::string> names_of(const Json& list) {
  std::vector<std::string> names;
  if (!list.elements()) damaged("classes should be a list");
  for (const Json& element : *list.elements()) {
    if (!element.string()) damaged("classes should be texts");
    names.push_back(*element.string());
  }
  return names;
}

Json list_of(const Tensor& numbers) {
  Json list = Json::array();
  for (double v : numbers.span<double>()) list.push_back(v);
  return list;
}

Json json_of(const PreparedInput& input) {
  Json json = Json::object();
  if (input.scale != 1) json["scale"] = input.scale;
  if (!input.mean.defined()) return json;
  json["batch_axis"] = input.batch_axis;
  json["shape"] = input.mean.dims();
  json["mean"] = list_of(input.mean);
  json["deviation"] = list_of(input.deviation);
  return json;
}

// In the shape that broadcasts against a batch of the input.
Tensor beside_batch(const Tensor& t, const PreparedInput& input, int64_t rank) {
  if (!t.defined() || rank == t.rank()) return t;
  Dims dims = t.dims();
  dims.insert(dims.begin() + std::min(input.batch_axis, t.rank()), 1);
  return t.view(dims);
}

}  // namespace

Tensor PreparedInput::apply(const Tensor& values) const {
  Tensor result = convert(values, DType::Float64).clone();
  if (scale != 1) {
    for (double& v : result.span<double>()) v *= scale;
  }
  if (!mean.defined()) return result;
  return Standardizer(mean, deviation).apply(result, batch_axis);
}

Preparation Preparation::of(const Model& model) { return stored_preparation(model.graph()); }

Preparation stored_preparation(const Graph& graph) {
  Preparation preparation;
  if (!graph.source) return preparation;
  auto it = graph.source->metadata.find(preparation_key);
  if (it == graph.source->metadata.end()) return preparation;
  std::optional<Json> json = Json::parse(it->second);
  if (!json || !json->members()) damaged("it should be a JSON object");
  if (const Json* inputs = json->find("inputs")) {
    if (!inputs->members()) damaged("inputs should be an object");
    for (const auto& [name, input] : *inputs->members()) {
      preparation.inputs.emplace(name, input_of(input));
    }
  }
  if (const Json* classes = json->find("classes")) {
    if (!classes->members()) damaged("classes should be an object");
    for (const auto& [name, list] : *classes->members()) {
      preparation.classes.emplace(name, names_of(list));
    }
  }
  return preparation;
}

std::string preparation_text(const Preparation& preparation) {
  Json json = Json::object();
  for (const auto& [name, input] : preparation.inputs) json["inputs"][name] = json_of(input);
  for (const auto& [name, names] : preparation.classes) json["classes"][name] = names;
  return json.text(false);
}

std::string summary_of(const PreparedInput& input) {
  std::string text;
  if (input.scale != 1) text = fmt::format("times {:.6g}", input.scale);
  if (input.mean.defined()) text += text.empty() ? "standardized" : ", standardized";
  return text.empty() ? "as it is" : text;
}

// The preparation over the stored one; of that nothing if it is damaged.
static Preparation remembered(const Graph& graph, const Preparation& preparation) {
  Preparation all = preparation;
  try {
    Preparation stored = stored_preparation(graph);
    all.inputs.merge(stored.inputs);
    all.classes.merge(stored.classes);
  } catch (const Error&) {
    return all;
  }
  return all;
}

static std::string baked(const Model& model, const Preparation& preparation,
                         const std::string& bytes) {
  ModelEditor editor(bytes);
  for (const auto& [name, input] : preparation.inputs) {
    ValueId v = model.graph().find(name);
    int64_t rank = v == no_value ? -1 : model.graph().value(v).type.rank();
    editor.prepare_input(name, input.scale, beside_batch(input.mean, input, rank),
                         beside_batch(input.deviation, input, rank));
  }
  Preparation rest = remembered(model.graph(), preparation);
  for (const auto& [name, input] : preparation.inputs) rest.inputs.erase(name);
  editor.set_metadata(preparation_key, rest.empty() ? "" : preparation_text(rest));
  return editor.bytes();
}

void check_bakeable(const Model& model, const Preparation& preparation) {
  if (model.graph().source) baked(model, preparation, model.graph().source->file_bytes());
}

void save_prepared(const Model& model, const std::map<std::string, Tensor>& weights,
                   const Preparation& preparation, bool bake, const std::string& path,
                   bool in_place) {
  if (!bake) {
    if (preparation.empty()) return save_model(model, path, weights, in_place);
    std::string text = preparation_text(remembered(model.graph(), preparation));
    return save_model(model, path, weights, in_place, [&](const std::string& bytes) {
      return with_metadata(bytes, preparation_key, text);
    });
  }
  save_model(model, path, weights, in_place,
             [&](const std::string& bytes) { return baked(model, preparation, bytes); });
}

}  // namespace onnxrun
