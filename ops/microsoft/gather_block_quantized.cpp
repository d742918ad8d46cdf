// com.microsoft: GatherBlockQuantized.
#include "emit/function_op.h"
#include "emit/packed_bits.h"

namespace onnxrun {

namespace {

constexpr DTypeSet float_codes = {DType::Float4E2M1, DType::Float8E4M3FN, DType::Float8E4M3FNUZ,
                                  DType::Float8E5M2, DType::Float8E5M2FNUZ};

class GatherBlockQuantized final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("bits", bits_, "of a number in a byte: 2, 4 or 8; numbers of 4 bits have no other");
    v.visit("block_size", block_, "numbers along quantize_axis that share a scale");
    v.visit("gather_axis", gather_axis_, "the axis that indices count along");
    v.visit("quantize_axis", quantize_axis_, "the axis that blocks lie along");
  }

  // What is gathered is made floating-point, not the whole table, where blocks stay whole.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    const int64_t rank = e.b.rank(d.input(0)), from = normalized(gather_axis_, rank),
                  along = normalized(quantize_axis_, rank);
    auto gather = [&](ValueId v) { return e("Gather", {v, d.input(1)}, {{"axis", from}}); };
    auto rows = [&](size_t i) {
      ValueId all = gatherable(e, d.input(i));
      return from == along ? all : gather(all);
    };
    const int64_t axis =
        from < along ? along + e.b.rank(d.input(1)) - 1 : along;  // of what is gathered
    ValueId zero = d.has_input(3) ? numbers(e, rows(3)) : no_value;
    ValueId scales = one_for_all(e, d.input(2), from) ? d.input(2) : rows(2);
    ValueId y = dequantized(e, numbers(e, rows(0)), scales, zero, from == along ? along : axis);
    d.set(0, e.b.cast(from == along ? gather(y) : y, d.dtype(d.input(2))));
  }

 protected:
  void check(const InferContext& c) const override {
    check_attributes(c);
    if (c.has_input(3) && float_codes.contains(c.dtype(0))) {
      c.reject("{} with zero points", c.describe_input(0));
    }
    if (!c.shape(0)) return;
    for (int64_t axis : {gather_axis_, quantize_axis_}) {
      if (axis < -c.rank(0) || axis >= c.rank(0))
        c.reject("axis {} of {}", axis, c.describe_input(0));
    }
    const int64_t from = normalized(gather_axis_, c.rank(0));
    if (packed(c.dtype(0)) && (from != 0 || from == normalized(quantize_axis_, c.rank(0)))) {
      c.reject("bytes are gathered along axis 0, and blocks lie along another");
    }
    Shape scales = *c.shape(0);
    if (packed(c.dtype(0))) scales.back() = scales.back() * Dim(8 / bits_);
    Dim& length = scales[static_cast<size_t>(normalized(quantize_axis_, c.rank(0)))];
    length = block_ == 0 ? Dim(1) : ceil_div(length, Dim(block_));
    check_scales(c, scales);
  }
  DType output_type(const InferContext& c, size_t) const override { return c.dtype(2); }

 private:
  static bool packed(DType type) { return type == DType::UInt8; }
  static int64_t normalized(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

  void check_attributes(const InferContext& c) const {
    if (bits_ != 2 && bits_ != 4 && bits_ != 8) c.reject("attribute 'bits' is {}", bits_);
    if (c.dtype(0) != DType::UInt8 && !float_codes.contains(c.dtype(0)) && bits_ != 4) {
      c.reject("attribute 'bits' is {}, the data are {}", bits_, c.describe_input(0));
    }
    bool whole = block_ == 0 && float_codes.contains(c.dtype(0));
    constexpr int64_t most = int64_t{1} << 31;
    if (!whole && (block_ < 16 || block_ > most || (block_ & (block_ - 1)) != 0)) {
      c.reject("attribute 'block_size' is {}, expected a power of two from 16 on", block_);
    }
  }

  // Scales of float codes may be one for all places of an axis.
  void check_scales(const InferContext& c, Shape expected) const {
    if (c.shape(2) && float_codes.contains(c.dtype(0)) && c.rank(2) == c.rank(0)) {
      for (size_t i = 0; i < expected.size(); ++i) {
        if ((*c.shape(2))[i] == Dim(1)) expected[i] = Dim(1);
      }
    }
    require_shape(c, 2, expected);
    if (packed(c.dtype(0))) expected.back() = ceil_div(expected.back() * Dim(bits_), Dim(8));
    require_shape(c, 3, expected);
  }

  static bool one_for_all(const Emit& e, ValueId scales, int64_t axis) {
    return (*e.b.type(scales).shape)[static_cast<size_t>(axis)] == Dim(1);
  }

  // Gather takes no codes of floats or of less than a byte.
  static ValueId gatherable(const Emit& e, ValueId v) {
    switch (DType type = e.b.dtype(v); type) {
      case DType::Int4:
        return e.b.cast(v, DType::Int8);
      case DType::UInt4:
        return e.b.cast(v, DType::UInt16);
      default:
        return float_codes.contains(type) ? e.b.cast(v, DType::Float16) : v;
    }
  }

  ValueId numbers(const Emit& e, ValueId codes) const {
    return packed(e.b.dtype(codes)) ? emit_unpacked_bits(e, codes, bits_) : codes;
  }

  ValueId dequantized(const Emit& e, ValueId codes, ValueId scales, ValueId zero,
                      int64_t axis) const {
    auto spread = [&](ValueId v) {
      if (block_ == 0) return v;
      ValueId places = e.div(e.range(e.dim(codes, axis)), e.b.int_scalar(block_));
      return e("Gather", {v, places}, {{"axis", axis}});
    };
    // Only bytes become Int32, and only theirs lie around a middle.
    bool centred = e.b.dtype(codes) == DType::Int32;
    ValueId x = e.b.cast(codes, DType::Float32);
    if (zero != no_value) {
      x = e.sub(x, spread(e.b.cast(zero, DType::Float32)));
    } else if (centred) {
      x = e.sub(x, e.scalar(static_cast<double>(int64_t{1} << (bits_ - 1)), x));
    }
    return e.mul(x, spread(e.b.cast(scales, DType::Float32)));
  }

  int64_t bits_ = 4, block_ = 128, gather_axis_ = 0, quantize_axis_ = 1;
};

}  // namespace

void register_microsoft_gather_block_quantized(OpRegistry& r) {
  r.add<GatherBlockQuantized>(
      {.name = "GatherBlockQuantized",
       .domain = "com.microsoft",
       .doc = "slices of a table of few bits, dequantized",
       .since = {1},
       .inputs = {{"data", "T1"},
                  {"indices", "Tind"},
                  {"scales", "T2", InputRole::Setting},
                  {"zero_points", "T1", Param::Kind::Optional, InputRole::Setting}},
       .outputs = {{"output", "T2"}},
       .types = {{"T1", float_codes | DTypeSet{DType::Int4, DType::UInt4, DType::UInt8}},
                 {"Tind", {DType::Int32, DType::Int64}},
                 {"T2", {DType::Float32, DType::Float16, DType::BFloat16}}},
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace onnxrun
