#include "gradient_task.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/random.h"
#include "graph/builder.h"
#include "interrupt.h"
#include "kernels/draws.h"
#include "training/loss_sum.h"
#include "training/modes.h"
#include "value_files.h"

namespace onnxrun::tool {

namespace {

constexpr int64_t max_checked = 50;

Session make_session(Graph graph, const CommonOptions& common) {
  return Session(Model(std::make_shared<Graph>(std::move(graph))), common.session_options());
}

// The scalar whose gradient is taken, as a graph of its own in which `wrt` are inputs.
Graph scalar_graph(const Graph& from, const std::vector<Seed>& seeds,
                   const std::vector<std::string>& wrt) {
  Graph graph = from;
  GraphBuilder b(graph, "check/");
  ValueId sum = no_value;
  for (const Seed& s : seeds) {
    ValueId product = b.add("Mul", {s.value, s.cotangent});
    ValueId part = b.add("ReduceSum", {product}, {{"keepdims", int64_t{0}}});
    sum = sum == no_value ? part : b.add("Add", {sum, part});
  }
  graph.outputs = {sum};
  for (const std::string& name : wrt) {
    ValueId v = graph.find(name);
    if (graph.initializers.erase(v) == 0) continue;
    std::erase(graph.overridable, v);
    graph.inputs.push_back(v);
  }
  return graph;
}

// Difference quotients of a function by one of its numbers.
class Slopes {
 public:
  Slopes(double& x, const std::function<double()>& value) : x_(x), value_(value) {}

  struct Verdict {
    double slope = 0;     // of the central difference
    double distance = 0;  // of the gradient from it
    bool kink = false;    // slopes to both sides differ, and the gradient lies between them
  };

  // Where the central difference is farther from the gradient than allowed, a smaller one may miss
  // a kink beside the point; at a kink any number between both sides' slopes is a gradient.
  Verdict compare(double gradient, double allowed) {
    double wide = 1e-5 * std::max(1.0, std::abs(x_));
    Verdict v = central(gradient, wide);
    if (v.distance <= allowed) return v;
    Verdict narrow = central(gradient, wide / 64);
    if (narrow.distance <= allowed) return narrow;
    double here = value_(), right = (at(wide) - here) / wide, left = (here - at(-wide)) / wide;
    auto [low, high] = std::minmax(left, right);
    v.kink = high - low > 2 * allowed && gradient >= low - allowed && gradient <= high + allowed;
    return v;
  }

 private:
  double at(double step) {
    double old = x_;
    x_ = old + step;
    double result = value_();
    x_ = old;
    return result;
  }
  Verdict central(double gradient, double h) {
    Verdict v;
    v.slope = (at(h) - at(-h)) / (2 * h);
    v.distance = std::abs(v.slope - gradient);
    return v;
  }

  double& x_;
  const std::function<double()>& value_;
};

}  // namespace

GradientTask::GradientTask(Graph graph, std::vector<std::string> wrt, uint64_t seed)
    : graph_(std::move(graph)), seed_(seed), wrt_(std::move(wrt)) {}

void GradientTask::fix_random_numbers() {
  if (!fixed_) fix_draws(graph_, seed_);
  fixed_ = true;
}

void GradientTask::add_output(const std::string& name) {
  fix_random_numbers();
  GraphBuilder b(graph_, "grad/");
  ValueId v = graph_.find(name);
  ValueId ones = b.add("Expand", {b.scalar_like(1, v), b.shape_of(v)});
  seeds_.push_back({v, ones});
}

std::string GradientTask::add_output_with_cotangent(const std::string& name) {
  fix_random_numbers();
  ValueId v = graph_.find(name);
  ValueId cotangent =
      graph_.add_input(graph_.unique_name(name + "::cotangent"), graph_.value(v).type);
  seeds_.push_back({v, cotangent});
  return graph_.name_of(cotangent);
}

std::vector<std::string> GradientTask::add_loss(const TrainingOptions& options) {
  ValueId step = GraphBuilder(graph_, "grad/").int_scalar(0);
  set_training_modes(graph_, {options.batch_statistics, options.unbiased_variance, options.dropout,
                              options.seed, step});
  std::vector<LossInput> inputs = add_loss_inputs(graph_, options);
  GraphBuilder b(graph_, "grad/");
  ValueId loss = add_losses(b, options, inputs).total;
  seeds_.push_back({loss, b.scalar_like(1, loss)});
  has_loss_ = true;
  std::vector<std::string> names;
  for (const LossInput& input : inputs) names.push_back(graph_.name_of(input.value));
  return names;
}

NamedValues GradientTask::gradients(const NamedValues& feeds, const CommonOptions& common) {
  Graph graph = graph_;
  std::vector<ValueId> wrt;
  for (const std::string& name : wrt_) wrt.push_back(graph.find(name));
  graph.outputs = gradient(graph, seeds_, wrt);
  if (has_loss_) graph.outputs.push_back(seeds_[0].value);
  Session session = make_session(std::move(graph), common);
  CancelScope cancel(session);
  NamedValues results = session.run(feeds);
  if (has_loss_) loss_value_ = to_doubles(results.back().second.tensor)[0];
  NamedValues named;
  for (size_t k = 0; k < wrt_.size(); ++k) named.emplace_back(wrt_[k], results[k].second);
  return named;
}

std::vector<GradientCheck> GradientTask::check(const NamedValues& feeds,
                                               const NamedValues& gradients,
                                               const CommonOptions& common) const {
  Session session = make_session(scalar_graph(graph_, seeds_, wrt_), common);
  CancelScope cancel(session);
  NamedValues point = feeds;
  for (const std::string& name : wrt_) {
    const RuntimeValue* given = find_value(point, name);
    if (given) continue;
    point.emplace_back(name, graph_.initializers.at(graph_.find(name)).value.clone());
  }
  const std::function<double()> value = [&] {
    check_interrupt();
    seed_draws(common.seed);  // what an input puts into a random mode
    return to_doubles(session.run(point)[0].second.tensor)[0];
  };

  std::vector<GradientCheck> checks;
  for (size_t k = 0; k < wrt_.size(); ++k) {
    GradientCheck c;
    c.name = wrt_[k];
    auto& slot = std::find_if(point.begin(), point.end(), [&](const auto& p) {
                   return p.first == wrt_[k];
                 })->second;
    slot = RuntimeValue(slot.tensor.clone());
    double* x = slot.tensor.data<double>();
    std::vector<double> g = to_doubles(gradients[k].second.tensor);
    double scale = 1e-3;
    for (double v : g) scale = std::max(scale, std::abs(v));
    Philox random(common.seed, k);
    int64_t size = slot.tensor.size();
    for (int64_t i = 0; i < std::min(size, max_checked); ++i) {
      auto at = size <= max_checked
                    ? static_cast<size_t>(i)
                    : random.below(static_cast<uint64_t>(i), static_cast<uint64_t>(size));
      Slopes slopes(x[at], value);
      Slopes::Verdict v = slopes.compare(g[at], GradientCheck::allowed * scale);
      ++c.checked;
      c.kinks += v.kink;
      double error = v.distance / scale;
      if (v.kink || error <= c.error) continue;
      c.error = std::isnan(error) ? INFINITY : error;
      c.message = fmt::format("element {}: gradient {:.9g}, difference {:.9g}", at, g[at], v.slope);
    }
    checks.push_back(std::move(c));
  }
  return checks;
}

}  // namespace onnxrun::tool
