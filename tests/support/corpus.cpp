#include "support/corpus.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "formats/source.h"
#include "support/files.h"
#include "value_reader.h"

namespace onnxrun::testing {

using nlohmann::json;

static json read_json(const std::string& path) {
  std::ifstream in(path);
  return json::parse(in);
}

std::vector<std::string> supported_cases() {
  std::ifstream in(data_path("corpus/supported.txt"));
  std::vector<std::string> names;
  for (std::string name; std::getline(in, name);) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

std::vector<std::string> all_cases() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(data_path("corpus"))) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

CorpusCase::CorpusCase(const std::string& name)
    : folder_(data_path("corpus/" + name)), facts_(read_json(folder_ + "/case.json")) {}

json CorpusCase::training() const { return read_json(file("train/train.json")); }

bool CorpusCase::has(const std::string& relative) const {
  return std::filesystem::exists(file(relative));
}

std::map<std::string, Tensor> CorpusCase::arrays(const std::string& relative) const {
  std::map<std::string, Tensor> result;
  for (NamedTensor& a : read_arrays(file(relative))) result[a.name] = std::move(a.tensor);
  return result;
}

std::vector<RuntimeValue> CorpusCase::values(const std::string& relative_folder,
                                             const std::string& prefix,
                                             const std::vector<Type>& types) const {
  std::vector<RuntimeValue> values;
  for (size_t i = 0; i < types.size(); ++i) {
    std::string path = relative_folder + "/" + prefix + "_" + std::to_string(i) + ".pb";
    values.push_back(has(path) ? read_value_file(file(path), types[i]) : RuntimeValue());
  }
  while (!values.empty() && values.back().kind == RuntimeValue::Kind::None) values.pop_back();
  return values;
}

std::vector<CorpusCase::Batch> CorpusCase::batches(const Model& model) const {
  std::map<std::string, Tensor> data = arrays("train/data.npz");
  std::vector<std::string> names;
  for (const ValueInfo& input : model.inputs()) names.push_back(input.name);
  std::vector<Batch> result;
  for (int64_t number : training()["batch_order"].get<std::vector<int64_t>>()) {
    std::string prefix = "b" + std::to_string(number) + "_";
    Batch batch;
    for (size_t i = 0; i < names.size(); ++i) {
      auto it = data.find(prefix + "in" + std::to_string(i));
      if (it != data.end()) batch.inputs.emplace_back(names[i], it->second);
    }
    batch.target = data[prefix + "target"];
    result.push_back(std::move(batch));
  }
  return result;
}

TrainerOptions CorpusCase::trainer_options() const {
  json t = training();
  TrainerOptions o;
  o.loss.name = t["loss"]["name"];
  bool sums = t["loss"]["reduction"] == "sum";
  if (o.loss.name != "output") o.loss.reduction = sums ? Reduction::Sum : Reduction::Mean;
  if (!t["loss"]["class_axis"].is_null())
    o.loss.class_axis = t["loss"]["class_axis"].get<int64_t>();
  // What a broadcast does wrong is what this case is about.
  o.loss.allow_broadcast = folder_.ends_with("/s0_nand_f64_bcast_bug");
  json p = t["optimizer"];
  std::string name = p["name"];
  o.optimizer = name == "adam_keras" ? "keras:adam" : name;
  if (p.value("nesterov", false)) o.optimizer = "nesterov";
  o.lr = p["lr"];
  if (p.value("momentum", 0.0) != 0) o.momentum = p["momentum"].get<double>();
  if (p.contains("weight_decay")) o.weight_decay = p["weight_decay"].get<double>();
  if (p.contains("betas")) {
    o.beta1 = p["betas"][0].get<double>();
    o.beta2 = p["betas"][1].get<double>();
  }
  if (p.contains("eps")) o.eps = p["eps"].get<double>();
  o.trainable = t["trainable"].get<std::vector<std::string>>();
  o.unshare = Unshare::Never;  // as the references train what exporters merged
  o.batch_statistics = t["batchnorm"] == "batch";
  o.dropout = false;
  return o;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    double d = std::abs(a[i] - b[i]);
    if (std::isnan(d)) return INFINITY;
    difference = std::max(difference, d);
  }
  return difference;
}

double relative_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (double x : b) largest = std::max(largest, std::abs(x));
  double difference = largest_difference(a, b);
  return largest == 0 ? difference : difference / largest;
}

}  // namespace onnxrun::testing
