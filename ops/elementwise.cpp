// onnxrun.Elementwise: a program of elementwise functions, as passes/fuse makes it of a chain of
// operators.
#include "expression_state.h"
#include "graph/checks_ahead.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

class ElementwiseProgram final : public Op, public ChecksAhead {
 public:
  void attributes(AttributeVisitor& v) override {
    v.required("functions", functions_, "of each call, named as the operators");
    v.required("operands", operands_,
               "of the calls in turn: numbers of inputs, then of what earlier calls gave");
    v.required("results", results_, "the numbers of what becomes an output");
    v.visit("nodes", nodes_, "names of the nodes that were the calls");
    v.visit("values", values_, "names of what they gave");
  }

  void infer(InferContext& c) const override {
    const Program p = program(c.num_inputs());
    const std::vector<bool> truths = truth_values(p);
    const DType number = number_type(c, truths);
    const std::vector<std::optional<Shape>> shapes = shapes_of(c, p);
    for (size_t o = 0; o < p.outputs.size(); ++o) {
      const auto value = static_cast<size_t>(p.outputs[o]);
      c.set_output(o, truths[value] ? DType::Bool : number, shapes[value]);
    }
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    Program p = program(c.num_inputs());
    std::vector<int> read;
    const Tensor* first = nullptr;
    for (size_t o = 0; o < c.num_outputs(); ++o) {
      if (!c.has_output(o)) continue;
      if (!first) first = &c.output(o);
      if (c.output(o).dims() != first->dims()) {
        fail(ErrorKind::BadInput, "lengths that the model says are equal are not: {} and {}",
             first->type_text(), c.output(o).type_text());
      }
      read.push_back(p.outputs[o]);
    }
    p.outputs = std::move(read);
    size_t i = 0;
    while (c.input(i).dtype() == DType::Bool) ++i;
    return prepare_expression(c, p, first->dims(), c.input(i).dtype());
  }

  void run(RunContext& c) const override { run_expression(c); }

  std::optional<size_t> first_not_finite(const RunContext& c) const override {
    const ExpressionInputs inputs = expression_inputs(c);
    std::optional<size_t> found =
        c.state<ExpressionState>().expression.first_not_finite(inputs.data());
    // Counted among those that are there.
    for (size_t o = 0; found && o <= *found; ++o) *found += c.has_output(o) ? 0 : 1;
    return found;
  }

  void decompose(DecomposeContext& d) const override {
    const Program p = program(d.num_inputs());
    std::vector<ValueId> values;
    for (size_t i = 0; i < d.num_inputs(); ++i) values.push_back(d.input(i));
    auto name = [](const std::vector<std::string>& names, size_t k) {
      return k < names.size() ? names[k] : std::string();
    };
    for (size_t n = 0; n < p.calls.size(); ++n) {
      const Program::Call& call = p.calls[n];
      std::vector<ValueId> operands;
      for (int k = 0; k < operands_of(call.function); ++k) {
        operands.push_back(values[static_cast<size_t>(call.operands[static_cast<size_t>(k)])]);
      }
      NodeOptions options{.output_names = {name(values_, n)}, .name = name(nodes_, n)};
      values.push_back(
          d.builder()
              .add_n(to_string(call.function), std::move(operands), 1, std::move(options))
              .front());
    }
    for (size_t o = 0; o < p.outputs.size(); ++o) {
      d.set(o, values[static_cast<size_t>(p.outputs[o])]);
    }
  }

  OpTraits traits() const override {
    OpTraits traits{.elementwise = true};
    for (int o = 0; o < static_cast<int>(results_.size()); ++o) {
      for (int i = 0; i < static_cast<int>(Expression::most_inputs); ++i) {
        traits.in_place.emplace_back(i, o);
      }
    }
    return traits;
  }

 private:
  // Throws BadModel for one that is none.
  Program program(size_t inputs) const;
  static void check(const Program& p);

