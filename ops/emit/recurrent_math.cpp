#include "emit/recurrent_math.h"

namespace onnxrun {

ValueId RecurrentMath::concat(std::vector<ValueId> parts, int64_t axis) {
  return parts.size() == 1 ? parts[0] : b.add("Concat", std::move(parts), {{"axis", axis}});
}

std::vector<ValueId> RecurrentMath::split(ValueId x, int64_t axis, size_t parts) {
  if (parts == 1) return {x};
  NodeOptions options;
  options.attributes = {{"axis", axis}, {"num_outputs", static_cast<int64_t>(parts)}};
  return b.add_n("Split", {x}, parts, std::move(options));
}

ValueId RecurrentMath::clipped(const Cell& cell, ValueId x) {
  double limit = cell.clip;
  return b.add("Clip", {x, b.scalar_like(-limit, x), b.scalar_like(limit, x)});
}

ValueId RecurrentMath::activate(const Cell& cell, const Activation& f, ValueId x, bool bounded) {
  if (bounded && cell.clips) x = clipped(cell, x);
  ValueId alpha = b.scalar_like(f.alpha, x);
  switch (f.kind) {
    case ActivationKind::Tanh:
      return b.add("Tanh", {x});
    case ActivationKind::Sigmoid:
      return b.add("Sigmoid", {x});
    case ActivationKind::Relu:
      return b.add("Relu", {x});
    case ActivationKind::Affine:
      return plus(mul(alpha, x), b.scalar_like(f.beta, x));
    case ActivationKind::LeakyRelu:
      return b.add("LeakyRelu", {x}, {{"alpha", f.alpha}});
    case ActivationKind::ThresholdedRelu:
      return where(b.add("Less", {x, alpha}), zero(x), x);
    case ActivationKind::ScaledTanh:
      return mul(alpha, b.add("Tanh", {mul(b.scalar_like(f.beta, x), x)}));
    case ActivationKind::HardSigmoid:
      return b.add("HardSigmoid", {x}, {{"alpha", f.alpha}, {"beta", f.beta}});
    case ActivationKind::Elu:
      return b.add("Elu", {x}, {{"alpha", f.alpha}});
    case ActivationKind::Softsign:
      return b.add("Softsign", {x});
    case ActivationKind::Softplus:
      return b.add("Softplus", {x});
  }
  return no_value;
}

ValueId RecurrentMath::slope(const Activation& f, ValueId y, ValueId x) {
  ValueId one = b.scalar_like(1, y), alpha = b.scalar_like(f.alpha, y);
  switch (f.kind) {
    case ActivationKind::Tanh:
      return minus(one, mul(y, y));
    case ActivationKind::Sigmoid:
      return mul(y, minus(one, y));
    case ActivationKind::Relu:
      return where(b.add("LessOrEqual", {y, zero(y)}), zero(y), one);
    case ActivationKind::Affine:
      return alpha;
    case ActivationKind::LeakyRelu:
      return where(b.add("Greater", {x, zero(x)}), one, alpha);
    case ActivationKind::ThresholdedRelu:
      return where(b.add("Less", {x, alpha}), zero(x), one);
    case ActivationKind::ScaledTanh: {
      ValueId t = b.add("Tanh", {mul(b.scalar_like(f.beta, x), x)});
      double scale = static_cast<double>(f.alpha) * static_cast<double>(f.beta);
      return mul(b.scalar_like(scale, x), minus(one, mul(t, t)));
    }
    case ActivationKind::HardSigmoid: {
      ValueId inside = b.add("And", {b.add("Greater", {y, zero(y)}), b.add("Less", {y, one})});
      return where(inside, alpha, zero(y));
    }
    case ActivationKind::Elu:
      return where(b.add("Greater", {x, zero(x)}), one, plus(y, alpha));
    case ActivationKind::Softsign: {
      ValueId rest = one_minus(b.add("Abs", {y}));
      return mul(rest, rest);
    }
    case ActivationKind::Softplus:
      return one_minus(b.add("Exp", {b.add("Neg", {y})}));
  }
  return no_value;
}

ValueId RecurrentMath::through(const Cell& cell, const Activation& f, ValueId cotangent, ValueId y,
                               ValueId x, bool bounded) {
  if (!bounded || !cell.clips) return mul(cotangent, slope(f, y, x));
  ValueId product = mul(cotangent, slope(f, y, clipped(cell, x)));
  ValueId inside = b.add("LessOrEqual", {b.add("Abs", {x}), b.scalar_like(cell.clip, x)});
  return where(inside, product, zero(product));
}

}  // namespace onnxrun
