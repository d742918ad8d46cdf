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
  bool any = false;
  for (double w : options.class_weights) {
    if (!(w >= 0) || !std::isfinite(w)) fail(ErrorKind::Usage, "a class weight is {}", w);
    any = any || w > 0;
  }
  if (!any) fail(ErrorKind::Usage, "all class weights are 0");
  Tensor values = Tensor::of<double>({classes}, options.class_weights);
  return b.constant(convert(values, b.dtype(scores)));
}

// What the losses of class indices read, as the standard's operators want it.
struct ClassInputs {
  ValueId scores, labels, class_weights = no_value;
};

// How much each sample counts in a mean; no_value where each counts once.
ValueId sample_counts(GraphBuilder& b, const LossOptions& options, const ClassInputs& in) {
  ValueId counts = no_value, known = in.labels;
  if (options.ignore_index) {
    ValueId ignored = b.add("Equal", {in.labels, b.int_scalar(*options.ignore_index)});
    ValueId one = b.scalar_like(1, in.scores), zero = b.scalar_like(0, in.scores);
    counts = b.add("Where", {ignored, zero, one});
    known = b.add("Where", {ignored, b.int_scalar(0), in.labels});  // it may be no class
  }
  if (in.class_weights == no_value) return counts;
  ValueId weights = b.add("Gather", {in.class_weights, known});
  return counts == no_value ? weights : b.add("Mul", {weights, counts});
}

// The sum over the classes of a sample's losses, were it of each of them.
ValueId loss_of_all_classes(GraphBuilder& b, const LossOptions& options, const ClassInputs& in) {
  ValueId terms = b.add("Neg", {b.add("LogSoftmax", {in.scores}, {{"axis", int64_t{1}}})});
  if (in.class_weights != no_value) {
    std::vector<int64_t> shape(static_cast<size_t>(b.rank(in.scores)), 1);
    shape[1] = -1;
    terms = b.add("Mul", {terms, b.reshape(in.class_weights, b.ints(shape))});
  }
  terms = b.add("ReduceSum", {terms, b.ints({1})}, {{"keepdims", int64_t{0}}});
  if (!options.ignore_index) return terms;
  ValueId ignored = b.add("Equal", {in.labels, b.int_scalar(*options.ignore_index)});
  return b.add("Where", {ignored, b.scalar_like(0, in.scores), terms});
}

// The weights in as many axes as the terms have, so that each stands by its own.
ValueId weighted(GraphBuilder& b, ValueId terms, ValueId weights) {
  if (weights == no_value) return terms;
  int64_t rank = b.rank(weights), wanted = b.rank(terms);
  if (rank < 0 || wanted < 0) {
    fail(ErrorKind::Unsupported, "sample weights need terms of known rank");
  }
  if (rank > wanted) {
    fail(ErrorKind::BadInput, "sample weights {} have more axes than what they weigh, {}",
         b.type(weights).to_string(), b.type(terms).to_string());
  }
  std::vector<int64_t> axes;
  for (int64_t axis = rank; axis < wanted; ++axis) axes.push_back(axis);
  if (!axes.empty()) weights = b.unsqueeze(weights, axes);
  // Weights never make more terms than there are.
  ValueId shaped = b.add("Expand", {b.cast(weights, b.dtype(terms)), b.shape_of(terms)});
  return b.add("Mul", {terms, b.add("onnxrun.MatchShape", {shaped, terms})});
}

