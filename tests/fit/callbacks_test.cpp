// What sees a training from inside.
#include "onnxrun/callbacks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "fit/class_data.h"
#include "onnxrun/fit.h"
#include "support/files.h"

namespace onnxrun::testing {

namespace {

// Steps in the wrong direction: the first epoch stays the best.
TEST(Callbacks, EarlyStoppingPutsTheBestWeightsBack) {
  FitOptions options = adam(20);
  options.trainer.lr = 3;
  options.validation = class_data(16, 3);
  auto stopping = std::make_shared<EarlyStopping>("val_loss", 2);
  options.callbacks = {stopping};
  Fit training = fit(classifier(), class_data(32), options);
  ASSERT_LT(training.history().size(), 20U);
  EXPECT_EQ(static_cast<int64_t>(training.history().size()), stopping->best_epoch() + 2);
  EXPECT_EQ(training.evaluate(Fit::Part::Validation).loss, stopping->best_value());
}

TEST(Callbacks, FollowOneNumber) {
  BestSoFar loss("val_loss", 0.1), accuracy("val_accuracy");
  EpochRecord record;
  record.metrics = {{"val_loss", 1.0}, {"val_accuracy", 0.5}};
  EXPECT_TRUE(loss.improves(record));
  EXPECT_TRUE(accuracy.improves(record));
  record.metrics = {{"val_loss", 0.95}, {"val_accuracy", 0.6}};
  EXPECT_FALSE(loss.improves(record));
  EXPECT_TRUE(accuracy.improves(record));
  record.metrics = {{"val_loss", std::nan("")}, {"val_accuracy", std::nan("")}};
  EXPECT_FALSE(loss.improves(record));
  EXPECT_FALSE(accuracy.improves(record));
  EXPECT_THROW(BestSoFar("val_f1").improves(record), Error);
}

TEST(Callbacks, CheckpointsAreKeptAndResumed) {
  TempDir dir;
  FitOptions options = adam(4);
  options.validation_split = 0.25;
  options.callbacks = {std::make_shared<EarlyStopping>("val_loss", 3),
                       std::make_shared<Checkpoints>(dir / "c", 1, 2)};
  Fit whole = fit(classifier(), class_data(32), options);
  EXPECT_EQ(Checkpoints::latest(dir / "c"), dir / "c/step-000000012.npz");
  std::filesystem::remove(dir / "c/step-000000012.npz");
  Fit again(classifier(), class_data(32), options);
  ASSERT_TRUE(Checkpoints::resume(dir / "c", again));
  EXPECT_EQ(again.steps(), 9);
  again.run();
  expect_same_weights(whole.trainer(), again.trainer());
  EXPECT_FALSE(Checkpoints::resume(dir / "nothing", again));
}

// Checkpoints hold the last weights, not the best ones that early stopping puts back in the end;
// what has stopped stays so.
TEST(Callbacks, EarlyStoppingSurvivesResuming) {
  for (double rate : {3.0, 0.01}) {
    TempDir dir;
    FitOptions options = adam(rate > 1 ? 20 : 4), longer = adam(rate > 1 ? 20 : 8);
    for (FitOptions* o : {&options, &longer}) {
      o->trainer.lr = rate;
      o->validation = class_data(16, 3);
      o->callbacks = {std::make_shared<EarlyStopping>("val_loss", 3)};
    }
    Fit unbroken = fit(classifier(), class_data(32), longer);
    options.callbacks = {std::make_shared<EarlyStopping>("val_loss", 3),
                         std::make_shared<Checkpoints>(dir / "c")};
    fit(classifier(), class_data(32), options);
    longer.callbacks = {std::make_shared<EarlyStopping>("val_loss", 3)};
    Fit again(classifier(), class_data(32), longer);
    ASSERT_TRUE(Checkpoints::resume(dir / "c", again));
    again.run();
    EXPECT_EQ(again.steps(), unbroken.steps());
    expect_same_weights(unbroken.trainer(), again.trainer());
  }
}

}  // namespace

}  // namespace onnxrun::testing
