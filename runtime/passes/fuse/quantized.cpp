#include "passes/fuse/quantized.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/builder.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

constexpr DTypeSet bytes = {DType::Int8, DType::UInt8};
// Of bytes they give what they give of the floats that the bytes stand for.
constexpr std::array<std::string_view, 9> movers = {
    "Reshape", "Transpose", "Flatten", "Squeeze",      "Unsqueeze",
    "Slice",   "Gather",    "MaxPool", "DepthToSpace",
};

// A node that others are fused with; nodes themselves are moved meanwhile.
struct Source {
  std::string_view op;
  std::vector<ValueId> inputs;
  Attributes attributes;

  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : no_value; }
  template <typename T>
  T attribute(const char* name, T otherwise) const {
    auto it = attributes.find(name);
    return it == attributes.end() ? otherwise : std::get<T>(it->second);
  }
};

class QuantizedFuser {
 public:
  explicit QuantizedFuser(Graph& graph)
      : graph_(graph), builder_(graph), uses_(graph.use_counts()) {
    for (const Node& node : graph.nodes) {
      if (!is_of_interest(node)) continue;
      sources_[node.outputs[0]] = {node.info->spec.name, node.inputs, attributes_of(node)};
    }
    for (const Node& node : graph.nodes) {
      if (const auto product = product_before(node)) quantized_.insert(*product);
    }
  }

  void run() {
    std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (Node& node : nodes) {
      if (!is_of_interest(node) || !fuse(node)) graph_.nodes.push_back(std::move(node));
    }
  }

 private:
  static bool is_of_interest(const Node& node) {
    const OpSpec& spec = node.info->spec;
    if (!spec.domain.empty() || node.outputs.size() != 1 || node.captures > 0) return false;
    const std::string_view name = spec.name;
    return name == "DequantizeLinear" || name == "QuantizeLinear" || name == "Relu" ||
           is_product(name) || std::ranges::find(movers, name) != movers.end();
  }
  static bool is_product(std::string_view name) {
    return name == "Conv" || name == "MatMul" || name == "Gemm";
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
    return bytes.contains(dtype(quantized_value)) && dtype(number) == DType::Float32 &&
           s.attribute<int64_t>("block_size", 0) == 0 && s.attribute<int64_t>("precision", 0) == 0;
  }
  DType dtype(ValueId v) const { return graph_.value(v).type.dtype; }

  // The DequantizeLinear of bytes, of one scale, that made `v`.
  const Source* dequantized(ValueId v) const {
    const Source* s = v == no_value ? nullptr : source(v);
    if (!s || s->op != "DequantizeLinear") return nullptr;
    return is_plain(*s, s->inputs[0], v) ? s : nullptr;
  }
  // The same of constant bytes, whose scales may go with the places of `axis`.
  const Source* weight(ValueId v, int64_t axis) const {
    if (const Source* s = dequantized(v)) return s;
    const Source* s = v == no_value ? nullptr : source(v);
    if (!s || s->op != "DequantizeLinear" || !graph_.constant(s->inputs[0])) return nullptr;
    const bool zero = s->input(2) == no_value || graph_.constant(s->input(2));
    if (!scales(s->input(1)) || !zero || !has_plain_types(*s, s->inputs[0], v)) return nullptr;
    const int64_t rank = graph_.constant(s->inputs[0])->rank();
    const int64_t at = s->attribute<int64_t>("axis", 1);
    return (at < 0 ? at + rank : at) == axis ? s : nullptr;
  }

