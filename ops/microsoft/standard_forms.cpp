// com.microsoft: CDist, ExpandDims, GridSample, Pad, Range, Trilu, Unique: what the standard has,
// too.
#include "emit/function_op.h"
#include "microsoft/declarations.h"

namespace onnxrun {

namespace {

// Distances between the rows of two matrices: a^2 + b^2 - 2 a b, which rounding may take below 0.
class CDist final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("metric", metric_, "sqeuclidean, or euclidean: its root");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId a = d.input(0), b = d.input(1);
    auto squares = [&](ValueId x) { return e.reduce("ReduceSumSquare", x, {1}, true); };
    ValueId product = e("onnxrun.MatMulT", {a, b}, {{"transB", int64_t{1}}});
    ValueId sum = e.add(squares(a), e.b.transpose(squares(b), {1, 0}));
    ValueId y = e("Relu", {e.sub(sum, e.add(product, product))});
    if (metric_ == "euclidean") {
      // No gradient where two rows are the same.
      ValueId apart = e("Greater", {y, e.scalar(0, y)});
      ValueId root = e("Sqrt", {e.where(apart, y, e.scalar(1, y))});
      y = e.where(apart, root, e.scalar(0, y));
    }
    d.set(0, y);
  }

 protected:
  void check(const InferContext& c) const override {
    if (metric_ != "sqeuclidean" && metric_ != "euclidean") {
      c.reject("attribute 'metric' is '{}', expected sqeuclidean or euclidean", metric_);
    }
    require_rank(c, 0, 2);
    require_rank(c, 1, 2);
    if (c.shape(0)) require_shape(c, 1, {Dim(), (*c.shape(0))[1]});
  }

 private:
  std::string metric_ = "sqeuclidean";
};

class ExpandDims final : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId axis = e.b.reshape(e.b.cast(d.input(1), DType::Int64), e.b.ints({1}));
    d.set(0, e("Unsqueeze", {d.input(0), axis}));
  }

 protected:
  void check(const InferContext& c) const override {
    require_single(c, 1);
    auto axis = c.ints(1);
    if (!axis || !c.shape(0)) return;
    const int64_t most = c.rank(0);
    if ((*axis)[0] > most || (*axis)[0] < -most - 1) {
      c.reject("axis {} of {}", (*axis)[0], c.describe_input(0));
    }
  }
};

class MicrosoftPad final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("mode", mode_, "constant, reflect or edge");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId pads = e.b.reshape(d.input(1), e.b.ints({-1}));
    ValueId value = d.has_input(2) ? e.b.reshape(d.input(2), e.b.ints({})) : no_value;
    d.set(0, e("Pad", {d.input(0), pads, value}, {{"mode", mode_}}));
  }

 protected:
  void check(const InferContext& c) const override {
    if (mode_ != "constant" && mode_ != "reflect" && mode_ != "edge") {
      c.reject("attribute 'mode' is '{}', expected constant, reflect or edge", mode_);
    }
    if (c.shape(1) && c.rank(1) != 1) require_shape(c, 1, {Dim(1), Dim()});
    require_single(c, 2);
  }

 private:
  std::string mode_ = "constant";
};

class MicrosoftRange final : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    auto scalar = [&](ValueId v) { return e.b.reshape(v, e.b.ints({})); };
    ValueId step = d.has_input(2) ? scalar(d.input(2)) : e.scalar(1, d.input(0));
    d.set(0, e("Range", {scalar(d.input(0)), scalar(d.input(1)), step}));
  }

 protected:
  void check(const InferContext& c) const override {
    for (size_t i = 0; i < 3; ++i) require_single(c, i);
  }
};

class MicrosoftTrilu final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("upper", upper_, "1 keeps the upper triangle, 0 the lower one");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId k = d.has_input(1) ? e.b.reshape(d.input(1), e.b.ints({})) : no_value;
    d.set(0, e("Trilu", {d.input(0), k}, {{"upper", int64_t{upper_}}}));
  }

 protected:
  void check(const InferContext& c) const override { require_single(c, 1); }

 private:
  bool upper_ = true;
};

// In the order of their first places.
class MicrosoftUnique final : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    std::vector<ValueId> found =
        d.builder().add_n("Unique", {d.input(0)}, 4, {.attributes = {{"sorted", int64_t{0}}}});
    const size_t from[] = {0, 2, 3};
    for (size_t i = 0; i < 3; ++i) {
      if (d.has_output(i)) d.set(i, found[from[i]]);
    }
  }

 protected:
  void check(const InferContext& c) const override { require_rank(c, 0, 1); }
  DType output_type(const InferContext& c, size_t i) const override {
    return i == 0 ? c.dtype(0) : DType::Int64;
  }
};

