// com.microsoft: MultiHeadAttention, RotaryEmbedding.
#include "emit/attention.h"

#include "emit/function_op.h"
#include "graph/cost.h"
#include "microsoft/declarations.h"

namespace onnxrun {

namespace {

class MultiHeadAttention final : public FunctionOp {
 public:
  Count operations(const CostContext& c) const override { return attention_operations(c); }

  void attributes(AttributeVisitor& v) override {
    v.visit("mask_filter_value", filter_, "added to scores of keys that are masked");
    v.required("num_heads", heads_, "heads of queries, keys and values");
    v.visit("scale", scale_, "factor of the scores; 1 / sqrt(head size) without");
    v.visit("unidirectional", causal_, "queries see keys up to their own place only");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    AttentionParts parts = operands(e, d);
    if (d.has_input(6)) {
      parts.k = e.concat({d.input(6), parts.k}, 2);
      parts.v = e.concat({d.input(7), parts.v}, 2);
    }
    parts.scale = scale_;
    if (scale_ && *scale_ == 0) parts.scale.reset();
    ValueId queries = e.dim(parts.q, 2), keys = e.dim(parts.k, 2);
    parts.bias = d.input(5);
    if (d.has_input(4)) {
      ValueId masked = padding(e, d.input(4), keys, e.b.dtype(parts.q));
      parts.bias = parts.bias == no_value ? masked : e.add(parts.bias, masked);
    }
    if (causal_) {
      ValueId ahead = e.sub(key_minus_query(e, queries, keys), e.sub(keys, queries));
      parts.allowed = e("LessOrEqual", {ahead, e.b.int_scalar(0)});
    }
    d.set(0, merge_heads(e, emit_attention(e, parts).y));
    if (d.has_output(1)) d.set(1, parts.k);
    if (d.has_output(2)) d.set(2, parts.v);
  }

 protected:
  void check(const InferContext& c) const override {
    if (heads_ < 1) c.reject("attribute 'num_heads' is {}", heads_);
    if (c.has_input(8) || c.has_input(9) || c.has_output(3)) {
      throw Error(ErrorKind::Unsupported,
                  "past_sequence_length, cache_indirection and the output qk are not here");
    }
    if (c.has_input(6) != c.has_input(7)) c.reject("past_key and past_value go together");
    require_rank(c, 0, c.has_input(1) ? 3 : 5);
    if (!c.has_input(1) && c.has_input(2)) c.reject("a value without a key");
    if (c.has_input(1) && !c.has_input(2)) require_rank(c, 1, 5);
    if (c.has_input(2) && c.shape(1) && c.shape(2) &&
        (c.rank(1) != c.rank(2) || c.rank(1) < 3 || c.rank(1) > 4)) {
      c.reject("{} and {}, expected rank 3 or 4", c.describe_input(1), c.describe_input(2));
    }
    for (size_t i : {0, 1, 2}) check_heads(c, i);
    require_rank(c, 3, 1);
    for (size_t i : {5, 6, 7}) require_rank(c, i, 4);
    if (c.has_input(4) && c.shape(4) && (c.rank(4) < 1 || c.rank(4) > 3)) {
      c.reject("{}, expected rank 1 to 3", c.describe_input(4));
    }
    check_lengths(c);
  }

 private:
  // [B, S, heads * D], [B, S, heads, parts, D] or [B, heads, S, D].
  void check_heads(const InferContext& c, size_t i) const {
    if (!c.has_input(i) || !c.shape(i)) return;
    const Shape& s = *c.shape(i);
    if (s.size() == 5) {
      require_shape(c, i, {Dim(), Dim(), Dim(heads_), Dim(i == 0 ? 3 : 2), Dim()});
    } else if (s.size() == 4) {
      require_shape(c, i, {Dim(), Dim(heads_), Dim(), Dim()});
    } else if (s[2].is_known() && s[2].value() % heads_ != 0) {
      c.reject("{} is not divisible by {} heads", c.describe_input(i), heads_);
    }
  }

  // Lengths of the mask of one length for each sequence, [B].
  void check_lengths(const InferContext& c) const {
    if (!c.has_input(4) || !c.shape(4) || c.rank(4) != 1 || !c.shape(0)) return;
    require_shape(c, 4, {c.shape(0)->front()});
  }

  AttentionParts operands(const Emit& e, const DecomposeContext& d) const {
    AttentionParts parts;
    auto piece = [&](ValueId packed, int64_t i) {  // [B, S, heads, parts, D]
      ValueId one = e.b.squeeze(e.b.slice(packed, 3, i, i + 1), {3});
      return e.b.reshape(one, e.concat({e.dims(one, 0, 2), e.product(e.dims(one, 2))}));
    };
    ValueId q = d.input(0), k = d.input(1), v = d.input(2);
    if (e.b.rank(q) == 5) {
      v = piece(q, 2);
      k = piece(q, 1);
      q = piece(q, 0);
    } else if (v == no_value) {
      v = piece(k, 1);
      k = piece(k, 0);
    }
    if (d.has_input(3)) {
      ValueId size = e.dim(q, 2), end = e.add(size, size), start = e.b.ints({0});
      auto biased = [&](ValueId x, ValueId from, ValueId to) {
        return e.b.rank(x) == 4 ? x : e.add(x, e("Slice", {d.input(3), from, to}));
      };
      q = biased(q, start, size);
      k = biased(k, size, end);
      v = biased(v, end, e.b.ints({INT64_MAX}));
    }
    auto split = [&](ValueId x) { return e.b.rank(x) == 4 ? x : split_heads(e, x, heads_); };
    parts.q = split(q);
    parts.k = split(k);
    parts.v = split(v);
    return parts;
  }

