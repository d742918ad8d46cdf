#include "fit/saved_fit.h"

#include <algorithm>

#include "base/error.h"

namespace onnxrun {

namespace {

// Columns of the history before its metrics.
constexpr int64_t fixed_columns = 5;

}  // namespace

SavedFit::SavedFit(const NamedTensors& arrays) : arrays_(arrays) {}

void SavedFit::add(const std::string& group, const NamedTensors& arrays) {
  for (const NamedTensor& a : arrays) arrays_.push_back({group + "/" + a.name, a.tensor});
}

void SavedFit::add(const std::string& name, const std::vector<int64_t>& values) {
  arrays_.push_back({name, Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values)});
}

void SavedFit::add(const std::string& name, const std::vector<double>& values) {
  arrays_.push_back({name, Tensor::of<double>({static_cast<int64_t>(values.size())}, values)});
}

// One row an epoch.
void SavedFit::add_history(const std::vector<EpochRecord>& history) {
  size_t metrics = history.empty() ? 0 : history.front().metrics.size();
  std::vector<double> rows;
  for (const EpochRecord& r : history) {
    rows.insert(rows.end(), {static_cast<double>(r.epoch), static_cast<double>(r.step), r.loss,
                             r.lr, r.seconds});
    for (const auto& [name, value] : r.metrics) rows.push_back(value);
  }
  auto width = fixed_columns + static_cast<int64_t>(metrics);
  arrays_.push_back(
      {"history", Tensor::of<double>({static_cast<int64_t>(history.size()), width}, rows)});
  // Text has no place in .npz, so the names stand in an array's name.
  std::string list;
  for (size_t k = 0; k < metrics; ++k) list += " " + history.front().metrics[k].first;
  arrays_.push_back({"metrics of history:" + list, Tensor::scalar<int64_t>(0)});
}

const Tensor& SavedFit::find(const std::string& name, DType dtype) const {
  for (const NamedTensor& a : arrays_) {
    if (a.name != name) continue;
    if (a.tensor.dtype() != dtype) {
      fail(ErrorKind::BadInput, "'{}' is {} in a training's state", name, a.tensor.type_text());
    }
    return a.tensor;
  }
  fail(ErrorKind::BadInput, "a training's state has '{}', but this has not", name);
}

NamedTensors SavedFit::group(const std::string& name) const {
  NamedTensors members;
  for (const NamedTensor& a : arrays_) {
    if (a.name.starts_with(name + "/")) {
      members.push_back({a.name.substr(name.size() + 1), a.tensor});
    }
  }
  return members;
}

template <typename T>
static std::vector<T> values_of(const Tensor& t, const std::string& name, size_t count) {
  if (t.rank() != 1 || t.size() != static_cast<int64_t>(count)) {
    fail(ErrorKind::BadInput, "'{}' of a training's state has {} numbers, not {}", name, t.size(),
         count);
  }
  return {t.span<T>().begin(), t.span<T>().end()};
}

std::vector<int64_t> SavedFit::integers(const std::string& name, size_t count) const {
  return values_of<int64_t>(find(name, DType::Int64), name, count);
}

std::vector<double> SavedFit::doubles(const std::string& name, size_t count) const {
  return values_of<double>(find(name, DType::Float64), name, count);
}

std::vector<EpochRecord> SavedFit::history() const {
  const std::string mark = "metrics of history:";
  std::vector<std::string> names;
  for (const NamedTensor& a : arrays_) {
    if (!a.name.starts_with(mark)) continue;
    for (size_t at = mark.size(); at < a.name.size();) {
      size_t end = std::min(a.name.find(' ', at + 1), a.name.size());
      names.push_back(a.name.substr(at + 1, end - at - 1));
      at = end;
    }
  }
  const Tensor& rows = find("history", DType::Float64);
  auto width = fixed_columns + static_cast<int64_t>(names.size());
  if (rows.rank() != 2 || rows.dim(1) != width) {
    fail(ErrorKind::BadInput, "the history of a training's state is {}, with {} metrics",
         rows.type_text(), names.size());
  }
  std::vector<EpochRecord> history;
  for (int64_t i = 0; i < rows.dim(0); ++i) {
    const double* row = rows.data<double>() + i * width;
    if (!(row[0] >= 0 && row[0] < 9e15 && row[1] >= 0 && row[1] < 9e15)) {
      fail(ErrorKind::BadInput, "row {} of a training's history is of no epoch", i);
    }
    EpochRecord r{static_cast<int64_t>(row[0]), static_cast<int64_t>(row[1]), row[2], row[3]};
    r.seconds = row[4];
    for (size_t k = 0; k < names.size(); ++k) {
      r.metrics.emplace_back(names[k], row[fixed_columns + static_cast<int64_t>(k)]);
    }
    history.push_back(std::move(r));
  }
  return history;
}

}  // namespace onnxrun