  // A bias in 32 bits whose scale is that of the products.
  std::optional<ValueId> bias(ValueId v, const Source& x, const Source& w) const {
    if (v == no_value) return no_value;
    const Source* b = source(v);
    if (!b || b->op != "DequantizeLinear" || b->attribute<int64_t>("block_size", 0) != 0) return {};
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

  struct Operands {
    const Source *x, *w;
    ValueId bias;
  };
  std::optional<Operands> operands(const Source& product) const {
    const bool conv = product.op == "Conv", gemm = product.op == "Gemm";
    const Source* x = dequantized(product.input(0));
    const int64_t trans_b = gemm ? product.attribute<int64_t>("transB", 0) : 0;
    const Source* w = weight(product.input(1), conv || trans_b != 0 ? 0 : 1);
    if (!x || !w || dtype(product.inputs[0]) != DType::Float32) return {};
    const bool constant = graph_.constant(w->inputs[0]) != nullptr;
    const int64_t ranks[] = {builder_.rank(x->inputs[0]), builder_.rank(w->inputs[0])};
    if (conv && (!constant || ranks[0] < 3 || ranks[0] != ranks[1])) return {};
    if (gemm &&
        (!constant || product.attribute<int64_t>("transA", 0) != 0 ||
         product.attribute<float>("alpha", 1) != 1 || product.attribute<float>("beta", 1) != 1)) {
      return {};
    }
    if (!conv && (ranks[0] < 2 || ranks[1] < 2)) return {};
    // Lists of scales are those of the columns of one matrix.
    if (!conv && scales(w->input(1))->size() > 1 && ranks[1] != 2) return {};
    const auto b = bias(product.input(2), *x, *w);
    return b ? std::optional(Operands{x, w, *b}) : std::nullopt;
  }

  static int64_t lowest(DType type) { return type == DType::Int8 ? -128 : 0; }
  int64_t zero_point(const Source& s) const {
    const Tensor* t = s.input(2) == no_value ? nullptr : graph_.constant(s.input(2));
    if (!t) return 0;
    return t->dtype() == DType::Int8 ? t->data<int8_t>()[0] : t->data<uint8_t>()[0];
  }

  // What a QuantizeLinear reads but for a Relu that it does itself.
  ValueId quantized_input(const Node& node) const {
    const Source& q = sources_.at(node.outputs[0]);
    const Source* before = source(node.inputs[0]);
    const bool clips = before && before->op == "Relu" && is_read_once(node.inputs[0]) &&
                       zero_point(q) == lowest(dtype(node.outputs[0]));
    return clips ? before->inputs[0] : node.inputs[0];
  }

  bool is_quantizer(const Node& node) const {
    const Source* q = is_of_interest(node) ? source(node.outputs[0]) : nullptr;
    return q && q->op == "QuantizeLinear" && is_plain(*q, node.outputs[0], node.inputs[0]);
  }

  // The product that a QuantizeLinear becomes one with.
  std::optional<ValueId> product_before(const Node& node) const {
    if (!is_quantizer(node)) return {};
    const ValueId v = quantized_input(node);
    const Source* product = source(v);
    const bool fits = product && is_product(product->op) && is_read_once(v) && operands(*product);
    return fits ? std::optional(v) : std::nullopt;
  }

  bool fuse(const Node& node) {
    if (is_quantizer(node)) return fuse_quantizer(node);
    const Source& s = sources_.at(node.outputs[0]);
    const bool is_done = quantized_.count(node.outputs[0]) > 0;
    if (is_done || (s.op != "MatMul" && s.op != "Gemm")) return false;
    const auto o = operands(s);
    if (!o) return false;
    emit(node, s, *o, nullptr);
    return true;
  }

  bool fuse_quantizer(const Node& node) {
    const Source& q = sources_.at(node.outputs[0]);
    if (const auto v = product_before(node)) {
      const Source& product = *source(*v);
      emit(node, product, *operands(product), &q);
      return true;
    }
    const Source* mover = is_read_once(node.inputs[0]) ? source(node.inputs[0]) : nullptr;
    if (!mover || std::ranges::find(movers, mover->op) == movers.end()) return false;
    const Source* x = dequantized(mover->inputs[0]);
    const bool same = x && dtype(x->inputs[0]) == dtype(node.outputs[0]) &&
                      identical(scale_of(*x), scale_of(q)) && zero_point(*x) == zero_point(q);
    if (!same) return false;
    std::vector<ValueId> inputs = mover->inputs;
    inputs[0] = x->inputs[0];
    replace(node, mover->op, inputs, mover->attributes);
    return true;
  }
  Tensor scale_of(const Source& s) const {
    return Tensor::scalar(graph_.constant(s.input(1))->data<float>()[0]);
  }

  // Zero points that are left out are those of this type.
  ValueId zero_of(const Source& s, DType type) {
    if (s.input(2) != no_value) return s.input(2);
    return builder_.scalar(0, type);
  }

  // The product in place of `node`, quantized as `q` does it unless that is null.
  void emit(const Node& node, const Source& product, const Operands& o, const Source* q) {
    const ValueId x = o.x->inputs[0], w = o.w->inputs[0];
    const ValueId x_zero = zero_of(*o.x, dtype(x)), w_zero = zero_of(*o.w, dtype(w));
    const ValueId x_scale = o.x->input(1), w_scale = o.w->input(1);
    const ValueId y_scale = q ? q->input(1) : no_value;
    const ValueId y_zero = q ? zero_of(*q, dtype(node.outputs[0])) : no_value;
    if (product.op == "Conv") {
      replace(node, "QLinearConv",
              {x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, o.bias},
              product.attributes);
    } else if (product.op == "Gemm") {
      replace(node, "com.microsoft.QGemm",
              {x, x_scale, x_zero, w, w_scale, w_zero, o.bias, y_scale, y_zero},
              {{"transB", product.attribute<int64_t>("transB", 0)}});
    } else if (q) {
      replace(node, "QLinearMatMul", {x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero}, {});
    } else {
      replace(node, "com.microsoft.MatMulIntegerToFloat", {x, w, x_scale, w_scale, x_zero, w_zero},
              {});
    }
  }

  void replace(const Node& node, std::string_view op, std::vector<ValueId> inputs,
               Attributes attributes) {
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
    any |= node.info->spec.name == "DequantizeLinear";
  }
  if (any) QuantizedFuser(graph).run();
}

}  // namespace onnxrun
