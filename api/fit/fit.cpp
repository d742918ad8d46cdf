#include "onnxrun/fit.h"

#include <atomic>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "fit/gradient_sum.h"
#include "fit/measuring.h"
#include "fit/parts.h"
#include "fit/saved_fit.h"
#include "fit/schedule.h"
#include "passes/widen.h"
#include "training/loss_average.h"

namespace onnxrun {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Graph graph_for(const Model& model, const FitOptions& options) {
  Graph graph = model.graph();
  if (options.trainer.double_precision) widen_to_double(graph);
  return graph;
}

LossChoice loss_choice(const FitOptions& o) {
  const TrainerOptions& t = o.trainer;
  return {o.loss,          t.reduction,    t.class_axis,     t.allow_broadcast,
          t.class_weights, t.ignore_index, t.label_smoothing};
}

FitOptions checked(FitOptions o) {
  if (o.epochs < 1) fail(ErrorKind::Usage, "{} epochs are no training", o.epochs);
  if (o.max_steps && *o.max_steps < 1) fail(ErrorKind::Usage, "{} steps are none", *o.max_steps);
  if (o.accumulate < 1) {
    fail(ErrorKind::Usage, "gradients of {} batches cannot be added up", o.accumulate);
  }
  return o;
}

}  // namespace

std::optional<double> EpochRecord::value(const std::string& name) const {
  if (name == "loss") return loss;
  for (const auto& [metric, value] : metrics) {
    if (metric == name) return value;
  }
  return std::nullopt;
}

struct Fit::Impl {
  Impl(const Model& model, const NamedTensors& data, FitOptions o)
      : options(checked(std::move(o))),
        graph(graph_for(model, options)),
        choice(loss_choice(options)),
        task(choose_task(graph, data, options.feed, choice)),
        parts(make_parts(graph, data, options, task.target)),
        batch_size(batch_size_for(graph, parts.training, options.feed)),
        batches(parts.training.set, batch_options(true)),
        trainer(model, trainer_options()),
        schedule(options.schedule, trainer.learning_rate(), length()),
        metric_choice(metric_options(graph, task, choice, parts.training, batch_size)),
        average(reduction()),
        metrics(options.metrics, metric_choice),
        gradient_sum(trainer, reduction()) {
    measures = parts.training.has_target && !options.metrics.empty();
    if (!options.metrics.empty() && !parts.training.has_target) {
      fail(ErrorKind::Usage, "metrics need a target");
    }
    for (const auto& [name, s] : parts.standardizers) {
      summary.notes.push_back(fmt::format("input '{}' is standardized: {}", name, s.summary()));
    }
    describe();
  }

  BatchOptions batch_options(bool trains) const {
    return {.batch_size = batch_size,
            .shuffle = trains && options.shuffle,
            .seed = options.trainer.seed,
            .drop_last = trains && options.drop_last};
  }

  TrainerOptions trainer_options() const {
    TrainerOptions o = options.trainer;
    o.loss = task.loss.name;
    o.output = task.loss.output;
    o.class_axis = task.class_axis;
    o.target_dims = target_dims(parts.training, batch_size);
    return o;
  }

  Reduction reduction() const { return reduction_of(loss_options(task, choice)); }

  int64_t updates_per_epoch() const {
    return (batches.count() + options.accumulate - 1) / options.accumulate;
  }
  Schedule::Length length() const {
    int64_t all = options.epochs * updates_per_epoch();
    if (options.max_steps) all = std::min(all, *options.max_steps);
    return {all, updates_per_epoch(), options.warmup};
  }

  void describe() {
    summary.loss = task.loss.name;
    summary.output = task.loss.output;
    summary.is_loss_chosen = task.loss.by_default;
    summary.notes.insert(summary.notes.begin(), parts.training.notes.begin(),
                         parts.training.notes.end());
    if (!task.loss.warning.empty()) summary.warnings.push_back(task.loss.warning);
    summary.samples = parts.training.set.samples();
    summary.batch_size = batch_size;
    summary.total_steps = length().steps;
  }

  double seconds() const { return seconds_before + (started > 0 ? now() - started : 0); }
  bool finished() const { return stops || (options.max_steps && step >= *options.max_steps); }

  void check_cancelled() {
    if (cancelled.exchange(false)) fail(ErrorKind::Cancelled, "cancelled");
  }

  void run(Fit& self) {
    started = now();
    try {
      for (const auto& c : options.callbacks) c->begin(self);
      while (epoch < options.epochs && !finished()) run_epoch(self);
      for (const auto& c : options.callbacks) c->end(self);
    } catch (...) {
      pause();
      abort(self);
      throw;
    }
    pause();
  }

