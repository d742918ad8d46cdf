#include "passes/fuse/quantized.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/builder.h"
#include "graph/limited_product.h"
#include "graph/quantized_form.h"

namespace onnxrun {

namespace {

constexpr DTypeSet bytes = {DType::Int8, DType::UInt8};

// A node that others are fused with; nodes themselves are moved meanwhile. Of what an operator may
// be, pointers are null for what it is not.
struct Source {
  explicit Source(const Node& node)
      : op(node.op),
        info(node.info),
        inputs(node.inputs),
        quantizes(dynamic_cast<const Quantizes*>(op.get())),
        dequantizes(dynamic_cast<const Dequantizes*>(op.get())),
        limits(dynamic_cast<const LimitsInput*>(op.get())),
        product(dynamic_cast<const LimitedProduct*>(op.get())
                    ? nullptr
                    : dynamic_cast<const HasQuantizedForm*>(op.get())),
        mover(dynamic_cast<const WorksOnLevels*>(op.get())) {}

  bool is_of_interest() const { return quantizes || dequantizes || limits || product || mover; }
  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : no_value; }
  QuantizedOperand operand() const { return {input(0), input(1), input(2)}; }

  OpPtr op;
  const OpInfo* info;
  std::vector<ValueId> inputs;
  const Quantizes* quantizes;
  const Dequantizes* dequantizes;
  const LimitsInput* limits;
  const HasQuantizedForm* product;
  const WorksOnLevels* mover;
};

class QuantizedFuser {
 public:
  explicit QuantizedFuser(Graph& graph)
      : graph_(graph), builder_(graph), uses_(graph.use_counts()) {
    for (const Node& node : graph.nodes) {
      if (node.outputs.size() != 1 || node.captures > 0) continue;
      Source s(node);
      if (s.is_of_interest()) sources_.emplace(node.outputs[0], std::move(s));
    }
    for (const Node& node : graph.nodes) {
      if (const auto product = product_before(node)) quantized_.insert(*product);
    }
  }

  void run() {
    std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (Node& node : nodes) {
      if (!is_source(node) || !fuse(node)) graph_.nodes.push_back(std::move(node));
    }
  }

 private:
  bool is_source(const Node& node) const {
    return node.outputs.size() == 1 && sources_.count(node.outputs[0]) > 0;
  }
  const Source* source(ValueId v) const {
    auto it = sources_.find(v);
    return it == sources_.end() ? nullptr : &it->second;
  }
  bool is_read_once(ValueId v) const { return uses_[static_cast<size_t>(v)] == 1; }

  // The one number of a constant that is a scale: where numbers are divided by it, they come back.
  const Tensor* scales(ValueId v) const {
    const Tensor* t = v == no_value ? nullptr : graph_.constant(v);
    if (!t || t->dtype() != DType::Float32) return nullptr;
    const auto* s = t->data<float>();
    const bool usable = std::all_of(s, s + t->size(), [](float x) {
      return std::isnormal(x) && x > 0 && std::isfinite(512 * x);
    });
    return usable && t->size() > 0 ? t : nullptr;
  }

  // Scale and zero point are constants, one for all, between floats and bytes.
  bool is_plain(const Source& s, ValueId quantized_value, ValueId number) const {
    const Tensor* scale = scales(s.input(1));
    const bool zero = s.input(2) == no_value || graph_.constant(s.input(2));
    return scale && scale->size() == 1 && zero && has_plain_types(s, quantized_value, number);
  }
  bool has_plain_types(const Source& s, ValueId quantized_value, ValueId number) const {
    const bool plain = s.quantizes ? s.quantizes->divides_as_scale() : true;
    return bytes.contains(dtype(quantized_value)) && dtype(number) == DType::Float32 &&
           axis_of(s).block == 0 && plain;
  }
  static QuantizedAxis axis_of(const Source& s) {
    return s.quantizes ? s.quantizes->quantized_axis() : s.dequantizes->quantized_axis();
  }
  DType dtype(ValueId v) const { return graph_.value(v).type.dtype; }