  // What is added to scores [B, heads, S, T]: by the lengths of sequences [B], or where [B, T] or
  // [B, S, T] is zero.
  ValueId padding(const Emit& e, ValueId mask, ValueId keys, DType type) const {
    ValueId counts;
    if (e.b.rank(mask) == 1) {
      counts = within_lengths(e, mask, keys);
    } else {
      ValueId there = e("Greater", {mask, e.scalar(0, mask)});
      counts = e.b.unsqueeze(
          there, e.b.rank(mask) == 2 ? std::vector<int64_t>{1, 2} : std::vector<int64_t>{1});
    }
    return e.where(counts, e.b.scalar(0, type), e.b.scalar(static_cast<double>(filter()), type));
  }
  float filter() const { return filter_.value_or(-10000.0f); }

  std::optional<float> filter_, scale_;
  int64_t heads_ = 0;
  bool causal_ = false;
};

class MicrosoftRotaryEmbedding final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("interleaved", interleaved_, "pairs are neighbours, else halves of a head");
    v.visit("is_packed_batching", packed_, "0: no batch is packed");
    v.visit("num_heads", heads_, "heads of an input of rank 3; 0: as many as the caches tell");
    v.visit("rotary_embedding_dim", rotated_, "elements of a head that are rotated; 0: all");
    v.visit("scale", scale_, "1: ONNX Runtime computes nothing else");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    bool flat = e.b.rank(d.input(0)) == 3;
    int64_t heads = heads_.value_or(0);
    Attributes a{{"interleaved", int64_t{interleaved_.value_or(0) != 0}},
                 {"rotary_embedding_dim", rotated_.value_or(0)}};
    if (flat && heads == 0) heads = heads_of(e, d);
    if (flat) a["num_heads"] = heads;
    // One position is that of the first token.
    ValueId places = d.input(1);
    if (e.b.rank(places) == 1) {
      places = e.b.unsqueeze(e.add(places, e.range(e.dim(d.input(0), flat ? 1 : 2))), {0});
      places = e("Expand", {places, e.concat({e.dim(d.input(0), 0), e.b.ints({1})})});
    }
    d.set(0, e("RotaryEmbedding", {d.input(0), d.input(2), d.input(3), places}, a));
  }

 protected:
  void check(const InferContext& c) const override {
    if (packed_.value_or(0) != 0 || scale_.value_or(1) != 1) {
      throw Error(ErrorKind::Unsupported, "packed batches and scales are not here");
    }
    if (heads_.value_or(0) < 0) c.reject("attribute 'num_heads' is {}", *heads_);
    if (rotated_.value_or(0) > 0 && heads_.value_or(0) == 0 && c.shape(0) && c.rank(0) == 3) {
      c.reject("rotary_embedding_dim needs num_heads");
    }
    if (c.shape(0) && (c.rank(0) < 3 || c.rank(0) > 4)) {
      c.reject("{}, expected rank 3 or 4", c.describe_input(0));
    }
    for (size_t i : {2, 3}) require_rank(c, i, 2);
    if (c.shape(1) && c.rank(1) == 1) require_shape(c, 1, {Dim(1)});
    if (c.shape(1) && c.rank(1) != 1) require_rank(c, 1, 2);
  }

 private:
  static int64_t heads_of(const Emit& e, const DecomposeContext& d) {
    Dim size = (*e.b.type(d.input(0)).shape)[2], half = (*e.b.type(d.input(2)).shape)[1];
    if (!size.is_known() || !half.is_known()) {
      fail(ErrorKind::Unsupported, "the number of heads is not known");
    }
    if (half.value() < 1 || half.value() > size.value() || size.value() % (2 * half.value()) != 0) {
      fail(ErrorKind::BadModel, "{} elements are no heads of twice {}", size.value(), half.value());
    }
    return size.value() / (2 * half.value());
  }

  std::optional<int64_t> interleaved_, packed_, heads_, rotated_;
  std::optional<float> scale_;
};

}  // namespace

void register_microsoft_attention(OpRegistry& r) {
  r.add<MultiHeadAttention>({.name = "MultiHeadAttention",
                             .domain = "com.microsoft",
                             .doc = "softmax(Q K^T scale + mask) V for each head",
                             .since = {1},
                             .inputs = {{"query", "T"},
                                        {"key", "T", optional},
                                        {"value", "T", optional},
                                        {"bias", "T", optional, InputRole::Bias},
                                        {"key_padding_mask", "M", optional},
                                        {"attention_bias", "T", optional},
                                        {"past_key", "T", optional},
                                        {"past_value", "T", optional},
                                        {"past_sequence_length", "M", optional},
                                        {"cache_indirection", "M", optional}},
                             .outputs = {{"output", "T"},
                                         {"present_key", "T", optional},
                                         {"present_value", "T", optional},
                                         {"qk", "QK", optional}},
                             .types = {with_own_double("T", dtypes::floats),
                                       with_own_double("QK", dtypes::floats),
                                       {"M", DType::Int32}},
                             .gradient = GradientState::Decompose,
                             .decomposes = true});
  r.add<MicrosoftRotaryEmbedding>(
      {.name = "RotaryEmbedding",
       .domain = "com.microsoft",
       .doc = "pairs of elements turned by angles that depend on the position",
       .since = {1},
       .inputs = {{"input", "T"}, {"position_ids", "M"}, {"cos_cache", "T"}, {"sin_cache", "T"}},
       .outputs = {{"output", "T"}},
       .types = {with_own_double("T", dtypes::floats), {"M", DType::Int64}},
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace onnxrun
