// Activation functions of recurrent cells on one vector; included once for every instruction set.
#if defined(ONNXRUN_RECURRENT_ACTIVATIONS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ONNXRUN_RECURRENT_ACTIVATIONS_INL
#undef ONNXRUN_RECURRENT_ACTIVATIONS_INL
#else
#define ONNXRUN_RECURRENT_ACTIVATIONS_INL
#endif

#include <hwy/highway.h>

#include "kernels/recurrent_cells.h"
#include "kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

template <class D, class V>
HWY_NOINLINE V activate_rare(D d, const Activation& activation, V x) {
  V zero = hn::Zero(d), one = constant(d, 1);
  V alpha = constant(d, activation.alpha), beta = constant(d, activation.beta);
  switch (activation.kind) {
    case ActivationKind::Affine:
      return hn::MulAdd(alpha, x, beta);
    case ActivationKind::LeakyRelu:
      return hn::IfThenElse(hn::Lt(x, zero), hn::Mul(alpha, x), x);
    case ActivationKind::ThresholdedRelu:
      return hn::IfThenElse(hn::Lt(x, alpha), zero, x);
    case ActivationKind::ScaledTanh:
      return hn::Mul(alpha, Tanh()(d, hn::Mul(beta, x)));
    case ActivationKind::HardSigmoid:
      return keep_nan<D>(x, hn::Min(hn::Max(hn::MulAdd(alpha, x, beta), zero), one));
    case ActivationKind::Elu:
      return hn::IfThenElse(hn::Lt(x, zero), hn::Mul(alpha, Expm1()(d, x)), x);
    case ActivationKind::Softsign:
      return hn::Div(x, hn::Add(one, hn::Abs(x)));
    default:
      return Softplus()(d, x);
  }
}

template <class D, class V>
HWY_INLINE V activate(D d, const Activation& activation, V x) {
  switch (activation.kind) {
    case ActivationKind::Tanh:
      return Tanh()(d, x);
    case ActivationKind::Sigmoid:
      return Sigmoid()(d, x);
    case ActivationKind::Relu:
      return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x);
    default:
      return activate_rare(d, activation, x);
  }
}

// The derivative from the function's result y; x is the argument where needs_argument() says so. At
// kinks as PyTorch: Relu, LeakyRelu and Elu take the left side, ThresholdedRelu the side that is 0
// only below the threshold, HardSigmoid 0.
template <class D, class V>
HWY_NOINLINE V slope_rare(D d, const Activation& activation, V y, V x) {
  V zero = hn::Zero(d), one = constant(d, 1);
  V alpha = constant(d, activation.alpha);
  switch (activation.kind) {
    case ActivationKind::Relu:
      return hn::IfThenElse(hn::Le(y, zero), zero, one);
    case ActivationKind::Affine:
      return alpha;
    case ActivationKind::LeakyRelu:
      return hn::IfThenElse(hn::Gt(x, zero), one, alpha);
    case ActivationKind::ThresholdedRelu:
      return hn::IfThenElseZero(hn::Ge(x, alpha), one);
    case ActivationKind::ScaledTanh: {
      V t = Tanh()(d, hn::Mul(constant(d, activation.beta), x));
      V scale = hn::Mul(alpha, constant(d, activation.beta));
      return hn::Mul(scale, hn::NegMulAdd(t, t, one));
    }
    case ActivationKind::HardSigmoid:
      return hn::IfThenElseZero(hn::And(hn::Gt(y, zero), hn::Lt(y, one)), alpha);
    case ActivationKind::Elu:
      return hn::IfThenElse(hn::Gt(x, zero), one, hn::Add(y, alpha));
    case ActivationKind::Softsign: {
      V rest = hn::Sub(one, hn::Abs(y));
      return hn::Mul(rest, rest);
    }
    default:
      return hn::Neg(Expm1()(d, hn::Neg(y)));  // Softplus: 1 - e^-y
  }
}

template <class D, class V>
HWY_INLINE V slope(D d, const Activation& activation, V y, V x) {
  V one = constant(d, 1);
  switch (activation.kind) {
    case ActivationKind::Tanh:
      return hn::NegMulAdd(y, y, one);
    case ActivationKind::Sigmoid:
      return hn::Mul(y, hn::Sub(one, y));
    default:
      return slope_rare(d, activation, y, x);
  }
}

// The usual functions, known when compiling, or any, with clipping.
template <bool usual>
struct Functions {
  const Cell& cell;

  template <class D, class V>
  HWY_INLINE V bounded(D d, V x) const {
    if (!cell.clips) return x;
    V limit = constant(d, cell.clip);
    return keep_nan<D>(x, hn::Min(hn::Max(x, hn::Neg(limit)), limit));
  }
  template <class D, class V>
  HWY_INLINE V f(D d, V x) const {
    if constexpr (usual) return Sigmoid()(d, x);
    return activate(d, cell.f, bounded(d, x));
  }
  template <class D, class V>
  HWY_INLINE V g(D d, V x) const {
    if constexpr (usual) return Tanh()(d, x);
    return activate(d, cell.g, bounded(d, x));
  }
  template <class D, class V>
  HWY_INLINE V h(D d, V x) const {
    if constexpr (usual) return Tanh()(d, x);
    return activate(d, cell.h, x);
  }
};

// d times the derivative of `activation` (clipped) at its argument x, where its result is y.
template <class D, class V>
HWY_INLINE V through(D d, const Cell& cell, const Activation& activation, V cotangent, V y, V x) {
  if (!cell.clips) return hn::Mul(cotangent, slope(d, activation, y, x));
  V limit = constant(d, cell.clip);
  V bounded = hn::Min(hn::Max(x, hn::Neg(limit)), limit);
  V product = hn::Mul(cotangent, slope(d, activation, y, bounded));
  return hn::IfThenElseZero(hn::Le(hn::Abs(x), limit), product);
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
