// Recurrent layers to test, and the standard's equations written an element at a time.
#pragma once

#include <algorithm>
#include <cmath>

#include "support/op_tester.h"

namespace onnxrun::testing {

enum Input : size_t { X, W, R, B, Lengths, InitialH, InitialC, P };

// A layer with random operands in [-1, 1].
struct Layer {
  std::string op;
  Attributes attributes = {};
  bool lengths = false, peepholes = false, states = true, bias = true;
  int64_t steps = 3, batch = 2, inputs = 2, hidden = 3;

  int64_t gates() const { return op == "RNN" ? 1 : op == "GRU" ? 3 : 4; }
  bool has(const char* name) const {
    auto it = attributes.find(name);
    return it != attributes.end() && std::get<int64_t>(it->second) != 0;
  }
  std::string direction() const {
    auto it = attributes.find("direction");
    return it == attributes.end() ? "forward" : std::get<std::string>(it->second);
  }
  int64_t directions() const { return direction() == "bidirectional" ? 2 : 1; }
  size_t outputs() const { return op == "LSTM" ? 3 : 2; }

  OpRun run() const {
    int64_t d = directions(), n = hidden, g = gates();
    bool first = has("layout");
    Dims state = first ? Dims{batch, d, n} : Dims{d, batch, n};
    std::vector<Tensor> in(op == "LSTM" ? 8 : 6);
    in[X] = random_tensor(first ? Dims{batch, steps, inputs} : Dims{steps, batch, inputs}, 1);
    in[W] = random_tensor({d, g * n, inputs}, 2);
    in[R] = random_tensor({d, g * n, n}, 3);
    if (bias) in[B] = random_tensor({d, 2 * g * n}, 4);
    if (lengths) {
      in[Lengths] = Tensor(DType::Int32, {batch});
      for (int64_t i = 0; i < batch; ++i)
        in[Lengths].data<int32_t>()[i] = static_cast<int32_t>((steps + 3 * i) % (steps + 1));
    }
    if (states) in[InitialH] = random_tensor(state, 5);
    if (states && op == "LSTM") in[InitialC] = random_tensor(state, 6);
    if (peepholes) in[P] = random_tensor({d, 3 * n}, 7);
    return {op, in, attributes, outputs()};
  }
};

inline double apply(const std::string& name, double a, double b, double x) {
  if (name == "Relu") return std::max(x, 0.0);
  if (name == "Tanh") return std::tanh(x);
  if (name == "Sigmoid") return 1 / (1 + std::exp(-x));
  if (name == "Affine") return a * x + b;
  if (name == "LeakyRelu") return x >= 0 ? x : a * x;
  if (name == "ThresholdedRelu") return x >= a ? x : 0;
  if (name == "ScaledTanh") return a * std::tanh(b * x);
  if (name == "HardSigmoid") return std::min(std::max(a * x + b, 0.0), 1.0);
  if (name == "Elu") return x >= 0 ? x : a * std::expm1(x);
  if (name == "Softsign") return x / (1 + std::abs(x));
  if (name == "Softplus") return std::log1p(std::exp(x));
  ADD_FAILURE() << name;
  return 0;
}

// The standard's equations, an element at a time.
class Reference {
 public:
  Reference(const Layer& layer, const OpRun& run) : l_(layer), in_(run.inputs), n_(layer.hidden) {
    bool first = l_.has("layout");
    int64_t d = l_.directions(), t = l_.steps, b = l_.batch;
    Dims state = first ? Dims{b, d, n_} : Dims{d, b, n_};
    outputs = {Tensor(DType::Float64, first ? Dims{b, t, d, n_} : Dims{t, d, b, n_}),
               Tensor(DType::Float64, state), Tensor(DType::Float64, state)};
    outputs.resize(l_.outputs());
    for (Tensor& o : outputs) std::fill_n(o.data<double>(), o.size(), 0.0);
    for (int64_t dir = 0; dir < d; ++dir) {
      for (int64_t row = 0; row < b; ++row) sequence(dir, row);
    }
  }
  std::vector<Tensor> outputs;

