#include "weight_comparison.h"

#include <fmt/format.h>

#include <map>

#include "graph_view.h"
#include "model_differences.h"

namespace onnxrun::tool {

WeightComparison compare_weights(const Model& model, const Model& reference,
                                 const std::string& model_path, const std::string& reference_path) {
  WeightComparison result;
  std::map<std::string, Tensor> expected;
  for (const InitializerInfo& i : reference.initializers()) expected.emplace(i.name, i.value);
  for (const InitializerInfo& i : model.initializers()) {
    auto it = expected.find(i.name);
    if (it == expected.end()) {
      result.only_in_model.push_back(i.name);
      continue;
    }
    if (identical(i.value, it->second)) {
      ++result.equal;
    } else {
      result.changed.push_back({i.name, compare_tensors(i.value, it->second, {0, 0}, true)});
    }
    expected.erase(it);
  }
  for (const auto& [name, tensor] : expected) result.only_in_reference.push_back(name);
  result.other = differences_beside_elements(reference_path, model_path);
  return result;
}

std::string WeightComparison::to_text() const {
  std::vector<std::vector<std::string>> rows;
  if (!changed.empty())
    rows.push_back({"initializers that differ", "elements", "off", "max abs", ""});
  for (const Changed& c : changed) {
    rows.push_back({c.name, std::to_string(c.result.compared), std::to_string(c.result.off),
                    fmt::format("{:.3g}", c.result.max_abs), c.result.message});
  }
  std::string text = table(rows);
  text += fmt::format("initializers: {} differ, {} are equal\n", changed.size(), equal);
  for (const std::string& name : only_in_model)
    text += fmt::format("only in the model: {}\n", name);
  for (const std::string& name : only_in_reference) {
    text += fmt::format("only in the reference: {}\n", name);
  }
  if (other.empty()) return text + "everything else is equal\n";
  text += fmt::format("everything else: {} differences\n", other.size());
  for (const std::string& line : other) text += "  " + line + "\n";
  return text;
}

void WeightComparison::to_json(Json& document) const {
  Json list = Json::array();
  for (const Changed& c : changed) {
    list.push_back({{"name", c.name},
                    {"elements", c.result.compared},
                    {"off", c.result.off},
                    {"max_abs", c.result.max_abs}});
  }
  document["weights"] = {{"equal", equal},
                         {"different", list},
                         {"only_in_model", only_in_model},
                         {"only_in_reference", only_in_reference}};
  document["other"] = other;
}

}  // namespace onnxrun::tool
