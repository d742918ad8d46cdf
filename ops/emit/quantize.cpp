#include "emit/quantize.h"

#include "kernels/shape_rules.h"

namespace onnxrun {

Levels levels_of(DType quantized) {
  switch (quantized) {
    case DType::UInt8:
      return {0, 255};
    case DType::Int8:
      return {-128, 127};
    case DType::UInt16:
      return {0, 65535};
    case DType::Int16:
      return {-32768, 32767};
    case DType::UInt4:
      return {0, 15};
    case DType::Int4:
      return {-8, 7};
    case DType::UInt2:
      return {0, 3};
    case DType::Int2:
      return {-2, 1};
    case DType::Float8E4M3FN:
      return {-448, 448};
    case DType::Float8E4M3FNUZ:
      return {-240, 240};
    case DType::Float8E5M2:
    case DType::Float8E5M2FNUZ:
      return {-57344, 57344};
    case DType::Float4E2M1:
      return {-6, 6};
    case DType::Float6E2M3:
      return {-7.5, 7.5};
    case DType::Float6E3M2:
      return {-28, 28};
    default:
      fail(ErrorKind::BadModel, "{} is no type of quantized numbers", to_string(quantized));
  }
}

void check_scales(const InferContext& c, size_t scale, size_t zero_point,
                  const QuantizedAxis& axis) {
  const Shape *x = c.shape(0), *s = c.shape(scale);
  if (axis.block < 0) c.reject("attribute 'block_size' is {}", axis.block);
  if (c.has_input(zero_point) && s && c.shape(zero_point)) {
    bool one = element_count(*s) == Dim(1) && element_count(*c.shape(zero_point)) == Dim(1);
    if (!one && !compatible(Type::tensor(DType::Float32, *s),
                            Type::tensor(DType::Float32, *c.shape(zero_point)))) {
      c.reject("scale and zero point differ in shape: {}, {}", c.describe_input(scale),
               c.describe_input(zero_point));
    }
  }
  if (!x || !s || s->empty() || (axis.block == 0 && element_count(*s) == Dim(1))) return;
  bool fits = axis.block == 0 ? s->size() == 1 : s->size() == x->size();
  if (fits && (axis.block > 0 || x->size() > 1)) {
    auto at = static_cast<size_t>(checked_axis(c, axis.axis, c.rank(0)));
    Dim wanted = axis.block == 0 ? (*x)[at] : ceil_div((*x)[at], Dim(axis.block));
    const Dim& found = axis.block == 0 ? (*s)[0] : (*s)[at];
    fits = !wanted.is_known() || !found.is_known() || wanted == found;
    for (size_t i = 0; axis.block > 0 && fits && i < x->size(); ++i) {
      fits = i == at || !(*x)[i].is_known() || !(*s)[i].is_known() || (*x)[i] == (*s)[i];
    }
  }
  if (!fits) {
    c.reject("{} does not fit {} along axis {} in blocks of {}", c.describe_input(scale),
             c.describe_input(0), axis.axis, axis.block);
  }
}

ValueId spread_scale(const Emit& e, ValueId scale, ValueId x, const QuantizedAxis& axis) {
  int64_t rank = e.b.rank(scale), x_rank = e.b.rank(x);
  if (rank == 0) return scale;
  if (rank < 0 || x_rank < 0) fail(ErrorKind::Unsupported, "the rank of a scale is not known");
  if (axis.block > 0) {
    ValueId place = e.div(e.range(e.dim(x, axis.axis)), e.b.int_scalar(axis.block));
    return e("Gather", {scale, place}, {{"axis", axis.axis}});
  }
  if (element_count(*e.b.type(scale).shape) == Dim(1)) return e.b.reshape(scale, e.b.ints({}));
  if (rank != 1) fail(ErrorKind::BadModel, "a scale of rank {} without blocks", rank);
  if (x_rank == 1) return scale;
  std::vector<int64_t> others;
  int64_t at = normalize_axis(axis.axis, x_rank);
  for (int64_t i = 0; i < x_rank; ++i) {
    if (i != at) others.push_back(i);
  }
  return e.b.unsqueeze(scale, others);
}

ValueId emit_dequantize(const Emit& e, ValueId x, ValueId scale, ValueId zero_point,
                        const QuantizedAxis& axis, DType to) {
  DType wide =
      to == DType::Float64 || e.b.dtype(scale) == DType::Float64 ? DType::Float64 : DType::Float32;
  ValueId number = e.b.cast(x, wide);
  if (zero_point != no_value) {
    number = e.sub(number, e.b.cast(spread_scale(e, zero_point, x, axis), wide));
  }
  return e.b.cast(e.mul(number, e.b.cast(spread_scale(e, scale, x, axis), wide)), to);
}

ValueId emit_levels(const Emit& e, ValueId x, ValueId scale, ValueId zero_point,
                    const QuantizedAxis& axis, DType to, DType precision) {
  ValueId s = e.b.cast(spread_scale(e, scale, x, axis), precision);
  ValueId y = e.div(e.b.cast(x, precision), s);
  DType wide = precision == DType::Float64 ? precision : DType::Float32;
  if (!is_float(to)) y = e("Round", {y});
  y = e.b.cast(y, wide);
  if (zero_point == no_value) return y;
  return e.add(y, e.b.cast(spread_scale(e, zero_point, x, axis), wide));
}

namespace {

ValueId saturated(const Emit& e, ValueId levels, DType to) {
  Levels l = levels_of(to);
  ValueId low = e.scalar(l.lowest, levels), high = e.scalar(l.highest, levels);
  return e.b.cast(e("Clip", {levels, low, high}), to);
}

}  // namespace

ValueId emit_quantize(const Emit& e, ValueId x, ValueId scale, ValueId zero_point,
                      const QuantizedAxis& axis, DType to, DType precision, bool saturate) {
  ValueId levels = emit_levels(e, x, scale, zero_point, axis, to, precision);
  if (!is_float(to)) return saturated(e, levels, to);
  Attributes attributes{{"to", static_cast<int64_t>(to)}, {"saturate", int64_t{saturate}}};
  return e("Cast", {levels}, attributes);
}

ValueId emit_requantize(const Emit& e, ValueId sums, ValueId factor, ValueId zero_point, DType to) {
  ValueId y = e.mul(e.b.cast(sums, DType::Float32), e.b.cast(factor, DType::Float32));
  y = e.add(e("Round", {y}), e.b.cast(zero_point, DType::Float32));
  return saturated(e, y, to);
}

}  // namespace onnxrun