  // What made `v` of bytes with one scale.
  const Source* dequantized(ValueId v) const {
    const Source* s = source(v);
    if (!s || !s->dequantizes) return nullptr;
    return is_plain(*s, s->inputs[0], v) ? s : nullptr;
  }
  // The same of constant bytes, whose scales may go with the places of `axis`.
  const Source* weight(ValueId v, int64_t axis) const {
    if (const Source* s = dequantized(v)) return s;
    const Source* s = source(v);
    if (!s || !s->dequantizes || !graph_.constant(s->inputs[0])) return nullptr;
    const bool zero = s->input(2) == no_value || graph_.constant(s->input(2));
    if (!scales(s->input(1)) || !zero || !has_plain_types(*s, s->inputs[0], v)) return nullptr;
    const int64_t rank = graph_.constant(s->inputs[0])->rank();
    const int64_t at = axis_of(*s).axis;
    return (at < 0 ? at + rank : at) == axis ? s : nullptr;
  }

  // A bias in 32 bits whose scale is that of the products.
  std::optional<ValueId> bias(ValueId v, const Source& x, const Source& w) const {
    if (v == no_value) return no_value;
    const Source* b = source(v);
    if (!b || !b->dequantizes || axis_of(*b).block != 0) return {};
    const Tensor *whole = graph_.constant(b->inputs[0]), *scale = scales(b->input(1));
    if (!whole || whole->dtype() != DType::Int32 || whole->rank() != 1 || !scale) return {};
    const Tensor* zero = b->input(2) == no_value ? nullptr : graph_.constant(b->input(2));
    if (b->input(2) != no_value && !zero) return {};
    if (zero && std::any_of(zero->data<int32_t>(), zero->data<int32_t>() + zero->size(),
                            [](int32_t z) { return z != 0; })) {
      return {};
    }
    const Tensor *xs = scales(x.input(1)), *ws = scales(w.input(1));
    const int64_t count = std::max(scale->size(), ws->size());
    for (int64_t i = 0; i < count; ++i) {
      const float found = scale->data<float>()[i % scale->size()];
      const float wanted = xs->data<float>()[0] * ws->data<float>()[i % ws->size()];
      if (std::fabs(found - wanted) > 1e-6F * wanted) return {};
    }
    return b->inputs[0];
  }

  // Those of a product whose result `q` quantizes, unless that is null.
  std::optional<QuantizedOperands> operands(const Source& s, const Source* q) const {
    const Source* x = dequantized(s.input(0));
    const Source* w = weight(s.input(1), s.product->scale_axis());
    if (!x || !w || dtype(s.inputs[0]) != DType::Float32) return {};
    const auto b = bias(s.input(2), *x, *w);
    if (!b) return {};
    QuantizedOperands o{.x = x->operand(), .w = w->operand(), .bias = *b};
    if (q) o.y = {.scale = q->input(1), .zero_point = q->input(2)};
    return s.product->quantized_form(graph_, o) ? std::optional(o) : std::nullopt;
  }

  static int64_t lowest(DType type) { return type == DType::Int8 ? -128 : 0; }
  int64_t zero_point(const Source& s) const {
    const Tensor* t = s.input(2) == no_value ? nullptr : graph_.constant(s.input(2));
    if (!t) return 0;
    return t->dtype() == DType::Int8 ? t->data<int8_t>()[0] : t->data<uint8_t>()[0];
  }

  // What a QuantizeLinear reads but for a lower bound of 0 that its range does, too.
  ValueId quantized_input(const Node& node) const {
    const Source& q = sources_.at(node.outputs[0]);
    const Source* before = source(node.inputs[0]);
    const bool clips = before && before->limits && is_above_zero(before->limits, before->inputs) &&
                       is_read_once(node.inputs[0]) &&
                       zero_point(q) == lowest(dtype(node.outputs[0]));
    return clips ? before->inputs[0] : node.inputs[0];
  }
  static bool is_above_zero(const LimitsInput* limits, const std::vector<ValueId>& inputs) {
    const auto [low, high] = limits->bounds(inputs);
    return low.number == 0 && high.value == no_value && !high.number;
  }

