#include "onnxrun/fit.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "base/error.h"
#include "base/seconds.h"
#include "fit/augmentation.h"
#include "fit/evaluation_size.h"
#include "fit/fit_report.h"
#include "fit/gradient_sum.h"
#include "fit/measuring.h"
#include "fit/parts.h"
#include "fit/saved_fit.h"
#include "fit/schedule.h"
#include "fit/stored_preparation.h"
#include "passes/widen.h"

namespace onnxrun {

namespace {

Graph graph_for(const Model& model, const FitOptions& options) {
  Graph graph = model.graph();
  if (options.trainer.double_precision) {
    widen_to_double(graph);
  } else {
    widen_halves(graph);
  }
  return graph;
}

std::vector<LossOptions> losses_of(const TrainerOptions& o) {
  std::vector<LossOptions> losses = {o.loss};
  losses.insert(losses.end(), o.more_losses.begin(), o.more_losses.end());
  return losses;
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
  Impl(const Model& given, const NamedTensors& data, FitOptions o)
      : options(checked(std::move(o))),
        model(given),
        graph(graph_for(model, options)),
        task(choose_task(graph, data, options.feed, losses_of(options.trainer), true)),
        parts(make_parts(graph, data, options, task.targets)),
        batch_size(batch_size_for(graph, parts.training, options.feed)),
        batches(parts.training.set, batch_options(true)),
        trainer(model, trainer_options()),
        schedule(options.schedule, trainer.learning_rate(), length()),
        plan(measuring_plan(graph, task, parts.training, batch_size, options.metrics)),
        measurement(plan),
        gradient_sum(trainer, plan.reduction) {
    for (ModelData* part : parts.all()) part->targets = trainer.target_names();
    describe(summary, task, parts.training, batch_size);
    summary.metrics = plan.names();
    summary.total_steps = length().steps;
    if (options.warmup > summary.total_steps) {
      summary.warnings.push_back(
          fmt::format("the learning rate grows for {} steps, but the training has {}",
                      options.warmup, summary.total_steps));
    }
    check_norms();
    for (const auto& [name, s] : parts.standardizers) {
      summary.notes.push_back(fmt::format("input '{}' is standardized: {}", name, s.summary()));
    }
    if (options.bake && parts.training.prepared.empty()) {
      fail(ErrorKind::Usage, "nothing happens to the data that could be baked into the model");
    }
    if (options.bake) check_bakeable(trainer.model(), {parts.training.prepared, {}});
    history.reserve(static_cast<size_t>(std::min<int64_t>(options.epochs, 1 << 16)));
    evaluation_batch = size_of_evaluations();
  }

  BatchOptions batch_options(bool trains) const {
    return {
        .batch_size = trains ? batch_size : evaluation_batch,
        .shuffle = trains && options.shuffle,
        .seed = options.trainer.seed,
        .drop_last = trains && options.drop_last,
        .augment = trains ? augments_for(options.augment, parts.training) : std::vector<Augment>()};
  }

  TrainerOptions trainer_options() const {
    TrainerOptions o = options.trainer;
    o.more_losses = task.loss_options();
    o.loss = std::move(o.more_losses[0]);
    o.more_losses.erase(o.more_losses.begin());
    o.sample_weights = task.sample_weights;
    o.target_dims = target_dims(parts.training, batch_size);
    return o;
  }

  // A batch of one sample has no variance (torch.nn.BatchNorm1d refuses it, too).
  void check_norms() const {
    const TrainerOptions& o = options.trainer;
    bool from_pytorch = graph.source && graph.source->producer.starts_with("pytorch");
    if (!o.batch_statistics || !o.unbiased_variance.value_or(from_pytorch)) return;
    if (options.feed.prebatched || batches.size_of(batches.count() - 1) > 1) return;
    for (const Node& node : graph.nodes) {
      bool keeps_statistics = false;
      for (size_t k = 0; k < node.inputs.size(); ++k) {
        keeps_statistics |= node.info->spec.role_of(k) == InputRole::Statistic;
      }
      if (!keeps_statistics || graph.value(node.inputs[0]).type.rank() != 2) continue;
      fail(ErrorKind::Usage,
           "node '{}' ({}) normalizes by the batch, but of {} samples in batches of {} the last "
           "batch "
           "has one, which has no variance: take another batch size, leave that batch out "
           "(--drop-last), or normalize by the file's statistics (--batchnorm frozen)",
           node.name, node.info->spec.name, parts.training.set.samples(), batch_size);
    }
  }

  int64_t updates_per_epoch() const {
    return (batches.count() + options.accumulate - 1) / options.accumulate;
  }
  Schedule::Length length() const {
    int64_t all = options.epochs * updates_per_epoch();
    if (options.max_steps) all = std::min(all, *options.max_steps);
    return {all, updates_per_epoch(), options.warmup};
  }

  double seconds() const { return seconds_before + (started > 0 ? seconds_now() - started : 0); }
  bool finished() const { return stops || (options.max_steps && step >= *options.max_steps); }

  void check_cancelled() {
    if (cancelled.exchange(false)) fail(ErrorKind::Cancelled, "cancelled");
  }

  void run(Fit& self) {
    started = seconds_now();
    try {
      for (const auto& c : options.callbacks) c->begin(self);
      while (epoch < options.epochs && !finished()) run_epoch(self);
      for (auto c = options.callbacks.rbegin(); c != options.callbacks.rend(); ++c) {
        (*c)->end(self);
      }
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
      StepRecord record{epoch + 1, step, last_loss, trainer.learning_rate()};
      for (const auto& c : options.callbacks) c->step_end(self, record);
    }
    end_epoch(self);
  }

  void set_rate() {
    double rate = schedule.rate(step);
    if (rate != trainer.learning_rate()) trainer.set_learning_rate(rate);
  }

  // Buffers of the batches are the same ones again and again, so they are bound once, unless
  // others bind.
  struct Bound {
    std::vector<Tensor> tensors;
    int64_t bindings = -1;
  };

  static bool same_buffers(std::span<const Tensor> a, std::span<const Tensor> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Tensor& x, const Tensor& y) { return x.same_buffer(y); });
  }

