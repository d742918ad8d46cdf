#include "emit/sampling.h"

#include <limits>

namespace onnxrun {

namespace {

// One pixel of an axis that counts towards a sample.
struct Tap {
  ValueId index = no_value;   // int64 [N, P], inside
  ValueId inside = no_value;  // bool [N, P]; no_value where every index is
  ValueId weight = no_value;  // [N, P]; no_value for 1
};

class SampledAxis {
 public:
  SampledAxis(const Emit& e, ValueId length, ValueId place, const Sampling& how)
      : e_(e), how_(how), place_(place) {
    length_ = e.b.squeeze(length, {0});
    real_length_ = e.b.cast(length_, e.b.dtype(place));
  }

  std::vector<Tap> taps() {
    if (how_.interpolation == Interpolation::Nearest) place_ = e_("Round", {place_});
    move_inside();
    if (how_.interpolation == Interpolation::Nearest) {
      return {tap(e_.b.cast(number(e_("Round", {place_})), DType::Int64), no_value)};
    }
    ValueId first = e_.b.cast(number(e_("Floor", {place_})), DType::Int64);
    // No gradient passes an integer: that of the place is that of the fraction.
    ValueId t = e_.sub(place_, e_.b.cast(first, e_.b.dtype(place_)));
    ValueId rest = e_.sub(real(1), t);
    if (how_.interpolation == Interpolation::Linear)
      return {tap(first, rest), tap(after(first, 1), t)};
    return {tap(after(first, -1), far(e_.add(t, real(1)))), tap(first, near(t)),
            tap(after(first, 1), near(rest)), tap(after(first, 2), far(e_.add(rest, real(1))))};
  }

 private:
  ValueId real(double v) const { return e_.scalar(v, place_); }
  ValueId integer(int64_t v) const { return e_.b.int_scalar(v); }
  ValueId after(ValueId index, int64_t n) const { return e_.add(index, integer(n)); }
  ValueId last() const { return e_.sub(length_, integer(1)); }

  // 0 for what is no number, which has no integer; its weights say that it was none.
  ValueId number(ValueId v) const { return e_.where(e_.equal(v, v), v, real(0)); }

  void move_inside() {
    ValueId end = e_.sub(real_length_, real(1));
    // A cubic reaches over the border, as PyTorch and ONNX Runtime have it.
    bool cubic = how_.interpolation == Interpolation::Cubic;
    if (how_.outside == Outside::Border && !cubic) {
      place_ = e_("Clip", {place_, real(0), end});
    } else if (how_.outside != Outside::Reflection) {
      // So far outside that nothing changes any more; integers hold what is left.
      place_ = e_("Clip", {place_, real(-4), e_.add(end, real(4))});
    } else {
      mirror(end);
    }
  }

  // low + r in every other stretch between the mirrors, high - r in those between.
  void mirror(ValueId end) {
    ValueId half = real(how_.align_corners ? 0 : 0.5);
    ValueId low = e_("Neg", {half}), high = e_.add(end, half), range = e_.sub(high, low);
    ValueId distance = e_("Abs", {e_.sub(place_, low)});
    ValueId turns = e_("Floor", {e_.div(distance, range)});
    ValueId r = e_.sub(distance, e_.mul(turns, range));
    ValueId odd = e_("Mod", {turns, real(2)}, {{"fmod", int64_t{1}}});
    ValueId mirrored = e_.where(e_.equal(odd, real(1)), e_.sub(high, r), e_.add(low, r));
    mirrored = e_.where(e_("Greater", {range, real(0)}), mirrored, low);
    ValueId inside =
        e_("And", {e_("GreaterOrEqual", {place_, low}), e_("LessOrEqual", {place_, high})});
    place_ = e_.where(inside, place_, mirrored);
  }

  // Keys 1981, "Cubic convolution interpolation", with a = -0.75: the pieces for distances to 1 and
  // from 1 to 2.
  ValueId near(ValueId t) const {
    ValueId v = e_.sub(e_.mul(real(a + 2), t), real(a + 3));
    return e_.add(e_.mul(e_.mul(v, t), t), real(1));
  }
  ValueId far(ValueId t) const {
    ValueId v = e_.sub(e_.mul(real(a), t), real(5 * a));
    return e_.sub(e_.mul(e_.add(e_.mul(v, t), real(8 * a)), t), real(4 * a));
  }

