// Attention.
#include <cmath>

#include "emit/attention.h"
#include "graph/cost.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// Lengths of an operand: [B, H, S, D], or [B, S, H * D].
struct Lengths {
  Dim batch, heads, sequence, size;
};

class Attention final : public ComposedOp {
 public:
  Count operations(const CostContext& c) const override { return attention_operations(c); }

  void attributes(AttributeVisitor& v) override {
    v.visit("is_causal", causal_, "queries see keys up to their own place only");
    v.visit("kv_num_heads", kv_heads_, "heads of keys and values of rank 3");
    v.visit("left_window_size", left_, "how many keys before its place a query sees; -1: all");
    v.visit("q_num_heads", q_heads_, "heads of queries of rank 3");
    v.visit("qk_matmul_output_mode", mode_,
            "output 3: 0 the scores, 1 after the soft cap, 2 after the mask, 3 after the softmax");
    v.visit("right_window_size", right_, "how many keys behind its place a query sees; -1: all");
    v.visit("scale", scale_, "factor of the scores; 1 / sqrt(head size) without");
    v.visit("softcap", softcap_, "scores become softcap tanh(score / softcap); 0: they stay");
    v.visit("softmax_precision", precision_, "type that the softmax is computed in");
  }

  void infer(InferContext& c) const override {
    check_attributes(c);
    for (size_t i = 0; i < 3; ++i) {
      if (c.shape(i) &&
          (c.rank(i) < 3 || c.rank(i) > 4 || (c.shape(0) && c.rank(i) != c.rank(0)))) {
        c.reject("{}, expected rank 3 or 4 for all", c.describe_input(i));
      }
    }
    if (!c.shape(0) || !c.shape(1) || !c.shape(2)) return infer_types(c);
    Lengths q = lengths(c, 0, q_heads_), k = lengths(c, 1, kv_heads_), v = lengths(c, 2, kv_heads_);
    expect_same(c, "batch sizes", q.batch, k.batch);
    expect_same(c, "batch sizes", q.batch, v.batch);
    expect_same(c, "head sizes of queries and keys", q.size, k.size);
    expect_same(c, "lengths of keys and values", k.sequence, v.sequence);
    expect_same(c, "heads of keys and values", k.heads, v.heads);
    if (q.heads.is_known() && k.heads.is_known() &&
        (k.heads.value() < 1 || q.heads.value() % k.heads.value() != 0)) {
      c.reject("{} heads of queries for {} of keys", q.heads.value(), k.heads.value());
    }
    Dim total = k.sequence + past_length(c, k, v);
    check_mask(c, {q.batch, q.heads, q.sequence, total});
    bool flat = c.rank(0) == 3;
    c.set_output(0, c.dtype(0),
                 flat ? Shape{q.batch, q.sequence, q.heads * v.size}
                      : Shape{q.batch, q.heads, q.sequence, v.size});
    c.set_output(1, c.dtype(1), Shape{q.batch, k.heads, total, k.size});
    c.set_output(2, c.dtype(2), Shape{q.batch, v.heads, total, v.size});
    c.set_output(3, c.dtype(0), Shape{q.batch, q.heads, q.sequence, total});
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    bool flat = e.b.rank(d.input(0)) == 3 || (e.b.rank(d.input(0)) < 0 && q_heads_);
    if (e.b.rank(d.input(0)) < 0 && !q_heads_) {
      fail(ErrorKind::Unsupported, "the rank of the queries is not known");
    }
    auto heads = [&](size_t i, const std::optional<int64_t>& count) {
      return flat ? split_heads(e, d.input(i), *count) : d.input(i);
    };
    AttentionParts parts;
    parts.q = heads(0, q_heads_);
    parts.k = heads(1, kv_heads_);
    parts.v = heads(2, kv_heads_);
    if (d.has_input(4)) {
      parts.k = e.concat({d.input(4), parts.k}, 2);
      parts.v = e.concat({d.input(5), parts.v}, 2);
    }
    parts.scale = scale_;
    parts.softcap = softcap_;
    parts.precision = precision_;
    ValueId queries = e.dim(parts.q, 2), keys = e.dim(parts.k, 2);
    if (d.has_input(3)) add_mask(e, d.input(3), keys, parts);
    parts.allowed = both(e, parts.allowed, visible(e, d, queries, keys));
    bool window = left_ >= 0 || right_ >= 0;
    parts.may_be_empty = d.has_input(3) || d.has_input(6) || window;
    AttentionResult r = emit_attention(e, parts);
    d.set(0, flat ? merge_heads(e, r.y) : r.y);
    if (d.has_output(1)) d.set(1, parts.k);
    if (d.has_output(2)) d.set(2, parts.v);
    const ValueId stages[] = {r.scores, r.capped, r.masked, r.weights};
    if (d.has_output(3)) d.set(3, stages[mode_]);
  }

