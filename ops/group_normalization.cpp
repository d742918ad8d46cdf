// InstanceNormalization and GroupNormalization.
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "normalization_family.h"

namespace onnxrun {

namespace {

// The family with one scale and bias a channel, whose rows are groups of channels of one image.
class ChannelGroups : public Op {
 public:
  void infer(InferContext& c) const override {
    c.set_output(0, c.type(0));
    const Shape* x = c.shape(0);
    if (!x) return;
    if (x->size() < 2) c.reject("{}, expected images and channels", c.describe_input(0));
    const Dim& channels = (*x)[1];
    for (size_t i = 1; i <= 2; ++i) {
      const Shape* s = c.shape(i);
      if (!s) continue;
      bool known = s->size() == 1 && (*s)[0].is_known() && channels.is_known();
      if (s->size() != 1 || (known && !((*s)[0] == channels))) {
        c.reject("{}, expected one element for each of {} channels", c.describe_input(i),
                 channels.to_string());
      }
    }
    if (channels.is_known() &&
        (groups(1) < 1 || channels.value() % groups(channels.value()) != 0)) {
      c.reject("{} groups of {} channels", groups(channels.value()), channels.value());
    }
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    const Dims& x = c.input(0).dims();
    auto state = std::make_unique<RowState>();
    int64_t count = std::max<int64_t>(1, groups(x[1])),
            inside = element_count(Dims(x.begin() + 2, x.end()));
    state->rows = x[0] * count;
    state->length = x[1] / count * inside;
    // A span of one element is told from a span of many; neighbouring channels then follow each
    // other.
    state->scale = {count, x[1] / count, inside, std::nullopt};
    state->bias = state->scale;
    return state;
  }

  void run(RunContext& c) const override {
    normalize_rows(c, epsilon_, true, c.input(1), c.output(0));
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    ValueId x = d.input(0);
    auto concat = [&](std::vector<ValueId> parts) {
      return b.add("Concat", std::move(parts), {{"axis", int64_t{0}}});
    };
    ValueId shape = b.shape_of(x), images = b.slice(shape, 0, 0, 1),
            channels = b.slice(shape, 0, 1, 2);
    ValueId all =
        b.add("ReduceProd", {b.slice(shape, 0, 1, INT64_MAX)}, {{"keepdims", int64_t{1}}});
    ValueId count = group_count(b, channels);
    ValueId rows = b.reshape(x, concat({images, count, b.add("Div", {all, count})}));
    ValueId one = b.constant(convert(Tensor::of<float>({1}, {1.0f}), b.dtype(x)));
    ValueId normal =
        b.add("LayerNormalization", {rows, one}, {{"axis", int64_t{2}}, {"epsilon", epsilon_}});
    // [C, 1, 1, ...]
    ValueId behind = b.add("Sub", {b.shape_of(shape), b.ints({2})});
    ValueId ones = b.add("ConstantOfShape", {behind}, {{"value", Tensor::of<int64_t>({1}, {1})}});
    ValueId factor_shape = concat({channels, ones});
    ValueId scaled = b.add("Mul", {b.reshape(normal, shape), b.reshape(d.input(1), factor_shape)});
    d.set(0, b.add("Add", {scaled, b.reshape(d.input(2), factor_shape)}));
  }

 protected:
  virtual int64_t groups(int64_t channels) const = 0;
  virtual ValueId group_count(GraphBuilder& b, ValueId channels) const = 0;

  float epsilon_ = 1e-5f;
};

class InstanceNormalization final : public ChannelGroups {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("epsilon", epsilon_, "added to the variance");
  }

 protected:
  int64_t groups(int64_t channels) const override { return channels; }
  ValueId group_count(GraphBuilder&, ValueId channels) const override { return channels; }
};

class GroupNormalization final : public ChannelGroups {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("epsilon", epsilon_, "added to the variance");
    v.required("num_groups", groups_, "groups of channels");
    v.visit("stash_type", stash_type_,
            "type of the statistics; they are computed at least as exactly");
  }

  bool types_an_output(std::string_view, const Node&) const override { return false; }

 protected:
  int64_t groups(int64_t) const override { return groups_; }
  ValueId group_count(GraphBuilder& b, ValueId) const override { return b.ints({groups_}); }

 private:
  int64_t groups_ = 1;
  DType stash_type_ = DType::Float32;
};

// Opset 18 has one scale and bias a group.
void upgrade_group(UpgradeContext& u) {
  if (u.opset() >= 21) return;
  GraphBuilder& b = u.builder();
  ValueId channels = b.slice(b.shape_of(u.input(0)), 0, 1, 2), minus = b.ints({-1});
  for (size_t i = 1; i <= 2; ++i) {
    ValueId count = b.shape_of(u.input(i));
    ValueId shape =
        b.add("Concat", {count, b.add("Div", {channels, count})}, {{"axis", int64_t{0}}});
    u.set_input(i, b.reshape(b.add("Expand", {b.unsqueeze(u.input(i), {1}), shape}), minus));
  }
}

void upgrade_instance(UpgradeContext& u) { u.take<std::vector<int64_t>>("consumed_inputs"); }

}  // namespace

void register_group_normalization(OpRegistry& r) {
  r.add<InstanceNormalization>(
      {.name = "InstanceNormalization",
       .doc = "mean 0 and variance 1 in each channel of each image",
       .since = {1, 6, 22},
       .inputs = {{"input", "T"}, {"scale", "T", InputRole::Scale}, {"B", "T", InputRole::Bias}},
       .outputs = {{"output", "T"}},
       .types = {{"T", dtypes::floats}},
       .kind = OpKind::Normalization,
       .gradient = GradientState::Decompose,
       .decomposes = true,
       .upgrade = upgrade_instance});
  r.add<GroupNormalization>(
      {.name = "GroupNormalization",
       .doc = "mean 0 and variance 1 in each group of channels of each image",
       .since = {18, 21},
       .inputs = {{"X", "T"}, {"scale", "T", InputRole::Scale}, {"bias", "T", InputRole::Bias}},
       .outputs = {{"Y", "T"}},
       .types = {{"T", dtypes::floats}},
       .kind = OpKind::Normalization,
       .gradient = GradientState::Decompose,
       .decomposes = true,
       .upgrade = upgrade_group});
}

}  // namespace onnxrun
