// Optional, OptionalHasElement, OptionalGetElement.
#include "base/error.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

class Optional final : public Op {
 public:
  std::optional<Type> type;

  void attributes(AttributeVisitor& v) override {
    v.visit("type", type, "of the element, where there is none");
  }

  void infer(InferContext& c) const override {
    if (!c.has_input(0) && !type) c.reject("neither an element nor a type is given");
    c.set_output(0, Type::optional(c.has_input(0) ? c.type(0) : *type));
  }
  void run(RunContext& c) const override {
    std::vector<RuntimeValue> element;
    if (c.has_input(0)) element.push_back(c.value(0));
    c.set_value(0, RuntimeValue::optional(std::move(element)));
  }
  void gradient(GradientContext& g) const override {
    g.set(0, g.add("OptionalGetElement", {g.grad(0)}));
  }
};

class OptionalHasElement final : public Op {
 public:
  void infer(InferContext& c) const override { c.set_output(0, DType::Bool, Shape{}); }
  void run(RunContext& c) const override {
    bool has = c.has_input(0) && c.value(0).kind != RuntimeValue::Kind::None;
    if (has && c.value(0).kind == RuntimeValue::Kind::Optional) has = !c.items(0).empty();
    *c.output(0).data<bool>() = has;
  }
};

class OptionalGetElement final : public Op {
 public:
  void infer(InferContext& c) const override {
    const Type& t = c.type(0);
    c.set_output(0, t.kind != Type::Kind::Optional ? t : t.element ? *t.element : Type());
  }
  void run(RunContext& c) const override {
    const RuntimeValue& v = c.value(0);
    if (v.is_tensor()) return copy_elements(v.tensor, c.output(0));
    if (v.kind != RuntimeValue::Kind::Optional) return c.set_value(0, v);
    if (v.elements().empty()) fail(ErrorKind::BadInput, "the optional has no element");
    c.set_value(0, v.elements().front());
  }
  void gradient(GradientContext& g) const override {
    bool optional = g.type(g.input(0)).kind == Type::Kind::Optional;
    g.set(0, optional ? g.add("Optional", {g.grad(0)}) : g.grad(0));
  }
};

constexpr DTypeSet every_optional = dtypes::all | dtypes::float6s;
const TypeConstraint any_optional{"V", every_optional, every_optional};
const TypeConstraint anything{"O", every_optional, every_optional, every_optional};

}  // namespace

void register_optional(OpRegistry& r) {
  r.add<Optional>({.name = "Optional",
                   .doc = "an optional with or without an element",
                   .since = {15, 28},
                   .inputs = {{"input", "V", Param::Kind::Optional}},
                   .outputs = {{"output", "O"}},
                   .types = {any_optional, {"O", {}, {}, every_optional}}});
  r.add<OptionalHasElement>({.name = "OptionalHasElement",
                             .doc = "whether an optional has an element",
                             .since = {15, 18, 28},
                             .inputs = {{"input", "O", Param::Kind::Optional}},
                             .outputs = {{"output", "B"}},
                             .types = {anything, {"B", dtypes::boolean}},
                             .gradient = GradientState::NotDifferentiable});
  r.add<OptionalGetElement>({.name = "OptionalGetElement",
                             .doc = "the element of an optional",
                             .since = {15, 18, 28},
                             .inputs = {{"input", "O"}},
                             .outputs = {{"output", "V"}},
                             .types = {anything, any_optional}});
}

}  // namespace onnxrun