  void pause() {
    seconds_before = seconds();
    started = 0;
  }

  void abort(Fit& self) {
    for (const auto& c : options.callbacks) {
      try {
        c->aborted(self);
      } catch (const std::exception&) {
        // The exception that ends the training is the one to tell.
      }
    }
  }

  void run_epoch(Fit& self) {
    batches.start_epoch(epoch);
    // What ended between the last batch and the end of its epoch comes back with no batch left.
    while (batch < batches.count() && !finished()) {
      if (cancelled.load(std::memory_order_relaxed)) check_cancelled();
      set_rate();
      last_loss = options.accumulate == 1 ? one_batch() : several_batches();
      ++step;
      if (options.callbacks.empty()) continue;
      StepRecord record{epoch + 1, step, last_loss, trainer.learning_rate(), seconds()};
      for (const auto& c : options.callbacks) c->step_end(self, record);
    }
    end_epoch(self);
  }

  void set_rate() {
    double rate = schedule.rate(step);
    if (rate != trainer.learning_rate()) trainer.set_learning_rate(rate);
  }

  // Buffers of the batches are the same ones again and again, so they are bound once.
  void bind(std::span<const Tensor> tensors) {
    bool same = bound.size() == tensors.size();
    for (size_t k = 0; same && k < tensors.size(); ++k) same = bound[k].same_buffer(tensors[k]);
    if (same) return;
    bound.assign(tensors.begin(), tensors.end());
    for (size_t k = 0; k < parts.training.inputs.size(); ++k) {
      trainer.bind_input(parts.training.inputs[k], tensors[k]);
    }
    if (parts.training.has_target) trainer.bind_target(tensors.back());
  }

  double one_batch() {
    bind(batches.batch(batch));
    double loss = trainer.step();
    count_batch(loss);
    return loss;
  }

  double several_batches() {
    int64_t end = std::min(batch + options.accumulate, batches.count());
    gradient_sum.start();
    while (batch < end) {
      bind(batches.batch(batch));
      double loss = trainer.gradients();
      gradient_sum.add(loss, batches.size_of(batch));
      count_batch(loss);
    }
    gradient_sum.write();
    trainer.apply();
    return gradient_sum.loss();
  }

  void count_batch(double loss) {
    average.add(loss, batches.size_of(batch));
    if (measures) metrics.add(trainer.output(), bound.back());
    ++batch;
  }

  void end_epoch(Fit& self) {
    EpochRecord record{epoch + 1, step, average.value(), trainer.learning_rate()};
    if (measures) {
      for (const auto& [name, value] : metrics.results()) record.metrics.emplace_back(name, value);
    }
    if (const ModelData* data = parts.find(Part::Validation)) {
      Evaluation e = evaluate(*data);
      record.metrics.emplace_back("val_loss", e.loss);
      for (const auto& [name, value] : e.metrics) record.metrics.emplace_back("val_" + name, value);
    }
    record.seconds = seconds();
    schedule.epoch_ended(record.value("val_loss").value_or(record.loss));
    history.push_back(record);
    ++epoch;
    batch = 0;
    average = LossAverage(reduction());
    metrics = Metrics(options.metrics, metric_choice);
    for (const auto& c : options.callbacks) c->epoch_end(self, record);
  }

  Evaluation evaluate(const ModelData& data) {
    Batches all(data.set, batch_options(false));
    LossAverage loss(reduction());
    Metrics measured(options.metrics, metric_choice);
    for (int64_t k = 0; k < all.count(); ++k) {
      if (cancelled.load(std::memory_order_relaxed)) check_cancelled();
      std::span<const Tensor> tensors = all.batch(k);
      Trainer::Evaluation e = trainer.evaluate(data.feeds(tensors), data.target(tensors));
      loss.add(e.loss, all.size_of(k));
      if (measures) measured.add(e.output, tensors.back());
    }
    Evaluation result{loss.value()};
    if (!measures) return result;
    for (const auto& [name, value] : measured.results()) result.metrics.emplace_back(name, value);
    return result;
  }

  FitOptions options;
  Graph graph;
  LossChoice choice;
  LearningTask task;
  DataParts parts;
  int64_t batch_size;
  Batches batches;
  Trainer trainer;
  Schedule schedule;
  MetricOptions metric_choice;
  FitSummary summary;
  bool measures = false;

