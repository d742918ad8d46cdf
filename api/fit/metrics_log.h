// The log that training writes: one row an epoch or a step.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace onnxrun {

struct MetricsRow {
  int64_t epoch = 0;
  int64_t step = 0;
  double loss = 0;
  double lr = 0;
  // In the order of the log's names; what was not measured this time is left out of the row.
  std::vector<std::optional<double>> metrics;
  double seconds = 0;
};

// A .jsonl file (one object a line) or a .csv file (a header, then rows) with the fields epoch,
// step, loss, lr, the metrics by name, seconds. Rows reach the file as they are written, so it can
// be followed. Numbers have the fewest digits that read back the same; what JSON has no number for
// is "NaN", "Infinity" or "-Infinity".
class MetricsLog {
 public:
  // Starts a new file, or, with `resume_step`, goes on with an existing one after its rows up to
  // that step: rows of steps that will be repeated go, as does a line that an end of power cut
  // short. Throws Usage for another extension or if the existing .csv has other columns,
  // CannotWrite.
  MetricsLog(const std::string& path, std::vector<std::string> metric_names,
             std::optional<int64_t> resume_step = std::nullopt);

  // Throws CannotWrite.
  void write(const MetricsRow& row);

 private:
  std::string header() const;
  std::string kept_rows(int64_t resume_step) const;
  std::string csv_row(const MetricsRow& row) const;
  std::string json_row(const MetricsRow& row) const;

  std::string path_;
  std::vector<std::string> names_;
  bool csv_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

}  // namespace onnxrun