 private:
  double at(size_t input, int64_t i) const {
    return in_.size() > input && in_[input].defined() ? in_[input].data<double>()[i] : 0;
  }
  int64_t state_at(int64_t d, int64_t row) const {
    return (l_.has("layout") ? row * l_.directions() + d : d * l_.batch + row) * n_;
  }
  // f, g or h of a direction.
  double activate(int64_t d, size_t which, double x, bool clip = true) const {
    size_t each = l_.op == "RNN"   ? 1
                  : l_.op == "GRU" ? 2
                                   : 3,
           index = static_cast<size_t>(d) * each + which;
    if (auto c = l_.attributes.find("clip"); clip && c != l_.attributes.end()) {
      x = std::clamp<double>(x, -std::get<float>(c->second), std::get<float>(c->second));
    }
    auto names = l_.attributes.find("activations");
    if (names == l_.attributes.end())
      return apply(which == 0 && each > 1 ? "Sigmoid" : "Tanh", 0, 0, x);
    auto value = [&](const char* list) {
      auto it = l_.attributes.find(list);
      return it == l_.attributes.end() ? 0.0 : std::get<std::vector<float>>(it->second)[index];
    };
    const auto& name = std::get<std::vector<std::string>>(names->second)[index];
    return apply(name, value("activation_alpha"), value("activation_beta"), x);
  }
  // x W' + Wb, or state R' + Rb.
  double product(bool recurrent, int64_t d, int64_t gate, int64_t j,
                 const std::vector<double>& v) const {
    int64_t g = l_.gates(), row = (d * g + gate) * n_ + j, width = static_cast<int64_t>(v.size());
    double sum = at(B, d * 2 * g * n_ + (recurrent ? g : 0) * n_ + gate * n_ + j);
    for (int64_t k = 0; k < width; ++k)
      sum += v[static_cast<size_t>(k)] * at(recurrent ? R : W, row * width + k);
    return sum;
  }

  void sequence(int64_t d, int64_t row) {
    std::vector<double> h(static_cast<size_t>(n_)), c(h);
    for (int64_t j = 0; j < n_; ++j) {
      h[static_cast<size_t>(j)] = at(InitialH, state_at(d, row) + j);
      c[static_cast<size_t>(j)] = at(InitialC, state_at(d, row) + j);
    }
    int64_t steps = l_.lengths ? in_[Lengths].data<int32_t>()[row] : l_.steps;
    for (int64_t s = 0; s < steps; ++s) {
      int64_t t = d == 1 || l_.direction() == "reverse" ? steps - 1 - s : s;
      bool first = l_.has("layout");
      std::vector<double> x;
      for (int64_t k = 0; k < l_.inputs; ++k) {
        x.push_back(at(X, (first ? row * l_.steps + t : t * l_.batch + row) * l_.inputs + k));
      }
      step(d, x, h, c);
      int64_t to = first ? ((row * l_.steps + t) * l_.directions() + d)
                         : ((t * l_.directions() + d) * l_.batch + row);
      std::copy(h.begin(), h.end(), outputs[0].data<double>() + to * n_);
    }
    std::copy(h.begin(), h.end(), outputs[1].data<double>() + state_at(d, row));
    if (outputs.size() > 2)
      std::copy(c.begin(), c.end(), outputs[2].data<double>() + state_at(d, row));
  }

  void step(int64_t d, const std::vector<double>& x, std::vector<double>& h,
            std::vector<double>& c) const {
    std::vector<double> before = h, reset = h;
    auto sum = [&](int64_t gate, int64_t j) {
      return product(false, d, gate, j, x) + product(true, d, gate, j, before);
    };
    for (int64_t j = 0; j < n_; ++j) {
      if (l_.op == "GRU") reset[static_cast<size_t>(j)] *= activate(d, 0, sum(1, j));
    }
    for (int64_t j = 0; j < n_; ++j) {
      auto k = static_cast<size_t>(j);
      if (l_.op == "RNN") {
        h[k] = activate(d, 0, sum(0, j));
      } else if (l_.op == "GRU") {
        double z = activate(d, 0, sum(0, j)), r = activate(d, 0, sum(1, j));
        double inner = l_.has("linear_before_reset") ? r * product(true, d, 2, j, before)
                                                     : product(true, d, 2, j, reset);
        double n = activate(d, 1, product(false, d, 2, j, x) + inner);
        h[k] = (1 - z) * n + z * before[k];
      } else {
        auto peephole = [&](int64_t gate) { return at(P, (d * 3 + gate) * n_ + j) * c[k]; };
        double i = activate(d, 0, sum(0, j) + peephole(0));
        double f = l_.has("input_forget") ? 1 - i : activate(d, 0, sum(2, j) + peephole(2));
        c[k] = f * c[k] + i * activate(d, 1, sum(3, j));
        double o = activate(d, 0, sum(1, j) + peephole(1));
        h[k] = o * activate(d, 2, c[k], false);
      }
    }
  }