 private:
  void check_attributes(const InferContext& c) const {
    if (mode_ < 0 || mode_ > 3) c.reject("qk_matmul_output_mode is {}, expected 0 to 3", mode_);
    if (left_ < -1 || right_ < -1) c.reject("a window size is {}", std::min(left_, right_));
    if (q_heads_.value_or(1) < 1 || kv_heads_.value_or(1) < 1)
      c.reject("a number of heads is below 1");
    if (!(softcap_ >= 0)) c.reject("softcap is {}", softcap_);
    if (precision_ != DType::Undefined && !dtypes::floats.contains(precision_)) {
      c.reject("softmax_precision is {}", to_string(precision_));
    }
    if (c.has_input(4) != c.has_input(5)) c.reject("past_key and past_value go together");
    if (c.has_input(6) && c.has_input(4)) {
      c.reject("nonpad_kv_seqlen cannot be given with past_key");
    }
  }

  void infer_types(InferContext& c) const {
    c.set_output(0, c.dtype(0));
    c.set_output(1, c.dtype(1), Shape(4));
    c.set_output(2, c.dtype(2), Shape(4));
    c.set_output(3, c.dtype(0), Shape(4));
  }

  static void expect_same(const InferContext& c, const char* what, const Dim& a, const Dim& b) {
    if (a.is_known() && b.is_known() && !(a == b)) {
      c.reject("{} differ: {} and {}", what, a.to_string(), b.to_string());
    }
  }

  static Lengths lengths(const InferContext& c, size_t i, const std::optional<int64_t>& heads) {
    const Shape& s = *c.shape(i);
    if (s.size() == 4) return {s[0], s[1], s[2], s[3]};
    if (!heads) c.reject("{} needs q_num_heads and kv_num_heads", c.describe_input(i));
    if (s[2].is_known() && s[2].value() % *heads != 0) {
      c.reject("{} is not divisible by {} heads", c.describe_input(i), *heads);
    }
    return {s[0], Dim(*heads), s[1], floor_div(s[2], Dim(*heads))};
  }

  static Dim past_length(const InferContext& c, const Lengths& k, const Lengths& v) {
    if (!c.has_input(4)) return Dim(0);
    Dim length;
    for (size_t i : {4, 5}) {
      const Shape* s = c.shape(i);
      const Lengths& now = i == 4 ? k : v;
      if (!s) continue;
      if (!compatible(Type::tensor(c.dtype(i), Shape{now.batch, now.heads, Dim(), now.size}),
                      c.type(i))) {
        c.reject("{} does not go with {}", c.describe_input(i), c.describe_input(i - 3));
      }
      if (i == 5) expect_same(c, "lengths of past keys and values", length, (*s)[2]);
      length = (*s)[2];
    }
    return length;
  }

