// Linear quantization as standard operators, for every operator that quantizes.
#pragma once

#include "graph/quantized_form.h"
#include "kernels/composed.h"

namespace onnxrun {

inline constexpr DTypeSet bytes = {DType::Int8, DType::UInt8};

// y = (x - zero_point) * scale, computed in float at least. `zero_point` may be no_value.
ValueId emit_dequantize(const Emit& e, ValueId x, ValueId scale, ValueId zero_point,
                        const QuantizedAxis& axis, DType to);

// y = saturate(round(x / scale) + zero_point), rounded half to even, in the type `to`. The division
// is computed in type `precision`.
ValueId emit_quantize(const Emit& e, ValueId x, ValueId scale, ValueId zero_point,
                      const QuantizedAxis& axis, DType to, DType precision, bool saturate = true);

// The same of integer sums whose scale is `factor`: saturate(round(x * factor) + zero_point).
// Factor and zero point broadcast.
ValueId emit_requantize(const Emit& e, ValueId sums, ValueId factor, ValueId zero_point, DType to);

// What emit_quantize() has before it converts: round(x / scale) + zero_point, not saturated. And
// the numbers between which values of a type are.
ValueId emit_levels(const Emit& e, ValueId x, ValueId scale, ValueId zero_point,
                    const QuantizedAxis& axis, DType to, DType precision);
struct Levels {
  double lowest, highest;
};
Levels levels_of(DType quantized);

// A scale or zero point as it broadcasts with x.
ValueId spread_scale(const Emit& e, ValueId scale, ValueId x, const QuantizedAxis& axis);

// Rejects scales (input `scale`) and zero points that do not fit input 0.
void check_scales(const InferContext& c, size_t scale, size_t zero_point,
                  const QuantizedAxis& axis);

}  // namespace onnxrun
