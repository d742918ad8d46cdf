#include "training/loss.h"

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/unit_axes.h"
#include "training/find_named.h"

namespace onnxrun {

namespace {

struct Args {
  GraphBuilder& b;
  ValueId y, t;

  ValueId scalar(double v) const { return b.scalar_like(v, y); }
  ValueId sub(ValueId p, ValueId q) const { return b.add("Sub", {p, q}); }
  ValueId mul(ValueId p, ValueId q) const { return b.add("Mul", {p, q}); }
};

ValueId squared(const Args& a) {
  ValueId d = a.sub(a.y, a.t);
  return a.mul(d, d);
}

ValueId absolute(const Args& a) { return a.b.add("Abs", {a.sub(a.y, a.t)}); }

// Quadratic up to 1, linear beyond (torch.nn.HuberLoss, delta = 1).
ValueId huber(const Args& a) {
  ValueId d = absolute(a);
  ValueId quadratic = a.mul(a.scalar(0.5), a.mul(d, d));
  return a.b.add("Where", {a.b.add("Less", {d, a.scalar(1)}), quadratic, a.sub(d, a.scalar(0.5))});
}

ValueId bce(const Args& a) { return a.b.add("onnxrun.BinaryCrossEntropy", {a.y, a.t}); }

ValueId bce_with_logits(const Args& a) {
  return a.b.add("onnxrun.BinaryCrossEntropyWithLogits", {a.y, a.t});
}

ValueId hinge(const Args& a) { return a.b.add("Relu", {a.sub(a.scalar(1), a.mul(a.y, a.t))}); }

// t (log t - y) for log-probabilities y; 0 where t is 0 (torch.nn.KLDivLoss).
ValueId kl(const Args& a) {
  ValueId zero = a.scalar(0);
  ValueId positive = a.b.add("Greater", {a.t, zero});
  ValueId safe = a.b.add("Where", {positive, a.t, a.scalar(1)});
  ValueId term = a.mul(a.t, a.sub(a.b.add("Log", {safe}), a.y));
  return a.b.add("Where", {positive, term, zero});
}

using Elementwise = ValueId (*)(const Args&);

Elementwise elementwise_of(std::string_view name) {
  if (name == "mse" || name == "sum_squared") return squared;
  if (name == "mae") return absolute;
  if (name == "huber") return huber;
  if (name == "bce") return bce;
  if (name == "bce_with_logits") return bce_with_logits;
  if (name == "hinge") return hinge;
  if (name == "kl") return kl;
  return nullptr;
}

bool may_agree(const Shape& a, const Shape& b) {
  return compatible(Type::tensor(DType::Int64, a), Type::tensor(DType::Int64, b));
}

// The axes of the output whose removal gives the target's shape; if there are none, axes of length
// 1 do not count.
std::vector<int64_t> fitting_axes(const Shape& output, const Shape& target) {
  std::vector<int64_t> exact, loose;
  for (int64_t axis = 0; axis < static_cast<int64_t>(output.size()); ++axis) {
    Shape rest = output;
    rest.erase(rest.begin() + axis);
    if (may_agree(rest, target)) exact.push_back(axis);
    if (may_agree(without_unit_axes(rest), without_unit_axes(target))) loose.push_back(axis);
  }
  return exact.empty() ? loose : exact;
}

// The standard's losses want the classes on axis 1 and at least two axes.
ValueId classes_to_axis_1(GraphBuilder& b, ValueId y, int64_t axis) {
  int64_t rank = b.rank(y);
  if (axis == 1) return y;
  if (rank == 1) return b.unsqueeze(y, {0});
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  std::iota(perm.begin(), perm.end(), 0);
  perm.erase(perm.begin() + axis);
  perm.insert(perm.begin() + 1, axis);
  return b.transpose(y, perm);
}

// The target in the output's shape, less one axis if `axis` is given, whatever axes of length 1 it
// has more or less.
ValueId matched(GraphBuilder& b, ValueId t, ValueId y, std::optional<int64_t> axis) {
  const auto &given = b.type(t).shape, &output = b.type(y).shape;
  if (given && output) {
    Shape wanted = *output;
    if (axis) wanted.erase(wanted.begin() + *axis);
    if (*given == wanted) return t;
  }
  Attributes attributes;
  if (axis) attributes["axis"] = *axis;
  return b.add("onnxrun.MatchShape", {t, y}, attributes);
}

int64_t class_count(GraphBuilder& b, ValueId scores, std::string_view what) {
  const Dim& classes = (*b.type(scores).shape)[1];
  if (!classes.is_known()) {
    fail(ErrorKind::Unsupported, "{} need an output with a known number of classes", what);
  }
  return classes.value();
}

ValueId class_weights(GraphBuilder& b, const LossOptions& options, ValueId scores) {
  int64_t classes = class_count(b, scores, "class weights");
  if (classes != static_cast<int64_t>(options.class_weights.size())) {
    fail(ErrorKind::Usage, "there are {} class weights for {} classes",
         options.class_weights.size(), classes);
  }
  for (double w : options.class_weights) {
    if (!(w >= 0) || !std::isfinite(w)) fail(ErrorKind::Usage, "a class weight is {}", w);
  }
  Tensor values = Tensor::of<double>({classes}, options.class_weights);
  return b.constant(convert(values, b.dtype(scores)));
}

// (1 - e) loss + e / C times the sum over the classes of their losses, reduced as `loss` is.
ValueId smoothed(GraphBuilder& b, const LossOptions& options, const std::vector<ValueId>& inputs,
                 ValueId loss) {
  ValueId scores = inputs[0], labels = inputs[1];
  auto classes = static_cast<double>(class_count(b, scores, "smoothed labels"));
  ValueId terms = b.add("Neg", {b.add("LogSoftmax", {scores}, {{"axis", int64_t{1}}})});
  ValueId weights = no_value;  // of the samples
  if (inputs.size() > 2) {
    std::vector<int64_t> shape(static_cast<size_t>(b.rank(scores)), 1);
    shape[1] = -1;
    terms = b.add("Mul", {terms, b.reshape(inputs[2], b.ints(shape))});
  }
  terms = b.add("ReduceSum", {terms, b.ints({1})}, {{"keepdims", int64_t{0}}});
  ValueId one = b.scalar_like(1, scores), zero = b.scalar_like(0, scores);
  ValueId known = labels;  // an ignored label may be no class
  ValueId counts = no_value;
  if (options.ignore_index) {
    ValueId ignored = b.add("Equal", {labels, b.int_scalar(*options.ignore_index)});
    terms = b.add("Where", {ignored, zero, terms});
    known = b.add("Where", {ignored, b.int_scalar(0), labels});
    counts = b.add("Where", {ignored, zero, one});
  }
  if (inputs.size() > 2) {
    weights = b.add("Gather", {inputs[2], known});
    counts = counts == no_value ? weights : b.add("Mul", {weights, counts});
  }
  ValueId all;
  Attributes none = {{"keepdims", int64_t{0}}};
  if (reduction_of(options) == Reduction::Sum) {
    all = b.add("ReduceSum", {terms}, none);
  } else if (counts == no_value) {
    all = b.add("ReduceMean", {terms}, none);
  } else {
    all = b.add("Div", {b.add("ReduceSum", {terms}, none), b.add("ReduceSum", {counts}, none)});
  }
  double e = options.label_smoothing;
  ValueId kept = b.add("Mul", {loss, b.scalar_like(1 - e, scores)});
  return b.add("Add", {kept, b.add("Mul", {all, b.scalar_like(e / classes, scores)})});
}

void check_class_options(const LossOptions& options) {
  const LossInfo& info = find_loss(options.name);
  if (!info.class_indices && (!options.class_weights.empty() || options.ignore_index)) {
    fail(ErrorKind::Usage, "loss '{}' has no class weights and no ignored class", info.name);
  }
  double e = options.label_smoothing;
  if (e != 0 && options.name != "cross_entropy") {
    fail(ErrorKind::Usage, "loss '{}' has no label smoothing; cross_entropy has", info.name);
  }
  if (!(e >= 0 && e <= 1)) {
    fail(ErrorKind::Usage, "label smoothing is {}, expected a number from 0 to 1", e);
  }
}

ValueId class_loss(GraphBuilder& b, const LossOptions& options, ValueId y, ValueId t) {
  bool mean = reduction_of(options) == Reduction::Mean;
  Attributes attributes = {{"reduction", std::string(mean ? "mean" : "sum")}};
  int64_t axis = class_axis_of(options, b.type(y), &b.type(t));
  bool single = b.rank(y) == 1;
  ValueId scores = classes_to_axis_1(b, y, axis);
  ValueId labels = single ? b.reshape(t, b.ints({1})) : matched(b, t, y, axis);
  std::vector<ValueId> inputs = {scores, labels};
  if (!options.class_weights.empty()) inputs.push_back(class_weights(b, options, scores));
  if (options.ignore_index) attributes["ignore_index"] = *options.ignore_index;
  if (options.name == "cross_entropy") {
    ValueId loss = b.add("SoftmaxCrossEntropyLoss", inputs, attributes);
    return options.label_smoothing == 0 ? loss : smoothed(b, options, inputs, loss);
  }
  if (options.name == "nll_probs") {
    // As Keras has it: probabilities are kept in [1e-7, 1 - 1e-7].
    ValueId low = b.scalar_like(1e-7, y), high = b.scalar_like(1 - 1e-7, y);
    inputs[0] = b.add("Log", {b.add("Clip", {scores, low, high})});
  }
  return b.add("NegativeLogLikelihoodLoss", inputs, attributes);
}

ValueId own_output(GraphBuilder& b, ValueId output) {
  const Type& t = b.type(output);
  bool one = t.is_tensor() &&
             (!t.shape || element_count(*t.shape) == Dim(1) || !element_count(*t.shape).is_known());
  if (!one || !is_differentiable(t.dtype)) {
    fail(ErrorKind::Usage, "loss 'output' needs a floating-point output of one element, not {}",
         t.to_string());
  }
  return b.rank(output) == 0 ? output : b.reshape(output, b.ints({}));
}

}  // namespace

int64_t class_axis_of(const LossOptions& options, const Type& output, const Type* target) {
  if (!output.shape)
    fail(ErrorKind::Unsupported, "loss '{}' needs an output of known rank", options.name);
  int64_t rank = output.rank();
  if (rank == 0)
    fail(ErrorKind::Usage, "loss '{}' needs an output with a class axis", options.name);
  if (options.class_axis) {
    if (*options.class_axis < -rank || *options.class_axis >= rank) {
      fail(ErrorKind::Usage, "class axis {} is out of range for output {}", *options.class_axis,
           output.to_string());
    }
    return normalize_axis(*options.class_axis, rank);
  }
  int64_t usual = std::min<int64_t>(1, rank - 1);
  if (!target || !target->shape || rank == 1) return usual;
  std::vector<int64_t> fits = fitting_axes(*output.shape, *target->shape);
  return fits.size() == 1 ? fits[0] : usual;
}

const std::vector<LossInfo>& loss_list() {
  static const std::vector<LossInfo> list = {
      {"mse", "mean (y - t)^2"},
      {"mae", "mean |y - t|"},
      {"huber", "mean of (y - t)^2 / 2 up to distance 1, |y - t| - 1/2 beyond"},
      {"bce", "-mean (t log y + (1 - t) log(1 - y)), y a probability"},
      {"bce_with_logits", "bce of sigmoid(y)"},
      {"nll", "-mean y[t], y log-probabilities, t class indices", true},
      {"nll_probs", "-mean log y[t], y probabilities, t class indices", true},
      {"cross_entropy", "-mean log softmax(y)[t], y logits, t class indices", true},
      {"sum_squared", "sum (y - t)^2"},
      {"hinge", "mean max(0, 1 - y t), t is -1 or 1"},
      {"kl", "mean t (log t - y), y log-probabilities, t probabilities"},
      {"output", "the model's own scalar output"},
  };
  return list;
}

Reduction reduction_of(const LossOptions& options) {
  return options.reduction.value_or(options.name == "sum_squared" ? Reduction::Sum
                                                                  : Reduction::Mean);
}

const LossInfo& find_loss(const std::string& name) { return find_named(loss_list(), name, "loss"); }

Type target_type(const LossOptions& options, const Type& output) {
  // Its shape is known when there is a target.
  if (!find_loss(options.name).class_indices) return Type::tensor(output.dtype);
  if (!output.shape || !options.class_axis) return Type::tensor(DType::Int64);
  Shape rest = *output.shape;
  rest.erase(rest.begin() + class_axis_of(options, output, nullptr));
  return Type::tensor(DType::Int64, rest);
}

static ValueId loss_nodes(GraphBuilder& builder, const LossOptions& options, ValueId output,
                          ValueId target) {
  const LossInfo& info = find_loss(options.name);
  check_class_options(options);
  if (info.name == "output") return own_output(builder, output);
  if (info.class_indices) return class_loss(builder, options, output, target);
  if (!options.allow_broadcast) target = matched(builder, target, output, std::nullopt);
  ValueId terms = elementwise_of(options.name)({builder, output, target});
  bool mean = reduction_of(options) == Reduction::Mean;
  return builder.add(mean ? "ReduceMean" : "ReduceSum", {terms}, {{"keepdims", int64_t{0}}});
}

ValueId add_loss(GraphBuilder& builder, const LossOptions& options, ValueId output,
                 ValueId target) {
  try {
    return loss_nodes(builder, options, output, target);
  } catch (const Error& e) {
    // The model is right by itself: what does not fit it is the target.
    if (e.kind() == ErrorKind::BadModel) throw e.as(ErrorKind::BadInput);
    throw;
  }
}

}  // namespace onnxrun
