#include "fit/schedule.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.h"
#include "training/find_named.h"

namespace onnxrun {

const std::vector<ScheduleInfo>& schedule_list() {
  static const std::vector<ScheduleInfo> list = {
      {"constant", "lr"},
      {"linear", "linear:END: from lr to END lr (0) at the last step"},
      {"cosine", "cosine:END: half a cosine from lr to END lr (0)"},
      {"step", "step:EPOCHS:FACTOR: lr FACTOR^(epoch / EPOCHS) (0.1)"},
      {"exponential", "exponential:FACTOR: lr FACTOR^epoch"},
      {"plateau",
       "plateau:PATIENCE:FACTOR: times FACTOR (0.1) where no epoch of more than PATIENCE "
       "(10) was better by a factor of 1e-4"},
      {"onecycle", "up from lr / 25 to lr in 30 % of the steps, down to lr / 250,000, by cosines"},
      {"sweep", "sweep:FROM:TO: FROM (TO / FROM)^(step / last), whatever lr is"},
  };
  return list;
}

namespace {

std::vector<std::string> pieces_of(const std::string& text) {
  std::vector<std::string> pieces;
  size_t at = 0;
  for (size_t colon = text.find(':'); colon != std::string::npos; colon = text.find(':', at)) {
    pieces.push_back(text.substr(at, colon - at));
    at = colon + 1;
  }
  pieces.push_back(text.substr(at));
  return pieces;
}

double number_of(const std::string& schedule, const std::string& text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool is_number = !text.empty() && error == std::errc() && end == text.data() + text.size();
  if (!is_number || !std::isfinite(value) || value < 0) {
    fail(ErrorKind::Usage, "schedule '{}': '{}' is no number from 0 on", schedule, text);
  }
  return value;
}

// From `a` to `b` along half a cosine, `part` in [0, 1].
double along_cosine(double a, double b, double part) {
  return b + (a - b) / 2 * (std::cos(std::numbers::pi * part) + 1);
}

}  // namespace

Schedule::Schedule(const std::string& text, double lr, Length length)
    : lr_(lr), length_(length), best_(std::numeric_limits<double>::infinity()) {
  std::vector<std::string> pieces = pieces_of(text);
  const ScheduleInfo& info = find_named(schedule_list(), pieces[0], "schedule");
  kind_ = static_cast<Kind>(&info - schedule_list().data());
  for (size_t k = 1; k < pieces.size(); ++k) numbers_.push_back(number_of(text, pieces[k]));
  bool sweeps = kind_ == Kind::Sweep;
  bool two = kind_ == Kind::Step || kind_ == Kind::Plateau || sweeps;
  bool none = kind_ == Kind::Constant || kind_ == Kind::OneCycle;
  if (numbers_.size() > (two ? 2U : none ? 0U : 1U)) {
    fail(ErrorKind::Usage, "schedule '{}' has too many numbers: {}", text, info.formula);
  }
  bool needs = (kind_ == Kind::Step || kind_ == Kind::Exponential) && numbers_.empty();
  if (sweeps && (numbers_.size() < 2 || numbers_[0] == 0 || numbers_[1] == 0)) {
    fail(ErrorKind::Usage, "schedule '{}' needs two rates above 0: {}", text, info.formula);
  }
  if (needs || (kind_ == Kind::Step && numbers_[0] < 1)) {
    fail(ErrorKind::Usage, "schedule '{}' needs a number: {}", text, info.formula);
  }
  if (length_.warmup < 0) fail(ErrorKind::Usage, "warm-up takes {} steps", length_.warmup);
}

double Schedule::number(size_t k, double otherwise) const {
  return k < numbers_.size() ? numbers_[k] : otherwise;
}

double Schedule::rate(int64_t done) const {
  if (done < length_.warmup) {
    return lr_ * static_cast<double>(done) / static_cast<double>(length_.warmup);
  }
  auto at = static_cast<double>(done - length_.warmup);
  auto all = static_cast<double>(std::max<int64_t>(length_.steps - length_.warmup, 1));
  const int64_t epochs = done / std::max<int64_t>(length_.steps_per_epoch, 1);
  auto epoch = static_cast<double>(epochs);
  double part = std::min(at / all, 1.0);
  switch (kind_) {
    case Kind::Constant:
      return lr_;
    case Kind::Linear:
      return lr_ * (1 + (number(0, 0) - 1) * part);
    case Kind::Cosine:
      return along_cosine(lr_, lr_ * number(0, 0), part);
    case Kind::Step:
      return lr_ * std::pow(number(1, 0.1), std::floor(epoch / numbers_[0]));
    case Kind::Exponential:
      return lr_ * std::pow(numbers_[0], epoch);
    case Kind::Plateau:
      return lr_ * factor_;
    case Kind::OneCycle:
      return one_cycle(at, all);
    case Kind::Sweep:
      return numbers_[0] * std::pow(numbers_[1] / numbers_[0], at / std::max(all - 1, 1.0));
  }
  return lr_;
}

// torch.optim.lr_scheduler.OneCycleLR with its defaults: pct_start 0.3, div_factor 25,
// final_div_factor 1e4.
double Schedule::one_cycle(double done, double all) const {
  double low = lr_ / 25, peak = 0.3 * all - 1, last = all - 1;
  if (done <= peak) return along_cosine(low, lr_, done / peak);
  double part = last > peak ? std::min((done - peak) / (last - peak), 1.0) : 1.0;
  return along_cosine(lr_, low / 1e4, part);
}

// torch.optim.lr_scheduler.ReduceLROnPlateau: relative threshold 1e-4.
void Schedule::epoch_ended(double loss) {
  if (kind_ != Kind::Plateau) return;
  if (loss < best_ * (1 - 1e-4)) {
    best_ = loss;
    bad_ = 0;
  } else {
    bad_ += 1;
  }
  if (bad_ <= number(0, 10)) return;
  factor_ *= number(1, 0.1);
  bad_ = 0;
}

void Schedule::set_state(const std::vector<double>& state) {
  if (state.size() != 3) fail(ErrorKind::BadInput, "a schedule's state has 3 numbers");
  factor_ = state[0];
  best_ = state[1];
  bad_ = state[2];
}

}  // namespace onnxrun
