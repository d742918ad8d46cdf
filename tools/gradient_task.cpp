#include "gradient_task.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "graph/builder.h"
#include "interrupt.h"
#include "training/loss_sum.h"
#include "training/modes.h"

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

const RuntimeValue* find_value(const NamedValues& values, const std::string& name) {
  for (const auto& [n, v] : values) {
    if (n == name) return &v;
  }
  return nullptr;
}

}  // namespace

GradientTask::GradientTask(Graph graph, std::vector<std::string> wrt)
    : graph_(std::move(graph)), wrt_(std::move(wrt)) {}

void GradientTask::add_output(const std::string& name) {
  GraphBuilder b(graph_, "grad/");
  ValueId v = graph_.find(name);
  ValueId ones = b.add("Expand", {b.scalar_like(1, v), b.shape_of(v)});
  seeds_.push_back({v, ones});
}

std::string GradientTask::add_output_with_cotangent(const std::string& name) {
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
  auto value = [&] {
    check_interrupt();
    return to_doubles(session.run(point)[0].second.tensor)[0];
  };

  std::vector<GradientCheck> checks;
  for (size_t k = 0; k < wrt_.size(); ++k) {
    GradientCheck c{wrt_[k], 0, 0, ""};
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
      double old = x[at], h = 1e-5 * std::max(1.0, std::abs(old));
      x[at] = old + h;
      double above = value();
      x[at] = old - h;
      double below = value();
      x[at] = old;
      double found = (above - below) / (2 * h), error = std::abs(found - g[at]) / scale;
      ++c.checked;
      if (error <= c.error) continue;
      c.error = std::isnan(error) ? INFINITY : error;
      c.message = fmt::format("element {}: gradient {:.9g}, difference {:.9g}", at, g[at], found);
    }
    checks.push_back(std::move(c));
  }
  return checks;
}

}  // namespace onnxrun::tool
