#include "fit/metrics_log.h"

#include <limits>

#include "support/files.h"

namespace onnxrun::testing {
namespace {

void write_rows(const std::string& path, int64_t from, int64_t to,
                std::optional<int64_t> resume = std::nullopt) {
  MetricsLog log(path, {"accuracy", "val_loss"}, resume);
  for (int64_t step = from; step <= to; ++step) {
    std::optional<double> validation;
    if (step % 2 == 0) validation = 0.1;
    log.write({.epoch = step / 2,
               .step = step,
               .loss = 1.0 / static_cast<double>(step),
               .lr = 1e-3,
               .metrics = {0.5, validation},
               .seconds = 0.25});
  }
}

TEST(MetricsLog, WritesJsonLines) {
  TempDir dir;
  write_rows(dir / "m.jsonl", 1, 2);
  EXPECT_EQ(file_bytes(dir / "m.jsonl"),
            "{\"epoch\": 0, \"step\": 1, \"loss\": 1, \"lr\": 0.001, \"accuracy\": 0.5, "
            "\"seconds\": 0.25}\n"
            "{\"epoch\": 1, \"step\": 2, \"loss\": 0.5, \"lr\": 0.001, \"accuracy\": 0.5, "
            "\"val_loss\": 0.1, \"seconds\": 0.25}\n");
}

TEST(MetricsLog, WritesCsv) {
  TempDir dir;
  write_rows(dir / "m.csv", 1, 2);
  EXPECT_EQ(file_bytes(dir / "m.csv"),
            "epoch,step,loss,lr,accuracy,val_loss,seconds\n"
            "0,1,1,0.001,0.5,,0.25\n"
            "1,2,0.5,0.001,0.5,0.1,0.25\n");
}

TEST(MetricsLog, ResumesAfterAStep) {
  for (const char* name : {"m.jsonl", "m.csv"}) {
    TempDir dir;
    write_rows(dir / name, 1, 6);
    std::string whole = file_bytes(dir / name);
    dir.write(name, whole.substr(0, whole.size() - 4));
    write_rows(dir / name, 4, 6, 3);
    EXPECT_EQ(file_bytes(dir / name), whole);
    dir.write(name, whole.substr(0, whole.size() - 1));
    write_rows(dir / name, 6, 6, 6);
    EXPECT_EQ(file_bytes(dir / name), whole);
    write_rows(dir / (std::string("new_") + name), 1, 6, 0);
    EXPECT_EQ(file_bytes(dir / (std::string("new_") + name)), whole);
  }
}

TEST(MetricsLog, WritesNumbersThatJsonDoesNotHave) {
  TempDir dir;
  double inf = std::numeric_limits<double>::infinity();
  MetricsLog(dir / "m.jsonl", {"a\"b"}).write({.loss = -inf, .metrics = {inf - inf}});
  EXPECT_EQ(file_bytes(dir / "m.jsonl"),
            "{\"epoch\": 0, \"step\": 0, \"loss\": \"-Infinity\", \"lr\": 0, \"a\\\"b\": \"NaN\", "
            "\"seconds\": 0}\n");
}

TEST(MetricsLog, SaysWhatIsWrong) {
  TempDir dir;
  expect_fails(ErrorKind::Usage, "names no log format", [&] { MetricsLog(dir / "m.txt", {}); });
  expect_fails(ErrorKind::CannotWrite, "No such file", [&] { MetricsLog(dir / "no/m.csv", {}); });
  write_rows(dir / "m.csv", 1, 1);
  expect_fails(ErrorKind::Usage, "has the columns epoch,step,loss,lr,accuracy,val_loss,seconds",
               [&] { MetricsLog(dir / "m.csv", {"mae"}, 1); });
}

}  // namespace
}  // namespace onnxrun::testing
