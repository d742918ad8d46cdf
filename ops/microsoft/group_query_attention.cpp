// com.microsoft: GroupQueryAttention.
#include "emit/attention.h"
#include "emit/function_op.h"
#include "microsoft/declarations.h"

namespace onnxrun {

namespace {

// Causal attention whose keys and values are written into a cache. A sequence b has
// seqlens_k[b] + 1 keys with its new ones; in a first prompt (as many queries as keys in all) they
// start at 0, and what is behind their number is padding.
class GroupQueryAttention final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("causal", causal_, "1: queries see keys up to their own place only");
    v.visit("do_rotary", rotary_, "1: queries and keys are turned by the caches");
    v.visit("k_norm_epsilon", k_epsilon_, "not used");
    v.visit("k_quant_type", k_quantized_, "NONE: keys are stored as they are");
    v.visit("kv_cache_bit_width", bits_, "not used");
    v.required("kv_num_heads", groups_, "heads of keys and values");
    v.visit("local_window_size", window_, "how many keys before its place a query sees; -1: all");
    v.required("num_heads", heads_, "heads of queries");
    v.visit("q_norm_epsilon", q_epsilon_, "not used");
    v.visit("qk_norm_epsilon", epsilon_, "not used");
    v.visit("qk_output", qk_, "0: no output of scores");
    v.visit("rotary_interleaved", interleaved_, "pairs are neighbours, else halves of a head");
    v.visit("scale", scale_, "factor of the scores; 1 / sqrt(head size) without");
    v.visit("sliding_window_cache", sliding_, "0: the cache holds all keys");
    v.visit("smooth_softmax", smooth_, "1: weights sum up to less than one");
    v.visit("softcap", softcap_, "scores become softcap tanh(score / softcap)");
    v.visit("v_quant_type", v_quantized_, "NONE: values are stored as they are");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    AttentionParts parts = operands(e, d);
    ValueId queries = e.dim(parts.q, 2);
    ValueId total = e.b.cast(e.b.reshape(d.input(6), e.b.ints({1})), DType::Int64);
    ValueId counts = e.b.cast(e.b.reshape(d.input(5), e.b.ints({-1})), DType::Int64);
    ValueId later = e.sub(e.add(counts, e.b.ints({1})), queries);
    ValueId starts = e.where(e.equal(queries, total), e.sub(later, later), later);
    ValueId places = e.add(e.b.unsqueeze(starts, {1}), e.range(queries));  // [B, S]
    if (rotary_.value_or(0) != 0) turn(e, d, places, parts);
    if (d.has_input(3)) {
      parts.k = stored(e, d.input(3), parts.k, starts, total);
      parts.v = stored(e, d.input(4), parts.v, starts, total);
    }
    if (d.has_output(1)) d.set(1, parts.k);
    if (d.has_output(2)) d.set(2, parts.v);
    if (d.has_input(3)) {
      parts.k = e("Slice", {parts.k, e.b.ints({0}), total, e.b.ints({2})});
      parts.v = e("Slice", {parts.v, e.b.ints({0}), total, e.b.ints({2})});
    }
    ValueId ahead = e.sub(e.range(e.dim(parts.k, 2)), e.b.unsqueeze(places, {1, 3}));
    parts.allowed = e("LessOrEqual", {ahead, e.b.int_scalar(0)});
    if (window_ > 0) {
      parts.allowed = both(e, parts.allowed, e("Greater", {ahead, e.b.int_scalar(-window_)}));
    }
    if (scale_.value_or(0) != 0) parts.scale = scale_;
    parts.softcap = softcap_.value_or(0);
    parts.bias = d.input(10);
    d.set(0, merge_heads(e, emit_attention(e, parts).y));
  }

