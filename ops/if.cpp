// If.
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "passes/body_gradient.h"

namespace onnxrun {

namespace {

class If final : public Op {
 public:
  void infer(InferContext& c) const override {
    c.require_one(c.type(0), DType::Bool, "cond");
    std::vector<Type> then_types = c.infer_body(0, {}), else_types = c.infer_body(1, {});
    if (then_types.size() != c.num_outputs() || else_types.size() != c.num_outputs()) {
      c.reject("the branches give {} and {} outputs, the node has {}", then_types.size(),
               else_types.size(), c.num_outputs());
    }
    const Tensor* cond = c.constant(0);
    for (size_t i = 0; i < then_types.size(); ++i) {
      if (!same_elements(then_types[i], else_types[i])) {
        c.reject("output {} is {} in one branch and {} in the other", i, then_types[i].to_string(),
                 else_types[i].to_string());
      }
      Type type = join(then_types[i], else_types[i]);
      if (cond) type = *cond->data<bool>() ? then_types[i] : else_types[i];
      c.set_output(i, std::move(type));
    }
  }

  void run(RunContext& c) const override {
    if (c.input(0).size() != 1) {
      fail(ErrorKind::BadInput, "cond is {}, expected one element", describe(c.value(0)));
    }
    std::vector<RuntimeValue> results;
    c.bodies().run(*c.input(0).data<bool>() ? 0 : 1, {}, results, true);
    for (size_t i = 0; i < results.size(); ++i) {
      if (c.has_output(i)) c.set_value(i, std::move(results[i]));
    }
  }

  // An If of the branches' gradients; each computes again what it needs of its branch.
  void gradient(GradientContext& g) const override {
    const Node& node = g.node();
    std::vector<size_t> seeded, wanted;
    std::vector<Type> types;
    NodeOptions options;
    options.captures.assign(node.inputs.begin() + 1, node.inputs.end());
    for (size_t i = 0; i < g.num_outputs(); ++i) {
      if (!g.has_grad(i)) continue;
      seeded.push_back(i);
      types.push_back(g.type(g.grad(i)));
      options.captures.push_back(g.grad(i));
    }
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (g.wants(i)) wanted.push_back(i - 1);
    }
    for (const Graph& branch : node.bodies) {
      options.bodies.push_back(body_gradient(branch, seeded, types, wanted).graph);
    }
    std::vector<ValueId> gradients =
        g.builder().add_n("If", {node.inputs[0]}, wanted.size(), options);
    for (size_t k = 0; k < wanted.size(); ++k) g.set(wanted[k] + 1, gradients[k]);
  }
};

}  // namespace

void register_if(OpRegistry& r) {
  r.add<If>({.name = "If",
             .doc = "one of two subgraphs",
             .since = {1, 11, 13, 16, 19, 21, 23, 24, 25},
             .inputs = {{"cond", "B"}},
             .outputs = {{"outputs", "V", Param::Kind::Variadic, false}},
             .types = {{"B", dtypes::boolean}, {"V", dtypes::all, dtypes::all, dtypes::all}},
             .gradient = GradientState::Rule,
             .bodies = {"then_branch", "else_branch"}});
}

}  // namespace onnxrun