class MicrosoftGridSample final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("align_corners", align_, "1: the corners of the grid are the centres of pixels");
    v.visit("mode", mode_, "bilinear, nearest or bicubic");
    v.visit("padding_mode", padding_, "zeros, border or reflection");
  }

  void decompose(DecomposeContext& d) const override {
    std::string mode = mode_ == "bilinear" ? "linear" : mode_ == "bicubic" ? "cubic" : mode_;
    d.set(0,
          d.add("GridSample", {d.input(0), d.input(1)},
                {{"align_corners", int64_t{align_}}, {"mode", mode}, {"padding_mode", padding_}}));
  }

 protected:
  void check(const InferContext& c) const override {
    if (mode_ != "bilinear" && mode_ != "nearest" && mode_ != "bicubic") {
      c.reject("attribute 'mode' is '{}', expected bilinear, nearest or bicubic", mode_);
    }
    require_rank(c, 0, 4);
    require_rank(c, 1, 4);
    if (!dtypes::floats.contains(c.dtype(0))) {
      fail(ErrorKind::Unsupported, "{}: its samples would be rounded", c.describe_input(0));
    }
  }

 private:
  bool align_ = false;
  std::string mode_ = "bilinear", padding_ = "zeros";
};

OpSpec form(std::string_view name, std::string_view doc, DTypeSet types) {
  return {.name = name,
          .domain = "com.microsoft",
          .doc = doc,
          .since = {1},
          .inputs = {{"X", "T"}},
          .outputs = {{"Y", "T"}},
          .types = {{"T", types}},
          .gradient = GradientState::Decompose,
          .decomposes = true};
}

constexpr DTypeSet half_to_double = dtypes::f32_f64 | DTypeSet(DType::Float16);
constexpr DTypeSet all = dtypes::basic - DTypeSet(DType::BFloat16);

}  // namespace

void register_microsoft_standard_forms(OpRegistry& r) {
  const TypeConstraint longs{"tensor(int64)", DType::Int64};
  OpSpec distance = form("CDist", "distances between the rows of two matrices", dtypes::f32_f64);
  distance.inputs = {{"A", "T"}, {"B", "T"}};
  distance.outputs = {{"C", "T"}};
  r.add<CDist>(std::move(distance));
  OpSpec expand = form("ExpandDims", "one more axis of length 1", all);
  expand.inputs.emplace_back("axis", "tensor(int32)", InputRole::Setting);
  expand.types.push_back({"tensor(int32)", DType::Int32});
  expand.kind = OpKind::Move;
  r.add<ExpandDims>(std::move(expand));
  OpSpec pad = form("Pad", "elements around a tensor", half_to_double);
  pad.inputs = {{"data", "T"},
                {"pads", "tensor(int64)", InputRole::Setting},
                {"value", "T", optional, InputRole::Setting}};
  pad.outputs = {{"output", "T"}};
  pad.types.push_back(longs);
  pad.kind = OpKind::Move;
  r.add<MicrosoftPad>(std::move(pad));
  OpSpec range = form("Range", "numbers at equal distances",
                      dtypes::f32_f64 | dtypes::index | DTypeSet(DType::Int16));
  range.inputs = {{"start", "T"}, {"limit", "T"}, {"delta", "T", optional}};
  range.gradient = GradientState::NotDifferentiable;
  r.add<MicrosoftRange>(std::move(range));
  OpSpec triangle =
      form("Trilu", "the upper or lower triangle of matrices", dtypes::numeric | dtypes::boolean);
  triangle.inputs.emplace_back("k", "tensor(int64)", optional, InputRole::Setting);
  triangle.types.push_back(longs);
  r.add<MicrosoftTrilu>(std::move(triangle));
  OpSpec unique = form("Unique", "each element once", all);
  unique.inputs = {{"x", "T"}};
  unique.outputs = {{"y", "T"}, {"idx", "tensor(int64)"}, {"counts", "tensor(int64)"}};
  unique.types.push_back(longs);
  unique.gradient = GradientState::NotDifferentiable;
  r.add<MicrosoftUnique>(std::move(unique));
  OpSpec grid = form("GridSample", "pixels at the places of a grid", all);
  grid.inputs = {{"X", "T1"}, {"Grid", "T1"}};
  grid.outputs = {{"Y", "T2"}};
  grid.types = {{"T1", all}, {"T2", half_to_double}};
  r.add<MicrosoftGridSample>(std::move(grid));
}

}  // namespace onnxrun