 protected:
  void check(const InferContext& c) const override {
    constexpr int64_t most = int64_t{1} << 31;
    if (groups_ < 1 || heads_ < 1 || heads_ > most || heads_ % groups_ != 0) {
      c.reject("{} heads of queries for {} of keys", heads_, groups_);
    }
    if (window_ < -1) c.reject("attribute 'local_window_size' is {}", window_);
    if (!(softcap_.value_or(0) >= 0)) c.reject("attribute 'softcap' is {}", *softcap_);
    refuse(c);
    if (c.has_input(1) != c.has_input(2)) c.reject("key and value go together");
    if (c.has_input(3) != c.has_input(4)) c.reject("past_key and past_value go together");
    const Dim batch = c.shape(0) && !c.shape(0)->empty() ? c.shape(0)->front() : Dim();
    const Dim rows = c.shape(0) && c.rank(0) == 3 ? (*c.shape(0))[1] : Dim();
    require_rank(c, 0, 3);
    require_heads(c, 0, c.has_input(1) ? heads_ : heads_ + 2 * groups_);
    for (size_t i : {1, 2}) {
      require_shape(c, i, {batch, rows, Dim()});
      require_heads(c, i, groups_);
    }
    for (size_t i : {3, 4}) require_shape(c, i, {batch, Dim(groups_), Dim(), Dim()});
    require_single(c, 6);
    if (rotary_.value_or(0) != 0 && !(c.has_input(7) && c.has_input(8))) {
      c.reject("do_rotary needs cos_cache and sin_cache");
    }
    for (size_t i : {7, 8}) require_rank(c, i, 2);
    require_shape(c, 9, {batch, rows});
    require_rank(c, 10, 4);
    if (c.shape(5)) {
      Dim count = element_count(*c.shape(5));
      if (count.is_known() && batch.is_known() && count != batch) {
        c.reject("{} for {} sequences", c.describe_input(5), batch.to_string());
      }
    }
  }

 private:
  void refuse(const InferContext& c) const {
    bool plain = k_quantized_ == "NONE" && v_quantized_ == "NONE" && bits_.value_or(0) == 0;
    for (size_t i : {3, 4}) plain = plain && (!c.has_input(i) || c.dtype(i) == c.dtype(0));
    for (size_t i : {12, 13}) plain = plain && !c.has_input(i);
    if (!plain) fail(ErrorKind::Unsupported, "a cache that is quantized");
    if (!causal_) fail(ErrorKind::Unsupported, "attribute 'causal' is 0");
    if (smooth_ == 1 || c.has_input(11)) fail(ErrorKind::Unsupported, "a smooth softmax");
    if (qk_ != 0 || c.has_output(3)) fail(ErrorKind::Unsupported, "the output of scores");
    if (sliding_ != 0) fail(ErrorKind::Unsupported, "a cache that slides");
    for (size_t i : {14, 15, 16}) {
      if (c.has_input(i)) fail(ErrorKind::Unsupported, "input {}", i);
    }
  }

  static void require_heads(const InferContext& c, size_t i, int64_t heads) {
    if (!c.has_input(i) || !c.shape(i)) return;
    const Dim& size = c.shape(i)->back();
    if (size.is_known() && size.value() % heads != 0) {
      c.reject("{} is not divisible by {} heads", c.describe_input(i), heads);
    }
  }

  AttentionParts operands(const Emit& e, const DecomposeContext& d) const {
    AttentionParts parts;
    ValueId q = d.input(0), k = d.input(1), v = d.input(2);
    if (!d.has_input(1)) {
      ValueId size = e.div(e.dim(q, 2), e.b.ints({heads_ + 2 * groups_})), axis = e.b.ints({2});
      ValueId first = e.mul(size, e.b.ints({heads_}));
      ValueId second = e.mul(size, e.b.ints({heads_ + groups_}));
      k = e("Slice", {q, first, second, axis});
      v = e("Slice", {q, second, e.b.ints({INT64_MAX}), axis});
      q = e("Slice", {q, e.b.ints({0}), first, axis});
    }
    parts.q = split_heads(e, q, heads_);
    parts.k = split_heads(e, k, groups_);
    parts.v = split_heads(e, v, groups_);
    return parts;
  }

