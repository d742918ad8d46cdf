#include "fit/class_names.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/name_list.h"

namespace onnxrun {

namespace {

// Position in a sorted list; nothing for other names. Lists of a model's metadata need not be
// sorted.
std::optional<int64_t> index_of(const ClassNames& names, const std::string& label, bool sorted) {
  auto it = sorted ? std::lower_bound(names.begin(), names.end(), label)
                   : std::find(names.begin(), names.end(), label);
  if (it == names.end() || *it != label) return std::nullopt;
  return it - names.begin();
}

void check_there(const std::string& target, const std::string& label, int64_t sample) {
  if (label.find_first_not_of(" \t") != std::string::npos) return;
  fail(ErrorKind::BadInput, "target '{}': the label of sample {} (from 0) is missing", target,
       sample);
}

}  // namespace

ClassNames names_of_labels(const std::string& target, const Tensor& labels) {
  std::span<const std::string> values = labels.span<std::string>();
  for (const std::string& label : values) check_there(target, label, &label - values.data());
  ClassNames names(values.begin(), values.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool are_known(const Tensor& labels, const ClassNames& names) {
  bool sorted = std::is_sorted(names.begin(), names.end());
  std::span<const std::string> values = labels.span<std::string>();
  return std::all_of(values.begin(), values.end(), [&](const std::string& label) {
    return index_of(names, label, sorted).has_value();
  });
}

Tensor class_indices(const std::string& target, const Tensor& labels, const ClassNames& names) {
  bool sorted = std::is_sorted(names.begin(), names.end());
  Tensor indices(DType::Int64, labels.dims());
  for (int64_t i = 0; i < labels.size(); ++i) {
    const std::string& label = labels.data<std::string>()[i];
    std::optional<int64_t> index = index_of(names, label, sorted);
    if (!index) {
      check_there(target, label, i);
      fail(ErrorKind::BadInput,
           "target '{}': the label of sample {} (from 0) is '{}', which is no class; they are {}",
           target, i, label, name_list(names));
    }
    indices.data<int64_t>()[i] = *index;
  }
  return indices;
}

std::string class_list(const ClassNames& names) {
  constexpr size_t shown = 10;
  std::string text;
  for (size_t k = 0; k < std::min(names.size(), shown); ++k) {
    text += fmt::format("{}'{}' {}", k == 0 ? "" : ", ", names[k], k);
  }
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

}  // namespace onnxrun
