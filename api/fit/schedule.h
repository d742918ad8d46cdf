// The learning rate over a training.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace onnxrun {

struct ScheduleInfo {
  std::string_view name;
  std::string_view formula;
};
const std::vector<ScheduleInfo>& schedule_list();

// The schedules of torch.optim.lr_scheduler in closed form, one rate a step; epochs are those of
// the data. Warm-up comes first and takes steps from the rest, as in Hugging Face's trainer.
class Schedule {
 public:
  struct Length {
    int64_t steps = 1;            // of the whole training
    int64_t steps_per_epoch = 1;  // updates
    int64_t warmup = 0;
  };

  // `text` is "NAME[:NUMBER...]", `lr` the rate that it is about. Throws Usage for a name that
  // there is not, listing those there are, and for numbers that are none.
  Schedule(const std::string& text, double lr, Length length);

  // Of the step after `done` steps.
  double rate(int64_t done) const;
  // The loss of an epoch, validation's where there is one: what "plateau" goes by.
  void epoch_ended(double loss);

  // For checkpoints: what epoch_ended() has changed.
  std::vector<double> state() const { return {factor_, best_, bad_}; }
  void set_state(const std::vector<double>& state);

 private:
  enum class Kind : uint8_t {
    Constant,
    Linear,
    Cosine,
    Step,
    Exponential,
    Plateau,
    OneCycle,
    Sweep
  };
  double number(size_t k, double otherwise) const;
  double one_cycle(double done, double all) const;

  Kind kind_ = Kind::Constant;
  std::vector<double> numbers_;
  double lr_;
  Length length_;
  double factor_ = 1, best_, bad_ = 0;  // of plateau
};

}  // namespace onnxrun
