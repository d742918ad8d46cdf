// Cast, CastLike.
#include <algorithm>

#include "base/threads.h"
#include "graph/gradient_context.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/number_text.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

constexpr int64_t cast_grain = 32768;

// The pairs that numbers in models mostly go between, without convert()'s detour.
template <typename From, typename To>
void cast_plain(const From* in, To* out, int64_t n) {
  auto piece = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<To>(in[i]);
  };
  if (n <= cast_grain) {
    piece(0, n);
  } else {
    parallel_for(n, cast_grain, piece);
  }
}

constexpr DTypeSet plain_sources = {DType::Float32, DType::Float64, DType::Int32,
                                    DType::Int64,   DType::UInt8,   DType::Bool};

void cast_to_float(const Tensor& from, Tensor& to) {
  dispatch<float, double, int32_t, int64_t, uint8_t, bool>(from.dtype(), [&]<typename From>() {
    dispatch<float, double>(to.dtype(), [&]<typename To>() {
      cast_plain(from.data<From>(), to.data<To>(), from.size());
    });
  });
}

// Elements [begin, end) of a tensor whose elements have whole bytes or begin at one.
Tensor piece_of(const Tensor& t, int64_t begin, int64_t end) {
  std::byte* data = const_cast<std::byte*>(t.raw()) + begin * bits_of(t.dtype()) / 8;
  return Tensor::wrap(data, t.dtype(), {end - begin});
}

void cast_numbers(const Tensor& from, Tensor& to, const ConvertOptions& options) {
  if (plain_sources.contains(from.dtype()) && dtypes::f32_f64.contains(to.dtype())) {
    return cast_to_float(from, to);
  }
  if (from.size() <= cast_grain) return convert_into(from, to, options);
  parallel_for(from.size(), cast_grain, [&](int64_t begin, int64_t end) {
    Tensor piece = piece_of(to, begin, end);
    convert_into(piece_of(from, begin, end), piece, options);
  });
}

class CastOp : public Op {
 public:
  void run(RunContext& c) const override {
    const Tensor& from = c.input(0);
    Tensor& to = c.output(0);
    if (from.dtype() == to.dtype()) {
      copy_elements(from, to);
    } else if (to.dtype() == DType::String) {
      print_numbers(from, to);
    } else if (from.dtype() == DType::String) {
      parse_numbers(from, to, options_);
    } else {
      cast_numbers(from, to, options_);
    }
  }

  // Rounding has slope one where it has any.
  void gradient(GradientContext& g) const override {
    if (g.wants(0)) g.set(0, g.builder().cast(g.grad(0), g.dtype(g.input(0))));
  }

  OpTraits traits() const override { return {.noop_if_same_type = true, .elementwise = true}; }

 protected:
  void visit_options(AttributeVisitor& v) {
    v.visit("round_mode", round_mode_, "how float8e8m0 rounds: 'up', 'down' or 'nearest'");
    v.visit("saturate", options_.saturate,
            "values out of an 8-bit float's range become its largest, not infinity or NaN");
    options_.rounding = round_mode_ == "down"      ? PowerRounding::Down
                        : round_mode_ == "nearest" ? PowerRounding::Nearest
                                                   : PowerRounding::Up;
  }

  void infer_to(InferContext& c, DType to) const {
    if (round_mode_ != "up" && round_mode_ != "down" && round_mode_ != "nearest") {
      c.reject("round_mode is '{}', expected 'up', 'down' or 'nearest'", round_mode_);
    }
    c.set_output(0, to, c.type(0).shape);
    auto content = c.content(0);
    if (!content || !dtypes::index.contains(to) || c.rank(0) < 0 || c.rank(0) > 1) return;
    bool fits =
        to == DType::Int64 || std::all_of(content->begin(), content->end(), [](const Dim& d) {
          return !d.is_known() || d.value() == static_cast<int32_t>(d.value());
        });
    if (fits) c.set_content(0, std::move(*content));
  }

 private:
  std::string round_mode_ = "up";
  ConvertOptions options_;
};

// Before opset 28 without the 6-bit floats, and CastLike has not got them yet.
constexpr DTypeSet castable_like = dtypes::all - dtypes::complexes;
constexpr DTypeSet castable = castable_like | dtypes::float6s;

class Cast final : public CastOp {
 public:
  void attributes(AttributeVisitor& v) override {
    visit_options(v);
    v.required("to", to_, "the element type of the output");
  }

  void infer(InferContext& c) const override {
    if (!castable.contains(to_)) {
      c.reject("'to' is {}, expected one of {}", to_string(to_), to_string(castable));
    }
    infer_to(c, to_);
  }

 private:
  DType to_ = DType::Undefined;
};

class CastLike final : public CastOp {
 public:
  void attributes(AttributeVisitor& v) override { visit_options(v); }
  void infer(InferContext& c) const override { infer_to(c, c.dtype(1)); }
};

// Before opset 6 the type is given by name.
void upgrade_cast(UpgradeContext& u) {
  if (u.opset() >= 6) return;
  std::string name = u.take<std::string>("to").value_or("");
  std::string lower = name;
  std::transform(name.begin(), name.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  DType to = dtype_from_name(lower);
  if (to == DType::Undefined) fail(ErrorKind::BadModel, "'{}' is no element type", name);
  u.attributes()["to"] = static_cast<int64_t>(to);
}

}  // namespace

void register_cast(OpRegistry& r) {
  r.add<Cast>({.name = "Cast",
               .doc = "the elements converted to another type",
               .since = {1, 6, 9, 13, 19, 21, 23, 24, 25, 28},
               .inputs = {{"input", "T1"}},
               .outputs = {{"output", "T2"}},
               .types = {{"T1", castable}, {"T2", castable}},
               .kind = OpKind::Move,
               .upgrade = upgrade_cast});
  r.add<CastLike>({.name = "CastLike",
                   .doc = "the elements converted to the type of another tensor",
                   .since = {15, 19, 21, 23, 24, 25},
                   .inputs = {{"input", "T1"}, {"target_type", "T2", InputRole::Setting}},
                   .outputs = {{"output", "T2"}},
                   .types = {{"T1", castable_like}, {"T2", castable_like}},
                   .kind = OpKind::Move});
}

}  // namespace onnxrun