  void turn(const Emit& e, const DecomposeContext& d, ValueId places, AttentionParts& parts) const {
    ValueId cosines = d.input(7), sines = d.input(8);
    if (d.has_input(9)) places = d.input(9);
    const Dim half = (*e.b.type(cosines).shape)[1], size = (*e.b.type(parts.q).shape)[3];
    if (!half.is_known()) fail(ErrorKind::Unsupported, "a cos_cache of unknown width");
    bool whole = size.is_known() && size.value() == 2 * half.value();
    Attributes a{{"interleaved", int64_t{interleaved_.value_or(0) != 0}},
                 {"rotary_embedding_dim", whole ? int64_t{0} : 2 * half.value()}};
    parts.q = e("RotaryEmbedding", {parts.q, cosines, sines, places}, a);
    parts.k = e("RotaryEmbedding", {parts.k, cosines, sines, places}, a);
  }

  // The cache with the new rows at their places, as long as it must be.
  static ValueId stored(const Emit& e, ValueId past, ValueId rows, ValueId starts, ValueId total) {
    ValueId length = e.dim(past, 2);
    ValueId more = e.sub(e("Max", {length, total}), length);
    ValueId padded = e("Pad", {past, e.concat({e.b.ints({0}), more}), no_value, e.b.ints({2})});
    return e("TensorScatter", {padded, rows, starts}, {{"axis", int64_t{2}}});
  }

  bool causal_ = true;
  std::optional<int64_t> rotary_, bits_, interleaved_;
  std::optional<float> k_epsilon_, q_epsilon_, scale_, softcap_;
  std::string k_quantized_ = "NONE", v_quantized_ = "NONE";
  int64_t groups_ = 0, window_ = -1, heads_ = 0, qk_ = 0, sliding_ = 0, smooth_ = -1;
  float epsilon_ = 1e-6f;
};

}  // namespace

void register_microsoft_group_query_attention(OpRegistry& r) {
  constexpr DTypeSet cache =
      dtypes::floats | DTypeSet{DType::Float8E4M3FN, DType::Int8, DType::UInt8};
  r.add<GroupQueryAttention>({.name = "GroupQueryAttention",
                              .domain = "com.microsoft",
                              .doc = "causal attention with a cache, heads of keys shared",
                              .since = {1},
                              .inputs = {{"query", "T"},
                                         {"key", "T", optional},
                                         {"value", "T", optional},
                                         {"past_key", "T_CACHE", optional, InputRole::State},
                                         {"past_value", "T_CACHE", optional, InputRole::State},
                                         {"seqlens_k", "M"},
                                         {"total_sequence_length", "M"},
                                         {"cos_cache", "T", optional, InputRole::Setting},
                                         {"sin_cache", "T", optional, InputRole::Setting},
                                         {"position_ids", "tensor(int64)", optional},
                                         {"attention_bias", "T", optional},
                                         {"head_sink", "T", optional},
                                         {"k_scale", "T_KV_SCALE", optional},
                                         {"v_scale", "T_KV_SCALE", optional},
                                         {"q_norm_weight", "T", optional, InputRole::Scale},
                                         {"k_norm_weight", "T", optional, InputRole::Scale},
                                         {"query_seqlens", "M", optional}},
                              .outputs = {{"output", "T"},
                                          {"present_key", "T_CACHE", optional},
                                          {"present_value", "T_CACHE", optional},
                                          {"output_qk", "T", optional}},
                              .types = {with_own_double("T", dtypes::floats),
                                        with_own_double("T_CACHE", cache),
                                        {"T_KV_SCALE", DType::Float32},
                                        {"M", DType::Int32},
                                        {"tensor(int64)", DType::Int64}},
                              .gradient = GradientState::Decompose,
                              .decomposes = true});
}

}  // namespace onnxrun