  void bind(std::span<const Tensor> tensors) {
    if (trained.bindings == trainer.bindings() && same_buffers(trained.tensors, tensors)) return;
    for (const auto& [name, value] : parts.training.feeds(tensors)) {
      trainer.bind_input(name, value.tensor);
    }
    trained = {{tensors.begin(), tensors.end()}, trainer.bindings()};
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
    measurement.add(
        loss, batches.size_of(batch), targets_of(trained.tensors),
        [this](size_t k) -> const Tensor& { return trainer.output(k); },
        [this] { return trainer.losses(); });
    ++batch;
  }

  void end_epoch(Fit& self) {
    EpochRecord record{epoch + 1, step, measurement.loss(), trainer.learning_rate()};
    record.metrics.reserve(2 * summary.metrics.size() + 1);
    measurement.add_results("", record.metrics);
    if (parts.validation) {
      const Measurement& validation = measured(Part::Validation);
      record.metrics.emplace_back("val_loss", validation.loss());
      validation.add_results("val_", record.metrics);
    }
    record.seconds = seconds();
    schedule.epoch_ended(record.value("val_loss").value_or(record.loss));
    history.push_back(record);
    ++epoch;
    batch = 0;
    measurement.clear();
    for (const auto& c : options.callbacks) c->epoch_end(self, record);
  }

  std::span<const Tensor> targets_of(std::span<const Tensor> tensors) const {
    return tensors.subspan(parts.training.inputs.size());
  }

  // What evaluations of one part use again and again.
  struct Evaluated {
    Evaluated(const ModelData& data, const BatchOptions& how, const MeasuringPlan& what)
        : batches(data.set, how), measurement(what) {}

    Batches batches;
    Measurement measurement;
    Bound bound;
  };

  Evaluated& evaluated(Part part) {
    std::unique_ptr<Evaluated>& found = evaluations[static_cast<size_t>(part)];
    if (!found) found = std::make_unique<Evaluated>(*parts.find(part), batch_options(false), plan);
    return *found;
  }

  const Measurement& measured(Part part) {
    Evaluated& e = evaluated(part);
    e.measurement.clear();
    e.batches.start_epoch(0);
    for (int64_t k = 0; k < e.batches.count(); ++k) {
      if (cancelled.load(std::memory_order_relaxed)) check_cancelled();
      std::span<const Tensor> tensors = e.batches.batch(k);
      bind_evaluation(*parts.find(part), e.bound, tensors);
      e.measurement.add(
          trainer.evaluate(), e.batches.size_of(k), targets_of(tensors),
          [this](size_t output) -> const Tensor& { return trainer.output(output); },
          [this] { return trainer.losses(); });
    }
    return e.measurement;
  }

  void bind_evaluation(const ModelData& data, Bound& bound, std::span<const Tensor> tensors) {
    const int64_t bindings = trainer.evaluation_bindings();
    if (bound.bindings == bindings && same_buffers(bound.tensors, tensors)) return;
    for (const auto& [name, value] : data.feeds(tensors)) {
      trainer.bind_evaluation_input(name, value.tensor);
    }
    bound = {{tensors.begin(), tensors.end()}, trainer.evaluation_bindings()};
  }

  int64_t size_of_evaluations() {
    const ModelData* data = parts.find(Part::Validation);
    if (!data) data = parts.find(Part::Test);
    if (!data) return batch_size;
    FeedOptions free = options.feed;
    free.batch_size.reset();
    return evaluation_size(trainer, *data, plan.reduction, batch_size,
                           batch_size_for(graph, *data, free));
  }

  FitOptions options;
  Model model;
  Graph graph;
  LearningTask task;
  DataParts parts;
  int64_t batch_size, evaluation_batch = 0;
  Batches batches;
  Trainer trainer;
  Schedule schedule;
  FitSummary summary;

