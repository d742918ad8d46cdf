// com.microsoft: SkipLayerNormalization, SkipSimplifiedLayerNormalization, EmbedLayerNormalization;
// and SimplifiedLayerNormalization, which ONNX Runtime keeps in the standard's own domain.
#include "emit/function_op.h"
#include "microsoft/declarations.h"

namespace onnxrun {

namespace {

// 1 / sqrt(mean(x x) + epsilon) over the axes from `axis` on.
ValueId inverse_root(const Emit& e, ValueId x, int64_t axis, float epsilon) {
  int64_t rank = e.b.rank(x);
  if (rank < 0) fail(ErrorKind::Unsupported, "the rank of the input is not known");
  std::vector<int64_t> axes;
  for (int64_t i = normalize_axis(axis, rank); i < rank; ++i) axes.push_back(i);
  ValueId square = e.reduce("ReduceMean", e.mul(x, x), axes, true);
  return e("Reciprocal",
           {e("Sqrt", {e.add(square, e.scalar(static_cast<double>(epsilon), square))})});
}

ValueId at_least_float(const Emit& e, ValueId x) {
  return e.b.dtype(x) == DType::Float64 ? x : e.b.cast(x, DType::Float32);
}

class SimplifiedLayerNormalization final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "first of the axes that are normalised together");
    v.visit("epsilon", epsilon_, "added to the mean square");
    v.visit("stash_type", stash_, "type of the computation");
  }
  bool types_an_output(std::string_view, const Node&) const override { return false; }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    d.set(0, e("RMSNormalization", {d.input(0), d.input(1)},
               {{"axis", axis_}, {"epsilon", epsilon_}}));
    if (!d.has_output(1)) return;
    d.set(1, inverse_root(e, at_least_float(e, d.input(0)), axis_, epsilon_));
  }

 protected:
  void check(const InferContext& c) const override {
    if (stash_ != DType::Float32) {
      c.reject("attribute 'stash_type' is {}, expected float", to_string(stash_));
    }
    if (c.shape(0) && (axis_ < -c.rank(0) || axis_ >= c.rank(0))) {
      c.reject("attribute 'axis' is {}, but {}", axis_, c.describe_input(0));
    }
  }

  DType output_type(const InferContext& c, size_t i) const override {
    if (i == 0) return c.dtype(1);
    return c.dtype(0) == DType::Float64 ? DType::Float64 : DType::Float32;
  }

 private:
  int64_t axis_ = -1;
  DType stash_ = DType::Float32;
  float epsilon_ = 1e-5f;
};

// The sum of input, skip and bias, normalised. kLayer: with mean and beta.
template <bool kLayer>
class SkipNormalization final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("epsilon", epsilon_, "added to the variance, or the mean square");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    constexpr size_t bias = kLayer ? 4 : 3;
    ValueId x = e.add(d.input(0), d.input(1));
    if (d.has_input(bias)) x = e.add(x, d.input(bias));
    Attributes attributes{{"axis", int64_t{-1}}, {"epsilon", epsilon_}};
    if constexpr (kLayer) {
      d.set(0, e("LayerNormalization", {x, d.input(2), d.input(3)}, attributes));
    } else {
      d.set(0, e("RMSNormalization", {x, d.input(2)}, attributes));
    }
    if (d.has_output(3)) d.set(3, x);
    if (!d.has_output(1) && !d.has_output(2)) return;
    ValueId wide = at_least_float(e, x);
    ValueId mean = e.reduce("ReduceMean", wide, {-1}, true);
    if (d.has_output(1)) d.set(1, e.b.cast(mean, DType::Float32));
    ValueId rest = kLayer ? e.sub(wide, mean) : wide;
    if (d.has_output(2)) {
      d.set(2, e.b.cast(inverse_root(e, rest, -1, epsilon_), DType::Float32));
    }
  }

 protected:
  void check(const InferContext& c) const override {
    if (!c.shape(0)) return;
    const Shape& x = *c.shape(0);
    if (x.size() < 2 || x.size() > 3) c.reject("{}, expected rank 2 or 3", c.describe_input(0));
    for (size_t i = 2; i < c.num_inputs(); ++i) require_shape(c, i, {x.back()});
    if (!c.shape(1)) return;
    Shape skip = x;
    if (c.rank(1) < c.rank(0)) skip.erase(skip.begin());
    if (c.rank(1) == 3 && c.shape(1)->front() == Dim(1)) skip.front() = Dim(1);
    require_shape(c, 1, skip);
  }

  DType output_type(const InferContext& c, size_t i) const override {
    return i == 1 || i == 2 ? DType::Float32 : c.dtype(0);
  }

 private:
  float epsilon_ = 1e-12f;
};

