#include "fit/metrics_log.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/csv.h"
#include "formats/print.h"

namespace onnxrun {

namespace {

constexpr std::string_view step_field = "step";

std::optional<int64_t> json_step(const std::string& line) {
  std::optional<Json> row = Json::parse(line);
  const Json* step = row ? row->find(step_field) : nullptr;
  return step ? step->integer() : std::nullopt;
}

// Epoch and step are the first two columns and never quoted.
std::optional<int64_t> csv_step(const std::string& line) {
  size_t comma = line.find(',');
  if (comma == std::string::npos) return std::nullopt;
  int64_t step = 0;
  const char *begin = line.data() + comma + 1, *end = line.data() + line.size();
  auto [last, error] = std::from_chars(begin, end, step);
  return error == std::errc() && last != end && *last == ',' ? std::optional(step) : std::nullopt;
}

}  // namespace

MetricsLog::MetricsLog(const std::string& path, std::vector<std::string> metric_names,
                       std::optional<int64_t> resume_step)
    : path_(path),
      names_(std::move(metric_names)),
      csv_(path.ends_with(".csv")),
      file_(nullptr, std::fclose) {
  if (!csv_ && !path.ends_with(".jsonl")) {
    fail(ErrorKind::Usage, "'{}' names no log format; .jsonl and .csv do", path);
  }
  std::string start = header();
  if (resume_step) start += kept_rows(*resume_step);
  write_file(path, start);
  file_.reset(std::fopen(path.c_str(), "ae"));
  if (!file_) fail(ErrorKind::CannotWrite, "cannot write '{}': {}", path, std::strerror(errno));
}

std::string MetricsLog::header() const {
  if (!csv_) return "";
  std::string line = "epoch,step,loss,lr,";
  for (const std::string& name : names_) line += csv_cell(name) + ",";
  return line + "seconds\n";
}

std::string MetricsLog::kept_rows(int64_t resume_step) const {
  std::ifstream old(path_);
  std::string rows, line;
  if (csv_ && std::getline(old, line) && line + "\n" != header()) {
    fail(ErrorKind::Usage, "'{}' has the columns {}; this training writes {}", path_, line,
         header().substr(0, header().size() - 1));
  }
  while (std::getline(old, line)) {
    std::optional<int64_t> step = csv_ ? csv_step(line) : json_step(line);
    // The last line counts only if its end was written.
    if (step && *step <= resume_step && !old.eof()) rows += line + "\n";
  }
  return rows;
}

std::string MetricsLog::csv_row(const MetricsRow& row) const {
  std::string line = fmt::format("{},{},{},{},", row.epoch, row.step, row.loss, row.lr);
  for (const auto& value : row.metrics) line += value ? fmt::format("{},", *value) : ",";
  return line + fmt::format("{:.6g}\n", row.seconds);
}

std::string MetricsLog::json_row(const MetricsRow& row) const {
  std::string line = fmt::format("{{\"epoch\": {}, \"step\": {}, \"loss\": {}, \"lr\": {}, ",
                                 row.epoch, row.step, json_number(row.loss), json_number(row.lr));
  for (size_t i = 0; i < names_.size(); ++i) {
    if (!row.metrics[i]) continue;
    line += fmt::format("{}: {}, ", json_string(names_[i]), json_number(*row.metrics[i]));
  }
  return line + fmt::format("\"seconds\": {:.6g}}}\n", row.seconds);
}

void MetricsLog::write(const MetricsRow& row) {
  if (row.metrics.size() != names_.size()) {
    fail(ErrorKind::Internal, "{} metrics in a log of {}", row.metrics.size(), names_.size());
  }
  std::string line = csv_ ? csv_row(row) : json_row(row);
  bool written = std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() &&
                 std::fflush(file_.get()) == 0;
  if (!written) fail(ErrorKind::CannotWrite, "cannot write '{}': {}", path_, std::strerror(errno));
}

}  // namespace onnxrun