  int64_t epoch = 0, batch = 0, step = 0;  // done
  double last_loss = 0;
  MeasuringPlan plan;
  Measurement measurement;  // of the epoch
  GradientSum gradient_sum;
  std::vector<EpochRecord> history;
  Bound trained;
  std::array<std::unique_ptr<Evaluated>, 3> evaluations;  // by part
  double seconds_before = 0, started = 0;
  bool stops = false;
  std::atomic<bool> cancelled = false;
};

Fit::Fit(const Model& model, const NamedTensors& data, FitOptions options)
    : impl_(std::make_unique<Impl>(model, data, std::move(options))) {
  report_fit(model, *this);
}
Fit::~Fit() = default;
Fit::Fit(Fit&&) noexcept = default;
Fit& Fit::operator=(Fit&&) noexcept = default;

const FitSummary& Fit::summary() const { return impl_->summary; }
const FitOptions& Fit::options() const { return impl_->options; }
Trainer& Fit::trainer() { return impl_->trainer; }
const Model& Fit::model() const { return impl_->model; }
const Trainer& Fit::trainer() const { return impl_->trainer; }
void Fit::run() { impl_->run(*this); }
void Fit::stop() { impl_->stops = true; }

void Fit::cancel() {
  impl_->cancelled = true;
  impl_->trainer.cancel();
}

bool Fit::has(Part part) const { return impl_->parts.find(part) != nullptr; }

Evaluation Fit::evaluate(Part part) {
  if (!impl_->parts.find(part)) {
    fail(ErrorKind::Usage, "there are no {} data", part == Part::Test ? "test" : "validation");
  }
  const Measurement& measured = impl_->measured(part);
  return {measured.loss(), measured.results()};
}

int64_t Fit::steps() const { return impl_->step; }
double Fit::last_loss() const { return impl_->last_loss; }
const std::vector<EpochRecord>& Fit::history() const { return impl_->history; }
double Fit::seconds() const { return impl_->seconds(); }
double Fit::waited() const { return impl_->batches.waited(); }
std::string Fit::first_not_finite() const {
  return onnxrun::first_not_finite(impl_->parts.training);
}

Preparation Fit::preparation() const {
  Preparation preparation{impl_->parts.training.prepared, {}};
  for (const LossTask& task : impl_->task.losses) {
    if (!task.classes.empty()) preparation.classes[task.chosen.loss.output] = task.classes;
  }
  return preparation;
}

void Fit::save(const std::string& path, bool in_place) const {
  save_prepared(impl_->trainer.model(), impl_->trainer.weights(), preparation(),
                impl_->options.bake, path, in_place);
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
  saved.add("measured", i.measurement.state());
  for (size_t k = 0; k < i.options.callbacks.size(); ++k) {
    saved.add(fmt::format("callback{}", k), i.options.callbacks[k]->state());
  }
  saved.add("counts",
            std::vector<int64_t>{i.epoch, i.batch, i.step, i.batches.count(), i.summary.samples,
                                 static_cast<int64_t>(i.options.trainer.seed), i.stops ? 1 : 0});
  saved.add("numbers", std::vector<double>{i.last_loss, i.seconds()});
  saved.add("schedule", i.schedule.state());
  saved.add("standardization", standardization());
  saved.add_history(i.history);
  return saved.arrays();
}

// Other means are those of other data.
static void check_standardization(const NamedTensors& then, const NamedTensors& now) {
  bool same = std::equal(then.begin(), then.end(), now.begin(), now.end(),
                         [](const NamedTensor& a, const NamedTensor& b) {
                           return a.name == b.name && identical(a.tensor, b.tensor);
                         });
  if (same) return;
  fail(ErrorKind::BadInput,
       "this state is of a training whose data were standardized by other means and deviations");
}

void Fit::set_state(const NamedTensors& state) {
  Impl& i = *impl_;
  SavedFit saved(state);
  std::vector<int64_t> counts = saved.integers("counts", 7);
  std::vector<double> numbers = saved.doubles("numbers", 2);
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
  check_standardization(saved.group("standardization"), standardization());
  std::vector<EpochRecord> history = saved.history();
  i.schedule.set_state(saved.doubles("schedule", 3));
  i.measurement.set_state(saved.group("measured"));
  for (size_t k = 0; k < i.options.callbacks.size(); ++k) {
    i.options.callbacks[k]->set_state(saved.group(fmt::format("callback{}", k)));
  }
  i.trainer.set_state(saved.group("trainer"));
  i.history = std::move(history);
  i.epoch = counts[0];
  i.batch = counts[1];
  i.step = counts[2];
  // What ended between the last step of an epoch and its record remembers the rate of that step.
  if (i.step > 0) i.trainer.set_learning_rate(i.schedule.rate(i.step - 1));
  i.stops = counts[6] != 0;
  i.last_loss = numbers[0];
  i.seconds_before = numbers[1];
}

Fit fit(const Model& model, const NamedTensors& data, FitOptions options) {
  Fit training(model, data, std::move(options));
  training.run();
  return training;
}

}  // namespace onnxrun