class EmbedLayerNormalization final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("epsilon", epsilon_, "added to the variance");
    v.visit("mask_index_type", mask_type_, "0: no mask_index is wanted");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId ids = d.input(0);
    ValueId x = e("Gather", {d.input(2), ids});
    ValueId places = d.has_input(8) ? d.input(8) : e.b.unsqueeze(e.range(e.dim(ids, 1)), {0});
    x = e.add(x, e("Gather", {d.input(3), places}));
    if (d.has_input(1)) x = e.add(x, e("Gather", {d.input(4), d.input(1)}));
    d.set(0, e("LayerNormalization", {x, d.input(5), d.input(6)},
               {{"axis", int64_t{-1}}, {"epsilon", epsilon_}}));
    if (d.has_output(2)) d.set(2, x);
    if (!d.has_output(1)) return;
    // How many tokens count; zeros without a mask.
    ValueId counts =
        e.b.cast(e.equal(d.has_input(7) ? d.input(7) : ids, e.scalar(1, ids)), DType::Int32);
    if (!d.has_input(7)) counts = e.mul(counts, e.scalar(0, counts));
    d.set(1, e.reduce("ReduceSum", counts, {1}, false));
  }

 protected:
  void check(const InferContext& c) const override {
    for (size_t i : {0, 1, 2, 3, 4, 7, 8}) require_rank(c, i, 2);
    if (c.has_input(1) != c.has_input(4)) {
      c.reject("segment_ids and segment_embedding go together");
    }
    if (!c.shape(0) || !c.shape(2)) return;
    Shape ids = *c.shape(0), table = {Dim(), c.shape(2)->back()};
    for (size_t i : {1, 7}) require_shape(c, i, ids);
    for (size_t i : {3, 4}) require_shape(c, i, table);
    for (size_t i : {5, 6}) require_shape(c, i, {table.back()});
    if (c.has_input(8) && c.shape(8) && c.shape(8)->front() == Dim(1)) ids.front() = Dim(1);
    require_shape(c, 8, ids);
  }

  DType output_type(const InferContext& c, size_t i) const override {
    return i == 1 ? DType::Int32 : c.dtype(2);
  }

 private:
  float epsilon_ = 1e-12f;
  std::optional<int64_t> mask_type_;
};

}  // namespace

void register_microsoft_skip_normalization(OpRegistry& r) {
  std::vector<Param> outputs = {{"output", "T"},
                                {"mean", "U", optional},
                                {"inv_std_var", "U", optional},
                                {"input_skip_bias_sum", "T", optional}};
  r.add<SkipNormalization<true>>(
      {.name = "SkipLayerNormalization",
       .domain = "com.microsoft",
       .doc = "LayerNormalization of input + skip + bias",
       .since = {1},
       .inputs = {{"input", "T"},
                  {"skip", "T"},
                  {"gamma", "T", InputRole::Scale},
                  {"beta", "T", optional, InputRole::Bias},
                  {"bias", "T", optional, InputRole::Bias}},
       .outputs = outputs,
       .types = {with_own_double("T", dtypes::floats), {"U", DType::Float32}},
       .kind = OpKind::Normalization,
       .gradient = GradientState::Decompose,
       .decomposes = true});
  r.add<SkipNormalization<false>>(
      {.name = "SkipSimplifiedLayerNormalization",
       .domain = "com.microsoft",
       .doc = "RMSNormalization of input + skip + bias",
       .since = {1},
       .inputs = {{"input", "T"},
                  {"skip", "T"},
                  {"gamma", "T", InputRole::Scale},
                  {"bias", "T", optional, InputRole::Bias}},
       .outputs = outputs,
       .types = {with_own_double("T", dtypes::floats), {"U", DType::Float32}},
       .kind = OpKind::Normalization,
       .gradient = GradientState::Decompose,
       .decomposes = true});
  r.add<SimplifiedLayerNormalization>(
      {.name = "SimplifiedLayerNormalization",
       .doc = "RMSNormalization, as ONNX Runtime's optimizer writes it",
       .since = {1},
       .inputs = {{"X", "T"}, {"scale", "V", InputRole::Scale}},
       .outputs = {{"Y", "V"}, {"inv_std_var", "U", optional}},
       .types = {{"T", dtypes::floats}, {"U", dtypes::f32_f64}, {"V", dtypes::floats}},
       .kind = OpKind::Normalization,
       .gradient = GradientState::Decompose,
       .decomposes = true});
  r.add<EmbedLayerNormalization>(
      {.name = "EmbedLayerNormalization",
       .domain = "com.microsoft",
       .doc = "LayerNormalization of the sum of word, position and segment embeddings",
       .since = {1},
       .inputs = {{"input_ids", "T1"},
                  {"segment_ids", "T1", optional},
                  {"word_embedding", "T", InputRole::Table},
                  {"position_embedding", "T", InputRole::Table},
                  {"segment_embedding", "T", optional, InputRole::Table},
                  {"gamma", "T", InputRole::Scale},
                  {"beta", "T", InputRole::Bias},
                  {"mask", "T1", optional},
                  {"position_ids", "T1", optional}},
       .outputs = {{"output", "T"},
                   {"mask_index", "T1", optional},
                   {"embedding_sum", "T", optional}},
       .types = {{"T1", DType::Int32},
                 with_own_double("T", dtypes::floats - DTypeSet(DType::BFloat16))},
       .kind = OpKind::Normalization,
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace onnxrun
