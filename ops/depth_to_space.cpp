// DepthToSpace, SpaceToDepth: blocks of pixels and channels trade places.
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/quantized_form.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/data_movement.h"

namespace onnxrun {

namespace {

// Both operators split axes of the input, permute the parts, and merge them again. With block b, as
// sizes of six axes of the input, and the order in which the output has them.
struct Rearrangement {
  std::array<Dim, 6> parts;
  std::array<size_t, 6> order;
};

class BlockOp : public Op {
 public:
  void infer(InferContext& c) const override {
    if (blocksize_ < 1 || blocksize_ > INT32_MAX) c.reject("blocksize is {}", blocksize_);
    if (mode_ != "DCR" && mode_ != "CRD") c.reject("mode is '{}', expected 'DCR' or 'CRD'", mode_);
    if (!c.shape(0)) return c.set_output(0, c.dtype(0), Shape(4));
    if (c.rank(0) != 4) c.reject("{}, expected [N,C,H,W]", c.describe_input(0));
    check(c, *c.shape(0));
    c.set_output(0, c.dtype(0), out_shape(*c.shape(0)));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<State>();
    Rearrangement r = rearrangement(to_shape(c.input(0).dims()));
    Dims in_parts = to_dims(Shape(r.parts.begin(), r.parts.end())), out_parts;
    std::vector<int64_t> dense = dense_strides(in_parts), strides;
    for (size_t part : r.order) {
      out_parts.push_back(in_parts[part]);
      strides.push_back(dense[part]);
    }
    state->copy = StridedCopy(out_parts, strides, dense_strides(out_parts));
    return state;
  }

  void run(RunContext& c) const override {
    const StridedCopy& copy = c.state<State>().copy;
    move_elements(c.input(0), c.output(0), [&](const auto* in, auto* out) { copy.run(in, out); });
  }

  void attributes(AttributeVisitor& v) override {
    v.required("blocksize", blocksize_, "pixels along a block's side");
    v.visit("mode", mode_,
            "'DCR': a channel's index begins with its place in the block, 'CRD': it ends with it");
  }

 protected:
  virtual void check(const InferContext& c, const Shape& in) const = 0;
  virtual Shape out_shape(const Shape& in) const = 0;
  virtual Rearrangement rearrangement(const Shape& in) const = 0;

  void check_divides(const InferContext& c, const Dim& length, int64_t divisor) const {
    if (length.is_known() && length.value() % divisor != 0) {
      c.reject("blocksize {} does not divide {}", blocksize_, c.describe_input(0));
    }
  }

  int64_t blocksize_ = 0;
  std::string mode_ = "DCR";

 private:
  struct State final : KernelState {
    StridedCopy copy;
  };
};

class DepthToSpace final : public BlockOp, public WorksOnLevels {
 public:
  // Undone by SpaceToDepth, which knows mode CRD only from opset 28 on: channels are put in that
  // order behind it.
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    GraphBuilder& b = g.builder();
    ValueId dx = g.add("SpaceToDepth", {g.grad(0)}, {{"blocksize", blocksize_}});
    if (mode_ == "CRD") {
      ValueId split =
          b.add("Reshape",
                {dx, b.add("Concat",
                           {b.slice(b.shape_of(dx), 0, 0, 1), b.ints({blocksize_ * blocksize_, -1}),
                            b.slice(b.shape_of(dx), 0, 2, 4)},
                           {{"axis", int64_t{0}}})});
      dx = b.reshape(b.transpose(split, {0, 2, 1, 3, 4}), b.shape_of(dx));
    }
    g.set(0, dx);
  }

 private:
  void check(const InferContext& c, const Shape& in) const override {
    check_divides(c, in[1], blocksize_ * blocksize_);
  }
  Shape out_shape(const Shape& in) const override {
    Dim b(blocksize_);
    return {in[0], floor_div(in[1], b * b), in[2] * b, in[3] * b};
  }
  Rearrangement rearrangement(const Shape& in) const override {
    Dim b(blocksize_), channels = floor_div(in[1], b * b);
    if (mode_ == "DCR") return {{in[0], b, b, channels, in[2], in[3]}, {0, 3, 4, 1, 5, 2}};
    return {{in[0], channels, b, b, in[2], in[3]}, {0, 1, 4, 2, 5, 3}};
  }
};

class SpaceToDepth final : public BlockOp {
 public:
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    g.set(0, g.add("DepthToSpace", {g.grad(0)}, {{"blocksize", blocksize_}, {"mode", mode_}}));
  }

 private:
  void check(const InferContext& c, const Shape& in) const override {
    check_divides(c, in[2], blocksize_);
    check_divides(c, in[3], blocksize_);
  }
  Shape out_shape(const Shape& in) const override {
    Dim b(blocksize_);
    return {in[0], in[1] * b * b, floor_div(in[2], b), floor_div(in[3], b)};
  }
  Rearrangement rearrangement(const Shape& in) const override {
    Dim b(blocksize_);
    std::array<Dim, 6> parts = {in[0], in[1], floor_div(in[2], b), b, floor_div(in[3], b), b};
    if (mode_ == "DCR") return {parts, {0, 3, 5, 1, 2, 4}};
    return {parts, {0, 1, 3, 5, 2, 4}};
  }
};

}  // namespace

void register_depth_to_space(OpRegistry& r) {
  r.add<DepthToSpace>({.name = "DepthToSpace",
                       .doc = "channels laid out as blocks of pixels",
                       .since = {1, 11, 13, 28},
                       .inputs = {{"input", "T"}},
                       .outputs = {{"output", "T"}},
                       .types = {{"T", dtypes::basic}},
                       .kind = OpKind::Move});
  r.add<SpaceToDepth>({.name = "SpaceToDepth",
                       .doc = "blocks of pixels laid out as channels",
                       .since = {1, 13, 28},
                       .inputs = {{"input", "T"}},
                       .outputs = {{"output", "T"}},
                       .types = {{"T", dtypes::basic}},
                       .kind = OpKind::Move});
}

}  // namespace onnxrun
