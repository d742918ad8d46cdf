#include "initial_values.h"

#include <fnmatch.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/name_list.h"
#include "base/random.h"

namespace onnxrun {

namespace {

struct Fans {
  double in = 0, out = 0;
};

// FNV-1a: a stream of random numbers for each name.
uint64_t hash_of(const std::string& text) {
  uint64_t h = 14695981039346656037U;
  for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return h;
}

// How a weight's axes are used by the first operator that it is a weight of.
WeightAxes axes_of(const Graph& graph, ValueId weight, size_t rank) {
  for (const Node& node : graph.nodes) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == weight && node.info->spec.role_of(i) == InputRole::Weight) {
        return node.op->weight_axes(i, rank);
      }
    }
  }
  return {};
}

// Both fans as torch.nn.init counts them.
Fans fans_of(const Graph& graph, ValueId weight, const std::string& name, const std::string& how) {
  const Dims& d = graph.initializers.at(weight).value.dims();
  if (d.size() < 2) {
    fail(ErrorKind::Usage, "{} needs a tensor with inputs and outputs, but '{}' is {}", how, name,
         graph.initializers.at(weight).value.type_text());
  }
  const WeightAxes axes = axes_of(graph, weight, d.size());
  double field = 1;
  for (size_t i = axes.field; i < d.size(); ++i) field *= static_cast<double>(d[i]);
  return {static_cast<double>(d.at(axes.in)) * field, static_cast<double>(d.at(axes.out)) * field};
}

// The numbers behind "NAME:", if there are two.
std::optional<std::pair<double, double>> two_numbers(const std::string& how, size_t at) {
  auto number = [&](size_t from, size_t to) -> std::optional<double> {
    double v = 0;
    auto [end, error] = std::from_chars(how.data() + from, how.data() + to, v);
    bool whole = error == std::errc() && end == how.data() + to && std::isfinite(v);
    return whole ? std::optional(v) : std::nullopt;
  };
  size_t colon = how.find(':', at);
  if (colon == std::string::npos) return std::nullopt;
  auto first = number(at, colon), second = number(colon + 1, how.size());
  if (!first || !second) return std::nullopt;
  return std::pair(*first, *second);
}

}  // namespace

std::vector<std::string> matching_names(std::string_view what, const std::string& text,
                                        const std::vector<std::string>& names) {
  std::vector<std::string> matched;
  for (const std::string& name : names) {
    if (name == text) return {name};
    if (fnmatch(text.c_str(), name.c_str(), 0) == 0) matched.push_back(name);
  }
  if (matched.empty()) {
    fail(ErrorKind::Usage, "{}: no parameter is called '{}'; there are {}", what, text,
         name_list(names));
  }
  return matched;
}

void set_initial(Graph& graph, const std::string& name, const std::string& how, uint64_t seed) {
  ValueId id = graph.find(name);
  auto it = graph.initializers.find(id);
  if (it == graph.initializers.end()) fail(ErrorKind::Usage, "'{}' is no initializer", name);
  bool normal = how.starts_with("normal:") || how == "he";
  double a = 0, b = 0;  // from a to b, or mean a and deviation b
  if (how == "xavier" || how == "he") {
    Fans fans = fans_of(graph, id, name, how);
    b = how == "he" ? std::sqrt(2 / fans.in) : std::sqrt(6 / (fans.in + fans.out));
    if (!normal) a = -b;
  } else if (how.starts_with("uniform:") || how.starts_with("normal:")) {
    auto numbers = two_numbers(how, how.find(':') + 1);
    bool is_range = numbers && (normal ? numbers->second >= 0 : numbers->first <= numbers->second);
    if (!is_range)
      fail(ErrorKind::Usage, "'{}': expected uniform:A:B or normal:MEAN:DEVIATION", how);
    std::tie(a, b) = *numbers;
  } else if (how != "zeros") {
    fail(ErrorKind::Usage,
         "there is no initial value '{}'; there are xavier, he, uniform:A:B, "
         "normal:MEAN:DEVIATION, zeros",
         how);
  }
  Philox random(seed, hash_of(name));
  Tensor values(DType::Float64, it->second.value.dims());
  for (int64_t i = 0; i < values.size(); ++i) {
    auto at = static_cast<uint64_t>(i);
    values.data<double>()[i] =
        normal ? a + b * random.normal(at) : a + (b - a) * random.uniform(at);
  }
  it->second.value = convert(values, it->second.value.dtype());
}

}  // namespace onnxrun
