#include "graph/run_scope.h"

#include <algorithm>

#include "base/error.h"

namespace onnxrun {

RunScope*& RunScope::current() {
  thread_local RunScope* scope = nullptr;
  return scope;
}

static Work work_of(const RunControl& control, int64_t max_tensor) {
  const Work* around = current_work();
  if (around) max_tensor = std::min(max_tensor, around->max_tensor);
  return {.check = [](const void* object) { static_cast<const RunControl*>(object)->check(); },
          .object = &control,
          .memory = around ? around->memory : nullptr,
          .max_tensor = max_tensor};
}

RunScope::RunScope(const RunControl& control, int64_t max_tensor)
    : work_(work_of(control, max_tensor)), outer_(current()), scope_(&work_), control_(control) {
  if (!outer_ || &outer_->control_ != &control) current() = this;
}

RunScope::~RunScope() { current() = outer_; }

LoopCount::LoopCount(const RunControl& control, int64_t trips)
    : control_(control),
      run_(RunScope::current()),
      iterations_(run_ ? &run_->iterations_ : &own_),
      endless_(trips > control.max_loop_iterations && !control.has_time_limit()) {
  if (endless_ && run_ && run_->start_ == decltype(run_->start_)()) {
    run_->start_ = std::chrono::steady_clock::now();
  }
}

void LoopCount::next() {
  control_.check();
  if (++*iterations_ > control_.max_loop_iterations) {
    fail(ErrorKind::Limit, "more than {} iterations of the loops of a run",
         control_.max_loop_iterations);
  }
  // Looking at the clock takes as long as a small operator.
  if (endless_ && run_ && *iterations_ % 16 == 0) check_time();
}

void LoopCount::check_time() const {
  std::chrono::duration<double> taken = std::chrono::steady_clock::now() - run_->start_;
  if (taken.count() < endless_seconds) return;
  fail(ErrorKind::Limit,
       "a loop without a trip count has not ended after {} s and {} iterations; with a timeout it "
       "may take longer",
       endless_seconds, *iterations_);
}

}  // namespace onnxrun
