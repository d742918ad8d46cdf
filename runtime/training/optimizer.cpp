#include "training/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "training/find_named.h"

namespace onnxrun {

namespace {

using Names = std::vector<std::string_view>;

const Names sgd_options = {"momentum", "weight_decay"};
const Names adam_options = {"beta1", "beta2", "eps", "weight_decay"};

struct Setting {
  std::string_view name;
  std::optional<double> OptimizerOptions::*value;
  bool is_share = false;  // in [0, 1)
};

constexpr Setting settings[] = {{"lr", &OptimizerOptions::lr},
                                {"momentum", &OptimizerOptions::momentum},
                                {"weight_decay", &OptimizerOptions::weight_decay},
                                {"beta1", &OptimizerOptions::beta1, true},
                                {"beta2", &OptimizerOptions::beta2, true},
                                {"eps", &OptimizerOptions::eps},
                                {"alpha", &OptimizerOptions::alpha, true}};

void check_settings(const OptimizerOptions& options) {
  const OptimizerInfo& info = find_optimizer(options.name);
  for (const Setting& setting : settings) {
    std::optional<double> value = options.*setting.value;
    if (!value) continue;
    bool read = setting.name == "lr" || std::find(info.options.begin(), info.options.end(),
                                                  setting.name) != info.options.end();
    if (!read) {
      fail(ErrorKind::Usage, "optimizer '{}' has no {}; it has lr, {}", info.name, setting.name,
           fmt::join(info.options, ", "));
    }
    if (!(*value >= 0) || !std::isfinite(*value) || (setting.is_share && *value >= 1)) {
      fail(ErrorKind::Usage, "{} is {}, expected a number {}", setting.name, *value,
           setting.is_share ? "from 0 to below 1" : "from 0 on");
    }
  }
}

}  // namespace

const std::vector<OptimizerInfo>& optimizer_list() {
  static const std::vector<OptimizerInfo> list = {
      {"sgd", "p -= lr g, g with weight decay; with --momentum as momentum", 0.01, {}, sgd_options},
      {"momentum", "v = m v + g; p -= lr v", 0.01, {"momentum"}, sgd_options},
      {"nesterov", "v = m v + g; p -= lr (g + m v)", 0.01, {"momentum"}, sgd_options},
      {"adam",
       "bias-corrected moments; weight decay joins the gradient",
       0.001,
       {"m", "v"},
       adam_options,
       true},
      {"adamw", "adam with decoupled weight decay", 0.001, {"m", "v"}, adam_options, true},
      {"keras:adam",
       "adam as Keras writes it, eps 1e-7 beside the uncorrected root",
       0.001,
       {"m", "v"},
       adam_options,
       true},
      {"rmsprop",
       "v = a v + (1 - a) g^2; p -= lr g / (sqrt v + eps), or its sum by --momentum",
       0.01,
       {"v"},
       {"alpha", "momentum", "eps", "weight_decay"}},
      {"adagrad", "v += g^2; p -= lr g / (sqrt v + eps)", 0.01, {"v"}, {"eps", "weight_decay"}},
  };
  return list;
}

const OptimizerInfo& find_optimizer(const std::string& name) {
  return find_named(optimizer_list(), name, "optimizer");
}

const OptimizerInfo& optimizer_for(const OptimizerOptions& options) {
  check_settings(options);
  bool moves = options.momentum.value_or(0) != 0;
  const OptimizerInfo& info =
      find_optimizer(moves && options.name == "sgd" ? "momentum" : options.name);
  if (!moves || info.name != "rmsprop") return info;
  static const OptimizerInfo with_momentum = [&] {
    OptimizerInfo copy = info;
    copy.slots.emplace_back("momentum");
    return copy;
  }();
  return with_momentum;
}

Optimizer::Optimizer(GraphBuilder& builder, const OptimizerOptions& options, ValueId lr,
                     ValueId step)
    : b_(builder), info_(optimizer_for(options)), options_(options), lr_(lr) {
  if (!info_.counts) return;
  next_step_ = add(step, b_.int_scalar(1));
  t_ = b_.cast(next_step_, DType::Float64);
  lr64_ = b_.cast(lr, DType::Float64);
  correction1_ = bias_correction(options_.beta1.value_or(0.9));
  correction2_ = bias_correction(options_.beta2.value_or(0.999));
}

ValueId Optimizer::scalar(double v, ValueId like) {
  ValueId result = b_.scalar_like(v, like);
  if (!std::isfinite(to_doubles(*b_.graph().constant(result)).front())) {
    fail(ErrorKind::Usage, "{} of the optimizer is infinite as {}", v, to_string(b_.dtype(like)));
  }
  return result;
}

ValueId Optimizer::bias_correction(double beta) {
  ValueId power = b_.add("Pow", {b_.scalar(beta, DType::Float64), t_});
  return sub(b_.scalar(1, DType::Float64), power);
}

ValueId Optimizer::average(ValueId old, double decay, ValueId sample) {
  return add(mul(old, scalar(decay, old)), mul(sample, scalar(1 - decay, old)));
}

ValueId Optimizer::decayed(const ParameterStep& p, ValueId gradient) {
  double decay = options_.weight_decay.value_or(0);
  return decay == 0 ? gradient : add(gradient, mul(p.parameter, scalar(decay, gradient)));
}

void Optimizer::update(ParameterStep& p) {
  if (info_.name == "adam" || info_.name == "adamw") return adam(p);
  if (info_.name == "keras:adam") return keras_adam(p);
  if (info_.name == "rmsprop") return rmsprop(p);
  if (info_.name == "adagrad") return adagrad(p);
  sgd(p);
}

void Optimizer::sgd(ParameterStep& p) {
  ValueId g = decayed(p, p.gradient);
  if (!info_.slots.empty()) {
    ValueId momentum = scalar(options_.momentum.value_or(0.9), g);
    ValueId v = add(mul(p.slots[0], momentum), g);
    p.next_slots = {v};
    g = info_.name == "nesterov" ? add(g, mul(v, momentum)) : v;
  }
  p.next_parameter = sub(p.parameter, mul(g, in_type_of(lr_, p.parameter)));
}

void Optimizer::adam(ParameterStep& p) {
  bool decoupled = info_.name == "adamw";
  ValueId w = p.parameter;
  ValueId g = decoupled ? p.gradient : decayed(p, p.gradient);
  if (double decay = options_.weight_decay.value_or(0.01); decoupled && decay != 0) {
    ValueId keep = sub(b_.scalar(1, DType::Float64), mul(lr64_, b_.scalar(decay, DType::Float64)));
    w = mul(w, in_type_of(keep, w));
  }
  ValueId m = average(p.slots[0], options_.beta1.value_or(0.9), g);
  ValueId v = average(p.slots[1], options_.beta2.value_or(0.999), mul(g, g));
  ValueId root = div(sqrt(v), in_type_of(sqrt(correction2_), w));
  ValueId denominator = add(root, scalar(options_.eps.value_or(1e-8), w));
  ValueId rate = in_type_of(div(lr64_, correction1_), w);
  p.next_slots = {m, v};
  p.next_parameter = sub(w, mul(rate, div(m, denominator)));
}

void Optimizer::keras_adam(ParameterStep& p) {
  ValueId g = decayed(p, p.gradient);
  ValueId rate = div(mul(lr64_, sqrt(correction2_)), correction1_);
  ValueId m = average(p.slots[0], options_.beta1.value_or(0.9), g);
  ValueId v = average(p.slots[1], options_.beta2.value_or(0.999), mul(g, g));
  ValueId denominator = add(sqrt(v), scalar(options_.eps.value_or(1e-7), v));
  p.next_slots = {m, v};
  p.next_parameter = sub(p.parameter, div(mul(m, in_type_of(rate, m)), denominator));
}

void Optimizer::rmsprop(ParameterStep& p) {
  ValueId g = decayed(p, p.gradient);
  ValueId v = average(p.slots[0], options_.alpha.value_or(0.99), mul(g, g));
  ValueId scaled = div(g, add(sqrt(v), scalar(options_.eps.value_or(1e-8), v)));
  p.next_slots = {v};
  if (info_.slots.size() > 1) {
    scaled = add(mul(p.slots[1], scalar(*options_.momentum, g)), scaled);
    p.next_slots.push_back(scaled);
  }
  p.next_parameter = sub(p.parameter, mul(scaled, in_type_of(lr_, g)));
}

void Optimizer::adagrad(ParameterStep& p) {
  ValueId g = decayed(p, p.gradient);
  ValueId v = add(p.slots[0], mul(g, g));
  ValueId scaled = div(g, add(sqrt(v), scalar(options_.eps.value_or(1e-10), v)));
  p.next_slots = {v};
  p.next_parameter = sub(p.parameter, mul(scaled, in_type_of(lr_, g)));
}

}  // namespace onnxrun