  bool is_quantizer(const Node& node) const {
    const Source* q = is_source(node) ? source(node.outputs[0]) : nullptr;
    return q && q->quantizes && !q->quantizes->chooses_scale() &&
           is_plain(*q, node.outputs[0], node.inputs[0]);
  }

  // The product that a QuantizeLinear becomes one with.
  std::optional<ValueId> product_before(const Node& node) const {
    if (!is_quantizer(node)) return {};
    const ValueId v = quantized_input(node);
    const Source* s = source(v);
    const bool fits = s && s->product && is_read_once(v) && operands(*s, source(node.outputs[0]));
    return fits ? std::optional(v) : std::nullopt;
  }

  bool fuse(const Node& node) {
    if (is_quantizer(node)) return fuse_quantizer(node);
    const Source& s = sources_.at(node.outputs[0]);
    if (!s.product || quantized_.count(node.outputs[0]) > 0) return false;
    const auto o = operands(s, nullptr);
    if (o) emit(node, s, *o);
    return o.has_value();
  }

  bool fuse_quantizer(const Node& node) {
    const Source& q = sources_.at(node.outputs[0]);
    if (const auto v = product_before(node)) {
      emit(node, *source(*v), *operands(*source(*v), &q));
      return true;
    }
    const Source* mover = is_read_once(node.inputs[0]) ? source(node.inputs[0]) : nullptr;
    if (!mover || !mover->mover) return false;
    const Source* x = dequantized(mover->inputs[0]);
    const bool same = x && dtype(x->inputs[0]) == dtype(node.outputs[0]) &&
                      identical(scale_of(*x), scale_of(q)) && zero_point(*x) == zero_point(q);
    if (!same) return false;
    std::vector<ValueId> inputs = mover->inputs;
    inputs[0] = x->inputs[0];
    replace(node, {mover->info->qualified_name(), inputs,
                   write_attributes(*mover->op, *mover->info->make())});
    return true;
  }
  Tensor scale_of(const Source& s) const {
    return Tensor::scalar(graph_.constant(s.input(1))->data<float>()[0]);
  }

  // Zero points that are left out are those of the levels' type.
  void set_zero(QuantizedOperand& operand, DType type) {
    if (operand.zero_point == no_value) operand.zero_point = builder_.scalar(0, type);
  }

  // The product in place of `node`, which gives its result or that quantized.
  void emit(const Node& node, const Source& s, QuantizedOperands o) {
    set_zero(o.x, dtype(o.x.levels));
    set_zero(o.w, dtype(o.w.levels));
    if (o.y.scale != no_value) set_zero(o.y, dtype(node.outputs[0]));
    replace(node, *s.product->quantized_form(graph_, o));
  }

  void replace(const Node& node, QuantizedForm form) {
    auto& [op, inputs, attributes] = form;
    while (!inputs.empty() && inputs.back() == no_value) inputs.pop_back();
    builder_.add_n(op, std::move(inputs), 1,
                   {.attributes = std::move(attributes), .name = node.name});
    Node& fused = graph_.nodes.back();
    Value& value = graph_.value(node.outputs[0]);
    value.type = refine(graph_.value(fused.outputs[0]).type, value.type);
    fused.outputs = node.outputs;
  }

  Graph& graph_;
  GraphBuilder builder_;
  std::vector<int> uses_;
  std::map<ValueId, Source> sources_;
  std::set<ValueId> quantized_;  // products that are part of a QuantizeLinear
};

}  // namespace

void fuse_quantized(Graph& graph) {
  bool any = false;
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) fuse_quantized(body);
    any |= dynamic_cast<const Dequantizes*>(node.op.get()) != nullptr;
  }
  if (any) QuantizedFuser(graph).run();
}

}  // namespace onnxrun
