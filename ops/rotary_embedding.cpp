// RotaryEmbedding.
#include "emit/attention.h"

namespace onnxrun {

namespace {

// Su et al. 2021, "RoFormer: enhanced transformer with rotary position embedding".
class RotaryEmbedding final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("interleaved", interleaved_, "pairs are neighbours, else halves of a head");
    v.visit("num_heads", heads_, "heads of an input of rank 3");
    v.visit("rotary_embedding_dim", rotated_, "elements of a head that are rotated; 0: all");
  }

  void infer(InferContext& c) const override {
    infer_same(c);
    const Shape* x = c.shape(0);
    if (heads_.value_or(1) < 1) c.reject("attribute 'num_heads' is {}", *heads_);
    if (rotated_ < 0 || rotated_ % 2 != 0) {
      c.reject("attribute 'rotary_embedding_dim' is {}, expected an even number", rotated_);
    }
    if (x) {
      if (x->size() != 3 && x->size() != 4)
        c.reject("{}, expected rank 3 or 4", c.describe_input(0));
      if (x->size() == 3 && !heads_) c.reject("{} needs num_heads", c.describe_input(0));
      check_sizes(c, *x);
    }
    int64_t rank = c.has_input(3) ? 2 : 3;
    for (size_t i : {1, 2}) {
      if (c.shape(i) && c.rank(i) != rank) {
        c.reject("{}, expected rank {}", c.describe_input(i), rank);
      }
    }
    if (c.has_input(3) && c.shape(3) && c.rank(3) != 2) {
      c.reject("{}, expected [batch, sequence]", c.describe_input(3));
    }
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    int64_t rank = e.b.rank(d.input(0));
    bool flat = rank == 3 || (rank < 0 && heads_);
    if (rank < 0 && !heads_) fail(ErrorKind::Unsupported, "the rank of the input is not known");
    ValueId x = flat ? split_heads(e, d.input(0), *heads_) : d.input(0);
    ValueId rest = no_value, rotated = x;
    if (rotated_ > 0) {
      rotated = e.b.slice(x, 3, 0, rotated_);
      rest = e.b.slice(x, 3, rotated_, INT64_MAX);
    }
    // [B, 1, S, half]
    auto cache = [&](size_t i) {
      ValueId v = d.input(i);
      if (d.has_input(3)) v = e("Gather", {v, d.input(3)});
      return e.b.unsqueeze(v, {1});
    };
    ValueId y = rotate(e, rotated, cache(1), cache(2));
    if (rest != no_value) y = e.concat({y, rest}, 3);
    d.set(0, flat ? merge_heads(e, y) : y);
  }

 private:
  void check_sizes(const InferContext& c, const Shape& x) const {
    Dim size = x.back();
    if (x.size() == 3 && size.is_known()) {
      if (size.value() % *heads_ != 0) {
        c.reject("{} is not divisible by {} heads", c.describe_input(0), *heads_);
      }
      size = Dim(size.value() / *heads_);
    }
    if (!size.is_known()) return;
    if (rotated_ > size.value()) c.reject("{} of {} elements are rotated", rotated_, size.value());
    int64_t turned = rotated_ > 0 ? rotated_ : size.value();
    if (turned % 2 != 0) c.reject("{} elements of a head are no pairs", turned);
    for (size_t i : {1, 2}) {
      if (!c.shape(i) || c.shape(i)->empty() || !c.shape(i)->back().is_known()) continue;
      if (c.shape(i)->back().value() != turned / 2) {
        c.reject("{}, expected {} columns", c.describe_input(i), turned / 2);
      }
    }
  }

  ValueId rotate(const Emit& e, ValueId x, ValueId cos, ValueId sin) const {
    ValueId half = e.dim(cos, 3), two = e.b.ints({2});
    // [B, H, S, half, 2] or [B, H, S, 2, half]
    ValueId shape = e.concat(interleaved_ ? std::vector<ValueId>{e.dims(x, 0, 3), half, two}
                                          : std::vector<ValueId>{e.dims(x, 0, 3), two, half});
    ValueId pairs = e.b.reshape(x, shape);
    int64_t axis = interleaved_ ? 4 : 3;
    auto part = [&](int64_t i) { return e.b.squeeze(e.b.slice(pairs, axis, i, i + 1), {axis}); };
    ValueId a = part(0), b = part(1);
    ValueId real = e.sub(e.mul(cos, a), e.mul(sin, b));
    ValueId imaginary = e.add(e.mul(sin, a), e.mul(cos, b));
    ValueId turned =
        e.concat({e.b.unsqueeze(real, {axis}), e.b.unsqueeze(imaginary, {axis})}, axis);
    return e.b.reshape_like(turned, x);
  }

  bool interleaved_ = false;
  std::optional<int64_t> heads_;
  int64_t rotated_ = 0;
};

}  // namespace

void register_rotary_embedding(OpRegistry& r) {
  r.add<RotaryEmbedding>(
      {.name = "RotaryEmbedding",
       .doc = "pairs of elements turned by angles that depend on the position",
       .since = {23},
       .inputs = {{"X", "T"},
                  {"cos_cache", "T", InputRole::Setting},
                  {"sin_cache", "T", InputRole::Setting},
                  {"position_ids", "M", Param::Kind::Optional, InputRole::Setting}},
       .outputs = {{"Y", "T"}},
       .types = {with_own_double("T", dtypes::floats), {"M", DType::Int64}},
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace onnxrun