  const Layer& l_;
  const std::vector<Tensor>& in_;
  int64_t n_;
};

// Every option alone and some together.
inline std::vector<Layer> layers() {
  std::vector<Layer> all;
  for (const char* op : {"RNN", "GRU", "LSTM"}) {
    for (const char* direction : {"forward", "reverse", "bidirectional"}) {
      Attributes a = {{"direction", std::string(direction)}, {"hidden_size", int64_t{3}}};
      all.push_back({op, a});
      all.push_back({.op = op, .attributes = a, .lengths = true, .batch = 5});
      all.push_back({.op = op, .attributes = a, .states = false, .bias = false});
      a["layout"] = int64_t{1};
      all.push_back({.op = op, .attributes = a, .lengths = true, .batch = 3});
      a["clip"] = 0.6f;
      all.push_back({op, a});
    }
    all.push_back({.op = op, .attributes = {}, .steps = 1, .batch = 1, .inputs = 1, .hidden = 1});
    all.push_back({.op = op, .attributes = {}, .steps = 4, .batch = 3, .inputs = 5, .hidden = 17});
    all.push_back({.op = op, .attributes = {}, .steps = 0});
    all.push_back({.op = op, .attributes = {}, .batch = 0});
  }
  for (const char* direction : {"forward", "bidirectional"}) {
    Attributes a = {{"direction", std::string(direction)}, {"linear_before_reset", int64_t{1}}};
    all.push_back({"GRU", a});
    all.push_back({.op = "GRU", .attributes = a, .lengths = true, .states = false});
    a["clip"] = 0.4f;
    all.push_back({"GRU", a});
    Attributes b = {{"direction", std::string(direction)}};
    all.push_back({.op = "LSTM", .attributes = b, .peepholes = true});
    all.push_back({.op = "LSTM",
                   .attributes = b,
                   .lengths = true,
                   .peepholes = true,
                   .states = false,
                   .batch = 4});
    b["input_forget"] = int64_t{1};
    all.push_back({"LSTM", b});
    b["clip"] = 0.5f;
    all.push_back({.op = "LSTM", .attributes = b, .peepholes = true});
  }
  return all;
}

// Each function in each place, with parameters of its own in each direction.
inline std::vector<Layer> activation_layers() {
  std::vector<Layer> all;
  for (const char* f : {"Relu", "Tanh", "Sigmoid", "Affine", "LeakyRelu", "ThresholdedRelu",
                        "ScaledTanh", "HardSigmoid", "Elu", "Softsign", "Softplus"}) {
    for (const char* op : {"RNN", "GRU", "LSTM"}) {
      size_t each = op[0] == 'R' ? 1 : op[0] == 'G' ? 2 : 3;
      for (size_t place = 0; place < each; ++place) {
        std::vector<std::string> names;
        std::vector<float> alphas, betas;
        for (size_t k = 0; k < 2 * each; ++k) {
          names.push_back(k % each == place ? f : k % each ? "Affine" : "HardSigmoid");
          alphas.push_back(0.3f + 0.1f * static_cast<float>(k));
          betas.push_back(0.2f + 0.05f * static_cast<float>(k));
        }
        all.push_back({.op = op,
                       .attributes = {{"direction", std::string("bidirectional")},
                                      {"activations", names},
                                      {"activation_alpha", alphas},
                                      {"activation_beta", betas}},
                       .lengths = true});
      }
    }
  }
  return all;
}

// The operator takes alphas and betas only for functions that have them.
inline OpRun with_used_parameters(OpRun run) {
  auto names = run.attributes.find("activations");
  if (names == run.attributes.end()) return run;
  std::vector<float> alphas, betas;
  const auto& list = std::get<std::vector<std::string>>(names->second);
  for (size_t k = 0; k < list.size(); ++k) {
    auto is_one_of = [&](std::initializer_list<const char*> set) {
      return std::find(set.begin(), set.end(), list[k]) != set.end();
    };
    auto value = [&](const char* name) {
      return std::get<std::vector<float>>(run.attributes[name])[k];
    };
    bool both = is_one_of({"Affine", "ScaledTanh", "HardSigmoid"});
    if (both || is_one_of({"LeakyRelu", "ThresholdedRelu", "Elu"}))
      alphas.push_back(value("activation_alpha"));
    if (both) betas.push_back(value("activation_beta"));
  }
  run.attributes["activation_alpha"] = alphas;
  run.attributes["activation_beta"] = betas;
  return run;
}

inline std::string describe(const Layer& l) {
  std::string text = l.op;
  for (const auto& [name, value] : l.attributes) text += " " + name + "=" + to_string(value);
  return text + (l.lengths ? " lengths" : "") + (l.peepholes ? " peepholes" : "") +
         (l.states ? " states" : "");
}

}  // namespace onnxrun::testing
