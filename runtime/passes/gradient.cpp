#include "passes/gradient.h"

#include "base/error.h"
#include "graph/gradient_context.h"
#include "passes/decompose.h"
#include "passes/join_quantization.h"

namespace onnxrun {

bool carries_gradient(const Type& type) {
  if (type.is_tensor()) return is_differentiable(type.dtype);
  return type.element && type.kind != Type::Kind::Map && carries_gradient(*type.element);
}

namespace {

enum class Fit { Equal, Sum, Unknown };

// How one axis of a cotangent (g) relates to the axis it is the gradient of (x).
Fit fit_of(const Dim& g, const Dim& x) {
  if (g == x) return Fit::Equal;
  if (x.is_known() && x.value() == 1) return Fit::Sum;
  // A length other than 1 was not repeated, so the cotangent has it too.
  if (x.is_known()) return Fit::Equal;
  return Fit::Unknown;
}

}  // namespace

ValueId sum_to(GraphBuilder& builder, ValueId cotangent, ValueId like) {
  const Type &g = builder.type(cotangent), &x = builder.type(like);
  if (!g.is_tensor()) return cotangent;
  bool known = g.shape && x.shape && g.shape->size() >= x.shape->size();
  std::vector<int64_t> extra, repeated;
  if (known) {
    size_t offset = g.shape->size() - x.shape->size();
    for (size_t i = 0; i < offset; ++i) extra.push_back(static_cast<int64_t>(i));
    for (size_t i = 0; i < x.shape->size(); ++i) {
      Fit fit = fit_of((*g.shape)[offset + i], (*x.shape)[i]);
      known &= fit != Fit::Unknown;
      if (fit == Fit::Sum) repeated.push_back(static_cast<int64_t>(i));
    }
  }
  if (!known) return builder.add("onnxrun.SumTo", {cotangent, builder.shape_of(like)});
  ValueId sum = cotangent;
  if (!extra.empty()) sum = builder.reduce_sum(sum, extra, false);
  if (!repeated.empty()) sum = builder.reduce_sum(sum, repeated, true);
  return sum;
}

namespace {

class GradientPass {
 public:
  GradientPass(Graph& graph, const std::vector<ValueId>& wrt)
      : graph_(graph), builder_(graph, "grad/") {
    mark_dependents(wrt);
  }

  void seed(const Seed& s) { contribute(s.value, s.cotangent); }

  void run() {
    // Rules append nodes; only those that were there before are differentiated.
    for (size_t n = graph_.nodes.size(); n-- > 0;) {
      // A copy: appending moves the nodes.
      Node node = graph_.nodes[n];
      if (wants_any(node) && reached(node)) differentiate(node);
    }
  }

  ValueId result(ValueId v) {
    ValueId g = total(v);
    return g == no_value ? builder_.zeros_like(v) : g;
  }

 private:
  bool depends(ValueId v) const {
    return v != no_value && static_cast<size_t>(v) < depends_.size() &&
           depends_[static_cast<size_t>(v)];
  }

  void mark_dependents(const std::vector<ValueId>& wrt) {
    depends_.assign(graph_.value_count(), false);
    for (ValueId v : wrt) depends_[static_cast<size_t>(v)] = true;
    for (const Node& node : graph_.nodes) {
      if (node.info->spec.gradient == GradientState::NotDifferentiable) continue;
      bool any = false;
      for (ValueId v : node.inputs) any |= depends(v);
      for (ValueId v : node.outputs) {
        if (any && v != no_value && carries_gradient(graph_.value(v).type)) {
          depends_[static_cast<size_t>(v)] = true;
        }
      }
    }
    contributions_.resize(graph_.value_count());
  }

  bool wants_any(const Node& node) const {
    for (ValueId v : node.inputs) {
      if (depends(v)) return node.info->spec.gradient != GradientState::NotDifferentiable;
    }
    return false;
  }

  bool reached(const Node& node) const {
    for (ValueId v : node.outputs) {
      if (v != no_value && !contributions_[static_cast<size_t>(v)].empty()) return true;
    }
    return false;
  }

  void differentiate(const Node& node) {
    std::vector<ValueId> cotangents;
    for (ValueId v : node.outputs) cotangents.push_back(v == no_value ? no_value : total(v));
    std::vector<bool> wanted;
    for (ValueId v : node.inputs) wanted.push_back(depends(v));
    GradientContext context(builder_, node, std::move(cotangents), std::move(wanted));
    try {
      node.op->gradient(context);
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (context.grads()[i] != no_value) contribute(node.inputs[i], context.grads()[i]);
      }
    } catch (const Error& e) {
      throw e.in(frame_of(graph_, node));
    }
  }

  void contribute(ValueId v, ValueId cotangent) {
    if (!depends(v)) return;
    const Type &value = graph_.value(v).type, &given = graph_.value(cotangent).type;
    if (!same_elements(value, given)) {
      fail(ErrorKind::Internal, "the cotangent of '{}' ({}) is {}", graph_.name_of(v),
           value.to_string(), given.to_string());
    }
    contributions_[static_cast<size_t>(v)].push_back(sum_to(builder_, cotangent, v));
  }

  // The sum of all contributions so far, which replaces them.
  ValueId total(ValueId v) {
    auto& list = contributions_[static_cast<size_t>(v)];
    if (list.empty()) return no_value;
    ValueId sum = list[0];
    for (size_t i = 1; i < list.size(); ++i) sum = add(sum, list[i]);
    list = {sum};
    return sum;
  }

  ValueId add(ValueId a, ValueId b) {
    return builder_.add(builder_.type(a).is_tensor() ? "Add" : "onnxrun.AddSequences", {a, b});
  }

  Graph& graph_;
  GraphBuilder builder_;
  std::vector<bool> depends_;
  std::vector<std::vector<ValueId>> contributions_;
};

}  // namespace

std::vector<ValueId> gradient(Graph& graph, const std::vector<Seed>& seeds,
                              const std::vector<ValueId>& wrt) {
  join_quantization(graph);
  decompose(graph,
            [](const Node& node) { return node.info->spec.gradient == GradientState::Decompose; });
  GradientPass pass(graph, wrt);
  for (const Seed& s : seeds) pass.seed(s);
  pass.run();
  std::vector<ValueId> results;
  for (ValueId v : wrt) results.push_back(pass.result(v));
  return results;
}

}  // namespace onnxrun
