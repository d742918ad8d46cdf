#include "training/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "training/find_named.h"

namespace onnxrun {

namespace {

struct Field {
  std::string_view name;
  std::optional<double> OptimizerOptions::*value;
  bool is_share = false;  // in [0, 1)
};

constexpr Field fields[] = {{"lr", &OptimizerOptions::lr},
                            {"momentum", &OptimizerOptions::momentum},
                            {"weight_decay", &OptimizerOptions::weight_decay},
                            {"beta1", &OptimizerOptions::beta1, true},
                            {"beta2", &OptimizerOptions::beta2, true},
                            {"eps", &OptimizerOptions::eps},
                            {"alpha", &OptimizerOptions::alpha, true}};

std::optional<double> default_of(const OptimizerInfo& info, std::string_view name) {
  for (const OptimizerInfo::Setting& s : info.settings) {
    if (s.name == name) return s.value;
  }
  return std::nullopt;
}

void check_settings(const OptimizerOptions& options) {
  const OptimizerInfo& info = find_optimizer(options.name);
  for (const Field& field : fields) {
    std::optional<double> value = options.*field.value;
    if (!value) continue;
    bool read = field.name == "lr" || default_of(info, field.name);
    if (!read) {
      std::string names = "lr";
      for (const OptimizerInfo::Setting& s : info.settings) names += ", " + std::string(s.name);
      fail(ErrorKind::Usage, "optimizer '{}' has no {}; it has {}", info.name, field.name, names);
    }
    if (!(*value >= 0) || !std::isfinite(*value) || (field.is_share && *value >= 1)) {
      fail(ErrorKind::Usage, "{} is {}, expected a number {}", field.name, *value,
           field.is_share ? "from 0 to below 1" : "from 0 on");
    }
  }
}

}  // namespace

const std::vector<OptimizerInfo>& optimizer_list() {
  using O = Optimizer;
  using Settings = std::vector<OptimizerInfo::Setting>;
  const auto moments = [](double eps, double weight_decay) {
    return Settings{{"beta1", 0.9}, {"beta2", 0.999}, {"eps", eps}, {"weight_decay", weight_decay}};
  };
  const Settings momentum = {{"momentum", 0.9}, {"weight_decay", 0}};
  static const std::vector<OptimizerInfo> list = {
      {"sgd",
       "p -= lr g, g with weight decay; with --momentum as momentum",
       0.01,
       {},
       {{"momentum", 0}, {"weight_decay", 0}},
       &O::sgd},
      {"momentum", "v = m v + g; p -= lr v", 0.01, {"momentum"}, momentum, &O::sgd},
      {"nesterov", "v = m v + g; p -= lr (g + m v)", 0.01, {"momentum"}, momentum, &O::sgd},
      {"adam",
       "bias-corrected moments; weight decay joins the gradient",
       0.001,
       {"m", "v"},
       moments(1e-8, 0),
       &O::adam,
       true},
      {"adamw",
       "adam with decoupled weight decay",
       0.001,
       {"m", "v"},
       moments(1e-8, 0.01),
       &O::adam,
       true},
      {"keras:adam",
       "adam as Keras writes it, eps beside the uncorrected root",
       0.001,
       {"m", "v"},
       moments(1e-7, 0),
       &O::keras_adam,
       true},
      {"rmsprop",
       "v = a v + (1 - a) g^2; p -= lr g / (sqrt v + eps), or its sum by --momentum",
       0.01,
       {"v"},
       {{"alpha", 0.99}, {"momentum", 0}, {"eps", 1e-8}, {"weight_decay", 0}},
       &O::rmsprop},
      {"adagrad",
       "v += g^2; p -= lr g / (sqrt v + eps)",
       0.01,
       {"v"},
       {{"eps", 1e-10}, {"weight_decay", 0}},
       &O::adagrad},
      {"adadelta",
       "v = a v + (1 - a) g^2; d = g sqrt(u + eps) / sqrt(v + eps); u = a u + (1 - a) d^2; p -= lr "
       "d",
       1,
       {"v", "u"},
       {{"alpha", 0.9}, {"eps", 1e-6}, {"weight_decay", 0}},
       &O::adadelta},
      {"lamb",
       "adam's direction d with weight decay added; p -= lr d |p| / |d| (You 2020)",
       0.001,
       {"m", "v"},
       moments(1e-6, 0),
       &O::lamb,
       true},
      {"lion",
       "p -= lr sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g; decoupled weight decay (Chen 2023)",
       0.0001,
       {"m"},
       {{"beta1", 0.9}, {"beta2", 0.99}, {"weight_decay", 0}},
       &O::lion},
      {"keras:momentum",
       "v = m v - lr g; p += v",
       0.01,
       {"momentum"},
       {{"momentum", 0.9}},
       &O::keras_momentum},
      {"keras:nesterov",
       "v = m v - lr g; p += m v - lr g",
       0.01,
       {"momentum"},
       {{"momentum", 0.9}},
       &O::keras_momentum},
      {"keras:adamw",
       "keras:adam with decoupled weight decay",
       0.001,
       {"m", "v"},
       moments(1e-7, 0.004),
       &O::keras_adam,
       true},
      {"keras:rmsprop",
       "v = a v + (1 - a) g^2; p -= lr g / sqrt(v + eps)",
       0.001,
       {"v"},
       {{"alpha", 0.9}, {"eps", 1e-7}},
       &O::keras_root},
      {"keras:adagrad",
       "v += g^2 from 0.1 on; p -= lr g / sqrt(v + eps)",
       0.001,
       {"v"},
       {{"eps", 1e-7}},
       &O::keras_root,
       false,
       0.1},
      {"keras:adadelta",
       "adadelta",
       0.001,
       {"v", "u"},
       {{"alpha", 0.95}, {"eps", 1e-7}},
       &O::adadelta},
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
  correction1_ = bias_correction(setting("beta1"));
  correction2_ = bias_correction(setting("beta2"));
}

double Optimizer::setting(std::string_view name) const {
  for (const Field& field : fields) {
    if (field.name == name && options_.*field.value) return *(options_.*field.value);
  }
  return default_of(info_, name).value_or(0);
}

ValueId Optimizer::norm(ValueId x) {
  return sqrt(b_.add("ReduceSumSquare", {x}, {{"keepdims", int64_t{0}}}));
}

ValueId Optimizer::shrunk(ValueId p, double decay) {
  if (decay == 0) return p;
  ValueId lr = b_.cast(lr_, DType::Float64);
  ValueId keep = sub(b_.scalar(1, DType::Float64), mul(lr, b_.scalar(decay, DType::Float64)));
  return mul(p, in_type_of(keep, p));
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
  double decay = setting("weight_decay");
  return decay == 0 ? gradient : add(gradient, mul(p.parameter, scalar(decay, gradient)));
}

void Optimizer::update(ParameterStep& p) {
  ValueId lr = lr_, lr64 = lr64_;
  if (p.lr_multiple != 1) {
    if (!(p.lr_multiple >= 0) || !std::isfinite(p.lr_multiple)) {
      fail(ErrorKind::Usage, "a learning rate is multiplied by {}, expected a number from 0 on",
           p.lr_multiple);
    }
    lr_ = mul(lr_, scalar(p.lr_multiple, lr_));
    if (lr64_ != no_value) lr64_ = mul(lr64_, scalar(p.lr_multiple, lr64_));
  }
  (this->*info_.update)(p);
  lr_ = lr;
  lr64_ = lr64;
}

void Optimizer::sgd(ParameterStep& p) {
  ValueId g = decayed(p, p.gradient);
  if (!info_.slots.empty()) {
    ValueId momentum = scalar(setting("momentum"), g);
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
  if (decoupled) w = shrunk(w, setting("weight_decay"));
  ValueId m = average(p.slots[0], setting("beta1"), g);
  ValueId v = average(p.slots[1], setting("beta2"), mul(g, g));
  ValueId root = div(sqrt(v), in_type_of(sqrt(correction2_), w));
  ValueId denominator = add(root, scalar(setting("eps"), w));
  ValueId rate = in_type_of(div(lr64_, correction1_), w);
  p.next_slots = {m, v};
  p.next_parameter = sub(w, mul(rate, div(m, denominator)));
}

void Optimizer::keras_adam(ParameterStep& p) {
  bool decoupled = info_.name == "keras:adamw";
  ValueId w = decoupled ? shrunk(p.parameter, setting("weight_decay")) : p.parameter;
  ValueId g = decoupled ? p.gradient : decayed(p, p.gradient);
  ValueId rate = div(mul(lr64_, sqrt(correction2_)), correction1_);
  ValueId m = average(p.slots[0], setting("beta1"), g);
  ValueId v = average(p.slots[1], setting("beta2"), mul(g, g));
  ValueId denominator = add(sqrt(v), scalar(setting("eps"), v));
  p.next_slots = {m, v};
  p.next_parameter = sub(w, div(mul(m, in_type_of(rate, m)), denominator));
}

void Optimizer::keras_momentum(ParameterStep& p) {
  ValueId momentum = scalar(setting("momentum"), p.gradient);
  ValueId moved = mul(p.gradient, in_type_of(lr_, p.gradient));
  ValueId v = sub(mul(p.slots[0], momentum), moved);
  p.next_slots = {v};
  ValueId step = info_.name == "keras:nesterov" ? sub(mul(v, momentum), moved) : v;
  p.next_parameter = add(p.parameter, step);
}

void Optimizer::lamb(ParameterStep& p) {
  ValueId w = p.parameter, g = p.gradient;
  ValueId m = average(p.slots[0], setting("beta1"), g);
  ValueId v = average(p.slots[1], setting("beta2"), mul(g, g));
  ValueId m_hat = div(m, in_type_of(correction1_, w)), v_hat = div(v, in_type_of(correction2_, w));
  ValueId d = div(m_hat, add(sqrt(v_hat), scalar(setting("eps"), w)));
  double decay = setting("weight_decay");
  if (decay != 0) d = add(d, mul(w, scalar(decay, w)));
  // Where one of the norms is 0, the rate is the plain one.
  ValueId zero = scalar(0, w), one = scalar(1, w), w_norm = norm(w), d_norm = norm(d);
  ValueId moves =
      b_.add("And", {b_.add("Greater", {w_norm, zero}), b_.add("Greater", {d_norm, zero})});
  ValueId below = b_.add("Where", {moves, d_norm, one});
  ValueId ratio = b_.add("Where", {moves, div(w_norm, below), one});
  p.next_slots = {m, v};
  p.next_parameter = sub(w, mul(d, mul(ratio, in_type_of(lr_, w))));
}

void Optimizer::lion(ParameterStep& p) {
  ValueId w = shrunk(p.parameter, setting("weight_decay"));
  ValueId direction = b_.add("Sign", {average(p.slots[0], setting("beta1"), p.gradient)});
  p.next_slots = {average(p.slots[0], setting("beta2"), p.gradient)};
  p.next_parameter = sub(w, mul(direction, in_type_of(lr_, w)));
}

void Optimizer::adadelta(ParameterStep& p) {
  double alpha = setting("alpha");
  ValueId g = decayed(p, p.gradient), eps = scalar(setting("eps"), g);
  ValueId v = average(p.slots[0], alpha, mul(g, g));
  ValueId d = mul(div(sqrt(add(p.slots[1], eps)), sqrt(add(v, eps))), g);
  p.next_slots = {v, average(p.slots[1], alpha, mul(d, d))};
  p.next_parameter = sub(p.parameter, mul(d, in_type_of(lr_, g)));
}

void Optimizer::keras_root(ParameterStep& p) {
  ValueId g = p.gradient, squared = mul(g, g);
  ValueId v = info_.name == "keras:adagrad" ? add(p.slots[0], squared)
                                            : average(p.slots[0], setting("alpha"), squared);
  ValueId root = sqrt(add(v, scalar(setting("eps"), v)));
  p.next_slots = {v};
  p.next_parameter = sub(p.parameter, div(mul(g, in_type_of(lr_, g)), root));
}

void Optimizer::rmsprop(ParameterStep& p) {
  ValueId g = decayed(p, p.gradient);
  ValueId v = average(p.slots[0], setting("alpha"), mul(g, g));
  ValueId scaled = div(g, add(sqrt(v), scalar(setting("eps"), v)));
  p.next_slots = {v};
  if (info_.slots.size() > 1) {
    scaled = add(mul(p.slots[1], scalar(setting("momentum"), g)), scaled);
    p.next_slots.push_back(scaled);
  }
  p.next_parameter = sub(p.parameter, mul(scaled, in_type_of(lr_, g)));
}

void Optimizer::adagrad(ParameterStep& p) {
  ValueId g = decayed(p, p.gradient);
  ValueId v = add(p.slots[0], mul(g, g));
  ValueId scaled = div(g, add(sqrt(v), scalar(setting("eps"), v)));
  p.next_slots = {v};
  p.next_parameter = sub(p.parameter, mul(scaled, in_type_of(lr_, g)));
}

}  // namespace onnxrun