  int64_t epoch = 0, batch = 0, step = 0;  // done
  double last_loss = 0;
  LossAverage average;  // of the epoch
  Metrics metrics;
  GradientSum gradient_sum;
  std::vector<EpochRecord> history;
  std::vector<Tensor> bound;
  double seconds_before = 0, started = 0;
  bool stops = false;
  std::atomic<bool> cancelled = false;
};

Fit::Fit(const Model& model, const NamedTensors& data, FitOptions options)
    : impl_(std::make_unique<Impl>(model, data, std::move(options))) {}
Fit::~Fit() = default;
Fit::Fit(Fit&&) noexcept = default;
Fit& Fit::operator=(Fit&&) noexcept = default;

const FitSummary& Fit::summary() const { return impl_->summary; }
const FitOptions& Fit::options() const { return impl_->options; }
Trainer& Fit::trainer() { return impl_->trainer; }
const Trainer& Fit::trainer() const { return impl_->trainer; }
void Fit::run() { impl_->run(*this); }
void Fit::stop() { impl_->stops = true; }

void Fit::cancel() {
  impl_->cancelled = true;
  impl_->trainer.cancel();
}

bool Fit::has(Part part) const { return impl_->parts.find(part) != nullptr; }

Evaluation Fit::evaluate(Part part) {
  const ModelData* data = impl_->parts.find(part);
  if (!data) {
    fail(ErrorKind::Usage, "there are no {} data", part == Part::Test ? "test" : "validation");
  }
  return impl_->evaluate(*data);
}

int64_t Fit::steps() const { return impl_->step; }
double Fit::last_loss() const { return impl_->last_loss; }
const std::vector<EpochRecord>& Fit::history() const { return impl_->history; }
double Fit::seconds() const { return impl_->seconds(); }
std::string Fit::first_not_finite() const {
  return onnxrun::first_not_finite(impl_->parts.training);
}

NamedTensors Fit::standardization() const {
  NamedTensors numbers;
  for (const auto& [name, s] : impl_->parts.standardizers) {
    numbers.push_back({name + ".mean", s.mean()});
    numbers.push_back({name + ".deviation", s.deviation()});
  }
  return numbers;
}

NamedTensors Fit::state() const {
  const Impl& i = *impl_;
  SavedFit saved;
  saved.add("trainer", i.trainer.state());
  saved.add("metrics", i.metrics.state());
  for (size_t k = 0; k < i.options.callbacks.size(); ++k) {
    saved.add(fmt::format("callback{}", k), i.options.callbacks[k]->state());
  }
  saved.add("counts",
            std::vector<int64_t>{i.epoch, i.batch, i.step, i.batches.count(), i.summary.samples,
                                 static_cast<int64_t>(i.options.trainer.seed)});
  saved.add("numbers",
            std::vector<double>{i.last_loss, i.average.sum(), i.average.samples(), i.seconds()});
  saved.add("schedule", i.schedule.state());
  saved.add_history(i.history);
  return saved.arrays();
}

void Fit::set_state(const NamedTensors& state) {
  Impl& i = *impl_;
  SavedFit saved(state);
  std::vector<int64_t> counts = saved.integers("counts", 6);
  std::vector<double> numbers = saved.doubles("numbers", 4);
  auto seed = static_cast<int64_t>(i.options.trainer.seed);
  if (counts[3] != i.batches.count() || counts[4] != i.summary.samples || counts[5] != seed) {
    fail(ErrorKind::BadInput,
         "this state is of a training of {} samples in {} batches with seed {}, not of {} in {} "
         "with seed {}",
         counts[4], counts[3], static_cast<uint64_t>(counts[5]), i.summary.samples,
         i.batches.count(), i.options.trainer.seed);
  }
  if (counts[0] < 0 || counts[1] < 0 || counts[1] > counts[3] || counts[2] < 0) {
    fail(ErrorKind::BadInput, "this state is of no training");
  }
  std::vector<EpochRecord> history = saved.history();
  i.schedule.set_state(saved.doubles("schedule", 3));
  i.metrics.set_state(saved.group("metrics"));
  for (size_t k = 0; k < i.options.callbacks.size(); ++k) {
    i.options.callbacks[k]->set_state(saved.group(fmt::format("callback{}", k)));
  }
  i.trainer.set_state(saved.group("trainer"));
  i.history = std::move(history);
  i.epoch = counts[0];
  i.batch = counts[1];
  i.step = counts[2];
  i.last_loss = numbers[0];
  i.average.set(numbers[1], numbers[2]);
  i.seconds_before = numbers[3];
}

Fit fit(const Model& model, const NamedTensors& data, FitOptions options) {
  Fit training(model, data, std::move(options));
  training.run();
  return training;
}

}  // namespace onnxrun
