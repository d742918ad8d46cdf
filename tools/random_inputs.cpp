#include "random_inputs.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "common_options.h"
#include "graph/node_attributes.h"
#include "inputs.h"
#include "messages.h"

namespace onnxrun::tool {

namespace {

// The length of the shortest axis that elements of `v` choose from, as far as the graph shows it.
int64_t index_bound(const Graph& graph, ValueId v) {
  std::set<ValueId> carriers = {v};
  int64_t bound = INT64_MAX;
  auto indexes = [&](const Node& node) {
    for (size_t i = 1; i < node.formal_inputs(); ++i) {
      if (node.info->spec.role_of(i) == InputRole::Index && carriers.count(node.inputs[i])) {
        return true;
      }
    }
    return false;
  };
  for (const Node& node : graph.nodes) {
    if (node.inputs.empty()) continue;
    if (node.info->spec.kind == OpKind::Move && carriers.count(node.inputs[0])) {
      carriers.insert(node.outputs.begin(), node.outputs.end());
    }
    if (node.inputs[0] == no_value || !indexes(node)) continue;
    const std::optional<Shape>& shape = graph.value(node.inputs[0]).type.shape;
    if (!shape || shape->empty()) continue;
    int64_t axis =
        normalize_axis(attribute_or<int64_t>(node, "axis", 0), static_cast<int64_t>(shape->size()));
    const Dim& d = (*shape)[static_cast<size_t>(axis)];
    if (d.is_known()) bound = std::min(bound, d.value());
  }
  return bound;
}

}  // namespace

RandomInputs::RandomInputs(const Graph& graph, const std::vector<std::string>& ranges,
                           uint64_t seed, int64_t max_memory)
    : graph_(graph), seed_(seed), max_memory_(max_memory) {
  std::vector<std::string> names = names_of(graph, all_inputs(graph));
  for (const std::string& text : ranges) {
    size_t equals = text.rfind('=');
    std::string name = equals == std::string::npos ? "" : text.substr(0, equals);
    std::string range = equals == std::string::npos ? text : text.substr(equals + 1);
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
      fail(ErrorKind::BadInput, "--range: the model has no input '{}'; it has {}", name,
           name_list(names));
    }
    size_t dots = range.find("..");
    if (dots == std::string::npos) {
      fail(ErrorKind::Usage, "--range: '{}' should be LOW..HIGH or NAME=LOW..HIGH", text);
    }
    Range r{parse_number("--range", range.substr(0, dots)),
            parse_number("--range", range.substr(dots + 2))};
    if (!(r.low <= r.high) || !std::isfinite(r.low) || !std::isfinite(r.high)) {
      fail(ErrorKind::Usage, "--range: '{}' is no range of finite numbers", text);
    }
    ranges_[name] = r;
  }
}

void RandomInputs::learn_dims(const Type& type, const Tensor& value) {
  if (!type.shape || type.shape->size() != value.dims().size()) return;
  for (size_t i = 0; i < type.shape->size(); ++i) {
    if ((*type.shape)[i].is_symbolic()) dims_[(*type.shape)[i].to_string()] = value.dims()[i];
  }
}

Dims RandomInputs::dims_of(const std::string& name, const Type& type) {
  if (!type.is_tensor() || !type.shape) {
    fail(ErrorKind::BadInput, "input '{}' ({}) has no shape to fill; --shape {}=... gives one",
         name, type.to_string(), name);
  }
  Dims dims;
  for (const Dim& d : *type.shape) {
    auto it = d.is_symbolic() ? dims_.find(d.to_string()) : dims_.end();
    if (d.is_known()) {
      dims.push_back(d.value());
    } else if (it != dims_.end()) {
      dims.push_back(it->second);
    } else {
      warn("dimension '{}' of input '{}' is 1 (--dim or --shape sets it)", d.to_string(), name);
      if (d.is_symbolic()) dims_[d.to_string()] = 1;
      dims.push_back(1);
    }
  }
  return dims;
}

RandomInputs::Range RandomInputs::range_of(const std::string& name, DType dtype) const {
  for (const std::string& key : {name, std::string()}) {
    if (auto it = ranges_.find(key); it != ranges_.end()) return it->second;
  }
  if (!is_integer(dtype)) return {0, 1};
  int64_t bound = std::max<int64_t>(index_bound(graph_, graph_.find(name)), 1);
  return {0, bound == INT64_MAX ? 1.0 : static_cast<double>(bound - 1)};
}

Tensor RandomInputs::memory_for(const std::string& name, const Dims& dims) const {
  try {
    if (element_count(dims) <= max_memory_ / 8) return Tensor(DType::Float64, dims);
  } catch (const Error& e) {
    throw e.in(fmt::format("input '{}' of shape {}", name, to_string(dims)));
  }
  fail(ErrorKind::Limit, "input '{}' of shape {} needs more than --max-memory", name,
       to_string(dims));
}

Tensor RandomInputs::make(const std::string& name, const Type& type) {
  Dims dims = dims_of(name, type);
  if (is_complex(type.dtype)) {
    fail(ErrorKind::Unsupported, "input '{}' is {}: there are no random complex numbers", name,
         type.to_string());
  }
  uint64_t stream = 0;
  for (char c : name) stream = stream * 131 + static_cast<unsigned char>(c);
  Philox random(seed_, stream);
  Range range = range_of(name, type.dtype);
  Tensor values = memory_for(name, dims);
  if (type.dtype == DType::String) return Tensor(DType::String, dims);
  double width = is_integer(type.dtype) ? range.high - range.low + 1 : range.high - range.low;
  for (int64_t i = 0; i < values.size(); ++i) {
    double v = range.low + width * random.uniform(static_cast<uint64_t>(i));
    if (is_integer(type.dtype)) v = std::min(std::floor(v), range.high);
    if (type.dtype == DType::Bool) v = random.uniform(static_cast<uint64_t>(i)) < 0.5 ? 0 : 1;
    values.data<double>()[i] = v;
  }
  return convert(values, type.dtype);
}

}  // namespace onnxrun::tool
