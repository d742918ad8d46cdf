#include "emit/recurrent_direction.h"

namespace onnxrun {

RecurrentDirection::RecurrentDirection(GraphBuilder& b, const RecurrentAttributes& a,
                                       std::vector<ValueId> inputs, int64_t d)
    : b_(b),
      inputs_(std::move(inputs)),
      d_(d),
      directions_(a.directions()),
      reverse_(d == 1 || a.direction == "reverse"),
      cell_(a.cells()[static_cast<size_t>(d)]) {
  inputs_.resize(RecurrentInput::Count, no_value);
}

ValueId RecurrentDirection::part(ValueId v, int64_t axis) {
  if (directions_ > 1) v = b_.slice(v, axis, d_, d_ + 1);
  return b_.squeeze(v, {axis});
}

std::vector<ValueId> RecurrentDirection::biases() {
  ValueId v = inputs_[RecurrentInput::B];
  return v == no_value ? std::vector<ValueId>{} : math().split(part(v, 0), 0, 2);
}

std::vector<ValueId> RecurrentDirection::peepholes() {
  ValueId v = inputs_[RecurrentInput::P];
  return v == no_value ? std::vector<ValueId>{} : math().split(part(v, 0), 0, 3);
}

ValueId RecurrentDirection::initial(size_t input) {
  if (inputs_[input] != no_value) return part(inputs_[input], 0);
  ValueId batch = b_.add("Shape", {x()}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
  ValueId hidden = b_.add("Shape", {inputs_[RecurrentInput::R]}, {{"start", int64_t{2}}});
  ValueId shape = b_.add("Concat", {batch, hidden}, {{"axis", int64_t{0}}});
  Tensor zero = convert(Tensor::of<float>({1}, {0.0f}), b_.dtype(x()));
  return b_.add("ConstantOfShape", {shape}, {{"value", zero}});
}

ValueId RecurrentDirection::live() {
  ValueId lengths = inputs_[RecurrentInput::Lengths];
  if (lengths == no_value) return no_value;
  ValueId steps =
      b_.squeeze(b_.add("Shape", {x()}, {{"start", int64_t{0}}, {"end", int64_t{1}}}), {0});
  ValueId times = b_.add("Range", {b_.int_scalar(0), steps, b_.int_scalar(1)});
  ValueId ends = b_.cast(lengths, DType::Int64);
  return b_.add("Less", {b_.unsqueeze(times, {1, 2}), b_.unsqueeze(ends, {0, 2})});
}

ValueId join_directions(GraphBuilder& b, const std::vector<ValueId>& parts, int64_t axis) {
  std::vector<ValueId> unsqueezed;
  for (ValueId v : parts) unsqueezed.push_back(b.unsqueeze(v, {axis}));
  return RecurrentMath{b}.concat(std::move(unsqueezed), axis);
}

}  // namespace onnxrun