  // The last axis may be shorter, all must broadcast.
  static void check_mask(const InferContext& c, const Shape& scores) {
    const Shape* mask = c.has_input(3) ? c.shape(3) : nullptr;
    if (mask) {
      bool fits = !mask->empty() && mask->size() <= 4;
      for (size_t back = 1; fits && back <= mask->size(); ++back) {
        const Dim &m = (*mask)[mask->size() - back], &s = scores[4 - back];
        if (!m.is_known() || !s.is_known()) continue;
        fits = back == 1 ? m.value() <= s.value() : m == s || m.value() == 1;
      }
      if (!fits) c.reject("{} does not fit scores {}", c.describe_input(3), to_string(scores));
    }
    if (c.has_input(6) && !compatible(Type::tensor(DType::Int64, Shape{scores[0]}), c.type(6))) {
      c.reject("{}, expected one length for each of {}", c.describe_input(6),
               scores[0].to_string());
    }
  }

  void add_mask(const Emit& e, ValueId mask, ValueId keys, AttentionParts& parts) const {
    bool is_bool = e.b.dtype(mask) == DType::Bool;
    // Keys that the mask does not reach do not count.
    ValueId missing = e.sub(keys, e.dim(mask, -1));
    if (!is_bool) mask = e.b.cast(mask, e.b.dtype(parts.q));
    ValueId outside = is_bool ? e.b.constant(Tensor::scalar(false))
                              : e.scalar(-std::numeric_limits<double>::infinity(), mask);
    ValueId padded = e("Pad", {mask, e.concat({e.b.ints({0}), missing}), outside, e.b.ints({-1})});
    (is_bool ? parts.allowed : parts.bias) = padded;
  }

  // Which keys causality, windows and lengths let a query see; no_value if all.
  ValueId visible(const Emit& e, const DecomposeContext& d, ValueId queries, ValueId keys) const {
    ValueId result = d.has_input(6) ? within_lengths(e, d.input(6), keys) : no_value;
    if (!causal_ && left_ < 0 && right_ < 0) return result;
    ValueId ahead = key_minus_query(e, queries, keys);
    if (d.has_input(4)) {
      ahead = e.sub(ahead, e.dim(d.input(4), 2));
    } else if (d.has_input(6)) {
      ahead = e.sub(ahead, e.b.unsqueeze(e.sub(d.input(6), queries), {1, 2, 3}));
    }
    int64_t right = causal_ ? 0 : right_;
    if (right >= 0) result = both(e, result, e("LessOrEqual", {ahead, e.b.int_scalar(right)}));
    if (left_ >= 0) result = both(e, result, e("GreaterOrEqual", {ahead, e.b.int_scalar(-left_)}));
    return result;
  }

  bool causal_ = false;
  std::optional<int64_t> kv_heads_, q_heads_;
  int64_t left_ = -1, right_ = -1, mode_ = 0;
  std::optional<float> scale_;
  float softcap_ = 0;
  DType precision_ = DType::Undefined;
};

}  // namespace

void register_attention(OpRegistry& r) {
  r.add<Attention>({.name = "Attention",
                    .doc = "softmax(Q K^T scale + mask) V for each head",
                    .since = {23, 24, 25},
                    .inputs = {{"Q", "T1"},
                               {"K", "T1"},
                               {"V", "T2"},
                               {"attn_mask", "U", Param::Kind::Optional, InputRole::Setting},
                               {"past_key", "T1", Param::Kind::Optional, InputRole::State},
                               {"past_value", "T2", Param::Kind::Optional, InputRole::State},
                               {"nonpad_kv_seqlen", "tensor(int64)", Param::Kind::Optional}},
                    .outputs = {{"Y", "T1"},
                                {"present_key", "T1", Param::Kind::Optional},
                                {"present_value", "T2", Param::Kind::Optional},
                                {"qk_matmul_output", "T1", Param::Kind::Optional}},
                    .types = {{"T1", dtypes::floats},
                              {"T2", dtypes::floats},
                              {"U", dtypes::numeric | dtypes::boolean},
                              {"tensor(int64)", DType::Int64}},
                    .gradient = GradientState::Decompose,
                    .decomposes = true});
}

}  // namespace onnxrun