ValueId reduced(GraphBuilder& b, const LossOptions& options, ValueId terms,
                ValueId counts = no_value) {
  Attributes none = {{"keepdims", int64_t{0}}};
  if (reduction_of(options) == Reduction::Sum) return b.add("ReduceSum", {terms}, none);
  if (counts == no_value) return b.add("ReduceMean", {terms}, none);
  return b.add("Div", {b.add("ReduceSum", {terms}, none), b.add("ReduceSum", {counts}, none)});
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

// The standard's operator, with or without its reduction.
ValueId class_operator(GraphBuilder& b, const LossOptions& options, const ClassInputs& in,
                       const std::string& reduction) {
  Attributes attributes = {{"reduction", reduction}};
  if (options.ignore_index) attributes["ignore_index"] = *options.ignore_index;
  ValueId scores = in.scores;
  if (options.name == "nll_probs") {
    // As Keras has it: probabilities are kept in [1e-7, 1 - 1e-7].
    ValueId low = b.scalar_like(1e-7, scores), high = b.scalar_like(1 - 1e-7, scores);
    scores = b.add("Log", {b.add("Clip", {scores, low, high})});
  }
  std::vector<ValueId> inputs = {scores, in.labels};
  if (in.class_weights != no_value) inputs.push_back(in.class_weights);
  bool logits = options.name == "cross_entropy";
  return b.add(logits ? "SoftmaxCrossEntropyLoss" : "NegativeLogLikelihoodLoss", inputs,
               attributes);
}

ValueId class_loss(GraphBuilder& b, const LossOptions& options, ValueId y, ValueId t,
                   ValueId sample_weights) {
  int64_t axis = class_axis_of(options, b.type(y), &b.type(t));
  bool single = b.rank(y) == 1;
  ClassInputs in{classes_to_axis_1(b, y, axis),
                 single ? b.reshape(t, b.ints({1})) : matched(b, t, y, axis)};
  if (!options.class_weights.empty()) in.class_weights = class_weights(b, options, in.scores);
  if (options.label_smoothing == 0 && sample_weights == no_value) {
    bool mean = reduction_of(options) == Reduction::Mean;
    return class_operator(b, options, in, mean ? "mean" : "sum");
  }
  ValueId terms = class_operator(b, options, in, "none");
  if (double e = options.label_smoothing; e != 0) {
    auto classes = static_cast<double>(class_count(b, in.scores, "smoothed labels"));
    ValueId all = loss_of_all_classes(b, options, in);
    terms = b.add("Mul", {terms, b.scalar_like(1 - e, terms)});
    terms = b.add("Add", {terms, b.add("Mul", {all, b.scalar_like(e / classes, terms)})});
  }
  return reduced(b, options, weighted(b, terms, sample_weights), sample_counts(b, options, in));
}

// 1 - y t / sqrt((|y|^2 + 1e-12) (|t|^2 + 1e-12)) of the vectors along the last axis
// (torch.nn.CosineEmbeddingLoss of like pairs).
ValueId cosine(const Args& a) {
  if (a.b.rank(a.y) == 0) fail(ErrorKind::Usage, "loss 'cosine' needs vectors");
  auto dot = [&](ValueId p, ValueId q) {
    return a.b.add("ReduceSum", {a.mul(p, q), a.b.ints({-1})}, {{"keepdims", int64_t{0}}});
  };
  auto above = [&](ValueId p) { return a.b.add("Add", {dot(p, p), a.scalar(1e-12)}); };
  ValueId lengths = a.b.add("Sqrt", {a.mul(above(a.y), above(a.t))});
  return a.sub(a.scalar(1), a.b.add("Div", {dot(a.y, a.t), lengths}));
}

// All that is known of a loss.
struct Loss {
  LossInfo info;
  ValueId (*terms)(const Args&) = nullptr;  // what is summed or averaged, if that is all of it
  Reduction reduction = Reduction::Mean;
};

const std::vector<Loss>& losses() {
  static const std::vector<Loss> table = {
      {{"mse", "mean (y - t)^2"}, squared},
      {{"mae", "mean |y - t|"}, absolute},
      {{"huber", "mean of (y - t)^2 / 2 up to distance 1, |y - t| - 1/2 beyond"}, huber},
      {{"bce", "-mean (t log y + (1 - t) log(1 - y)), y a probability"}, bce},
      {{"bce_with_logits", "bce of sigmoid(y)"}, bce_with_logits},
      {{"nll", "-mean y[t], y log-probabilities, t class indices", true}},
      {{"nll_probs", "-mean log y[t], y probabilities, t class indices", true}},
      {{"cross_entropy", "-mean log softmax(y)[t], y logits, t class indices", true}},
      {{"sum_squared", "sum (y - t)^2"}, squared, Reduction::Sum},
      {{"hinge", "mean max(0, 1 - y t), t is -1 or 1"}, hinge},
      {{"kl", "mean t (log t - y), y log-probabilities, t probabilities"}, kl},
      {{"cosine", "mean 1 - cos(y, t) of the vectors along the last axis"}, cosine},
      {{"output", "the model's own scalar output"}},
  };
  return table;
}

const Loss& loss_called(std::string_view name) {
  const LossInfo& info = find_loss(std::string(name));
  return losses()[static_cast<size_t>(&info - loss_list().data())];
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
  static const std::vector<LossInfo> list = [] {
    std::vector<LossInfo> infos;
    for (const Loss& loss : losses()) infos.push_back(loss.info);
    return infos;
  }();
  return list;
}

Reduction reduction_of(const LossOptions& options) {
  if (options.reduction || options.name.empty()) {
    return options.reduction.value_or(Reduction::Mean);
  }
  return loss_called(options.name).reduction;
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
                          ValueId target, ValueId sample_weights) {
  const LossInfo& info = find_loss(options.name);
  check_class_options(options);
  if (info.name == "output") {
    if (sample_weights != no_value) {
      fail(ErrorKind::Usage, "loss 'output' is one number: it has no sample weights");
    }
    return own_output(builder, output);
  }
  if (info.class_indices) return class_loss(builder, options, output, target, sample_weights);
  if (!options.allow_broadcast) target = matched(builder, target, output, std::nullopt);
  Args args{builder, output, target};
  ValueId terms = loss_called(options.name).terms(args);
  return reduced(builder, options, weighted(builder, terms, sample_weights));
}

ValueId add_loss(GraphBuilder& builder, const LossOptions& options, ValueId output, ValueId target,
                 ValueId sample_weights) {
  try {
    return loss_nodes(builder, options, output, target, sample_weights);
  } catch (const Error& e) {
    // The model is right by itself: what does not fit it is the target.
    if (e.kind() == ErrorKind::BadModel) throw e.as(ErrorKind::BadInput);
    throw;
  }
}

}  // namespace onnxrun
