#include "graph/gradient_context.h"

namespace onnxrun {

ValueId GradientContext::grad(size_t i) {
  if (grad_outputs_[i] == no_value) grad_outputs_[i] = builder_.zeros_like(node_.outputs[i]);
  return grad_outputs_[i];
}

void GradientContext::set(size_t i, ValueId cotangent) {
  if (wants(i)) grads_[i] = cotangent;
}

}  // namespace onnxrun
