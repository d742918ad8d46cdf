// Learning rates against torch.optim.lr_scheduler 2.13 (0.5, 12 steps, epochs of 4 steps).
#include "fit/schedule.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace onnxrun {

namespace {

std::vector<double> rates(const std::string& text, int64_t steps = 12, int64_t warmup = 0) {
  Schedule schedule(text, 0.5, {steps, 4, warmup});
  std::vector<double> list;
  for (int64_t i = 0; i < steps; ++i) list.push_back(schedule.rate(i));
  return list;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_GE(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-15 + 1e-13 * expected[i]) << "step " << i;
  }
}

TEST(Schedule, IsPyTorchs) {
  expect_near(rates("constant"), {0.5, 0.5});
  expect_near(rates("linear:0.1"), {0.5, 0.4625, 0.425, 0.3875, 0.35, 0.3125, 0.275, 0.2375, 0.2,
                                    0.1625, 0.125, 0.0875});
  expect_near(rates("cosine:0.1"),
              {0.5, 0.49233331091504035, 0.4698557158514987, 0.4340990257669731, 0.3875,
               0.33323428514806713, 0.275, 0.21676571485193286, 0.1625, 0.11590097423302684,
               0.0801442841485013, 0.05766668908495966});
  expect_near(rates("step:2:0.3", 20),
              {0.5,  0.5,  0.5,  0.5,  0.5,  0.5,  0.5,   0.5,   0.15,  0.15,
               0.15, 0.15, 0.15, 0.15, 0.15, 0.15, 0.045, 0.045, 0.045, 0.045});
  expect_near(rates("exponential:0.9"),
              {0.5, 0.5, 0.5, 0.5, 0.45, 0.45, 0.45, 0.45, 0.405, 0.405, 0.405, 0.405});
  expect_near(rates("onecycle"),
              {0.02, 0.17489482710979154, 0.43964257956106434, 0.49720771772545586,
               0.46650648492070584, 0.4058728269748815, 0.32368949884755166, 0.23131855133348753,
               0.14153049910434962, 0.0667387650944153, 0.01728349371269761, 2e-06});
}

TEST(Schedule, WarmsUpFirst) {
  expect_near(rates("linear", 8, 4), {0, 0.125, 0.25, 0.375, 0.5, 0.375, 0.25, 0.125});
}

// ReduceLROnPlateau(patience=1, factor=0.5).
TEST(Schedule, FallsOnPlateaus) {
  Schedule schedule("plateau:1:0.5", 0.5, {100, 4, 0});
  std::vector<double> losses = {1, 0.9, 0.9, 0.9, 0.9, 0.5, 0.6, 0.6}, found;
  for (double loss : losses) {
    schedule.epoch_ended(loss);
    found.push_back(schedule.rate(0));
  }
  expect_near(found, {0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125});

  Schedule other("plateau:1:0.5", 0.5, {100, 4, 0});
  other.set_state(schedule.state());
  EXPECT_EQ(other.rate(0), 0.125);
}

TEST(Schedule, RejectsWhatIsNone) {
  for (const char* text : {"", "cosinus", "cosine:x", "cosine:0:1", "step", "step:0", "exponential",
                           "onecycle:3", "linear:-1", "linear:nan", "linear:1e999", "step:1:2:3"}) {
    EXPECT_THROW(rates(text), Error) << text;
  }
}

}  // namespace

}  // namespace onnxrun