  Tap tap(ValueId index, ValueId weight) const {
    Tap result{no_value, no_value, weight};
    if (how_.outside == Outside::Zeros) {
      result.inside =
          e_("And", {e_("GreaterOrEqual", {index, integer(0)}), e_("Less", {index, length_})});
    } else if (how_.outside == Outside::Reflection) {
      ValueId mirror = how_.align_corners ? last() : length_;
      ValueId period = e_("Max", {e_.mul(mirror, integer(2)), integer(1)});
      index = e_("Mod", {index, period});
      ValueId back = e_.sub(e_.mul(mirror, integer(2)), index);
      if (!how_.align_corners) back = after(back, -1);
      index = e_.where(e_("Less", {index, length_}), index, back);
    }
    result.index = e_("Clip", {index, integer(0), last()});
    return result;
  }

  static constexpr double a = -0.75;

  const Emit& e_;
  const Sampling& how_;
  ValueId place_, length_, real_length_;
};

// The tap that stands for one of each of two axes, the second `length` long.
Tap combined(const Emit& e, const Tap& a, const Tap& b, ValueId length) {
  auto both = [&](ValueId x, ValueId y, const char* op) {
    if (x == no_value || y == no_value) return x == no_value ? y : x;
    return e(op, {x, y});
  };
  return {e.add(e.mul(a.index, length), b.index), both(a.inside, b.inside, "And"),
          both(a.weight, b.weight, "Mul")};
}

}  // namespace

DType sampling_type(DType x, DType places) {
  bool narrow = x == DType::Float32 || x == DType::Float16 || x == DType::BFloat16;
  bool moved = x == DType::String || is_complex(x);  // not computed with
  return (narrow || moved) && places != DType::Float64 ? DType::Float32 : DType::Float64;
}

ValueId emit_samples(const Emit& e, ValueId x, std::vector<ValueId> places, const Sampling& how) {
  auto axes = static_cast<int64_t>(places.size());
  std::vector<Tap> taps;
  for (int64_t a = 0; a < axes; ++a) {
    ValueId length = e.dim(x, a + 2);
    std::vector<Tap> own = SampledAxis(e, length, places[static_cast<size_t>(a)], how).taps(), all;
    for (const Tap& t : taps) {
      for (const Tap& o : own) all.push_back(combined(e, t, o, length));
    }
    taps = a == 0 ? std::move(own) : std::move(all);
  }
  // One row of channels for each pixel of all images; outside is a row of zeros behind them.
  std::vector<int64_t> perm = {0};
  for (int64_t a = 0; a < axes; ++a) perm.push_back(a + 2);
  perm.push_back(1);
  bool nearest = how.interpolation == Interpolation::Nearest;
  ValueId pixels = nearest ? x : e.b.cast(x, e.b.dtype(places[0]));
  ValueId images = e.dim(x, 0), channels = e.dim(x, 1), size = e.product(e.dims(x, 2));
  ValueId count = e.mul(images, size);
  ValueId rows = e.b.reshape(e.b.transpose(pixels, perm), e.concat({count, channels}));
  if (how.outside == Outside::Zeros) {
    rows = e("Pad", {rows, e.b.ints({0, 0, 1, 0})});
  }
  ValueId image_starts = e.b.unsqueeze(e.mul(e.range(images), size), {1});
  ValueId sum = no_value;
  for (const Tap& t : taps) {
    ValueId row = e.add(t.index, image_starts);
    if (t.inside != no_value) row = e.where(t.inside, row, count);
    ValueId v = e("Gather", {rows, row});
    if (t.weight != no_value) v = e.mul(v, e.b.unsqueeze(t.weight, {2}));
    sum = sum == no_value ? v : e.add(sum, v);
  }
  return e.b.transpose(sum, {0, 2, 1});
}

}  // namespace onnxrun