  // Of all values of the program.
  static std::vector<std::optional<Shape>> shapes_of(const InferContext& c, const Program& p) {
    std::vector<std::optional<Shape>> shapes;
    for (size_t i = 0; i < c.num_inputs(); ++i) shapes.push_back(c.type(i).shape);
    for (const Program::Call& call : p.calls) {
      std::optional<Shape> shape = Shape{};
      for (int k = 0; k < operands_of(call.function) && shape; ++k) {
        const auto& other = shapes[static_cast<size_t>(call.operands[static_cast<size_t>(k)])];
        shape = other ? std::optional(broadcast(*shape, *other)) : std::nullopt;
      }
      shapes.push_back(std::move(shape));
    }
    return shapes;
  }

  static DType number_type(const InferContext& c, const std::vector<bool>& truths) {
    DType number = DType::Undefined;
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      const bool fits = truths[i] ? c.dtype(i) == DType::Bool
                                  : dtypes::f32_f64.contains(c.dtype(i)) &&
                                        (number == DType::Undefined || number == c.dtype(i));
      if (!fits) c.reject("{}, which its program cannot take", c.describe_input(i));
      if (!truths[i]) number = c.dtype(i);
    }
    if (number == DType::Undefined) c.reject("none of the inputs is a number");
    return number;
  }

  std::vector<std::string> functions_, nodes_, values_;
  std::vector<int64_t> operands_, results_;
};

Program ElementwiseProgram::program(size_t inputs) const {
  Program p;
  p.inputs = static_cast<int>(inputs);
  size_t at = 0;
  auto number = [&](int64_t value, size_t from, size_t end) {
    if (value < static_cast<int64_t>(from) || value >= static_cast<int64_t>(end)) {
      fail(ErrorKind::BadModel, "value {} of a program that has values {} to {} there", value, from,
           static_cast<int64_t>(end) - 1);
    }
    return static_cast<int>(value);
  };
  for (const std::string& name : functions_) {
    auto function = find_element_function(name);
    if (!function) fail(ErrorKind::BadModel, "there is no elementwise function '{}'", name);
    Program::Call call{*function, {}};
    for (int k = 0; k < operands_of(*function); ++k, ++at) {
      if (at == operands_.size()) fail(ErrorKind::BadModel, "operands of '{}' are missing", name);
      call.operands[static_cast<size_t>(k)] = number(operands_[at], 0, inputs + p.calls.size());
    }
    p.calls.push_back(call);
  }
  for (int64_t v : results_) p.outputs.push_back(number(v, inputs, inputs + p.calls.size()));
  check(p);
  return p;
}

void ElementwiseProgram::check(const Program& p) {
  if (p.inputs > static_cast<int>(Expression::most_inputs) ||
      p.calls.size() > Expression::most_calls) {
    fail(ErrorKind::BadModel, "a program of {} inputs and {} calls, at most {} and {} fit",
         p.inputs, p.calls.size(), Expression::most_inputs, Expression::most_calls);
  }
  const std::vector<bool> truths = truth_values(p);
  for (const Program::Call& call : p.calls) {
    for (int k = 0; k < operands_of(call.function); ++k) {
      const bool asked = call.function == ElementFunction::Where && k == 0;
      if (truths[static_cast<size_t>(call.operands[static_cast<size_t>(k)])] == asked) continue;
      fail(ErrorKind::BadModel, "operand {} of '{}' is {}", k, to_string(call.function),
           asked ? "a number, expected a truth value" : "a truth value, expected a number");
    }
  }
}

}  // namespace

void register_elementwise(OpRegistry& r) {
  r.add<ElementwiseProgram>(
      {.name = "Elementwise",
       .domain = private_domain,
       .doc = "functions of elements, one after another, in one pass over the data",
       .since = {1},
       .inputs = {{"inputs", "T", Param::Kind::Variadic, false}},
       .outputs = {{"outputs", "T", Param::Kind::Variadic, false}},
       .types = {{"T", dtypes::f32_f64 | dtypes::boolean}},
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace onnxrun
