// Loop.
#include <algorithm>

#include "base/error.h"
#include "emit/loop_gradient.h"
#include "emit/plain_loop.h"
#include "graph/cost.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "graph/run_scope.h"
#include "graph/upgrade_context.h"
#include "kernels/slices.h"
#include "tensor/sole_owner.h"

namespace onnxrun {

namespace {

class Loop final : public Op {
 public:
  Count body_runs(const CostContext& c) const override {
    const Tensor* most = c.constant(0);
    return most && most->size() == 1 ? Count(to_int64s(*most)[0]) : std::nullopt;
  }

  void infer(InferContext& c) const override {
    if (c.has_input(0)) c.require_one(c.type(0), DType::Int64, "M");
    if (c.has_input(1)) c.require_one(c.type(1), DType::Bool, "cond");
    size_t carried = c.num_inputs() < 2 ? 0 : c.num_inputs() - 2;
    std::vector<Type> formal = {Type::tensor(DType::Int64, Shape{}),
                                Type::tensor(DType::Bool, Shape{})};
    for (size_t k = 0; k < carried; ++k) formal.push_back(c.type(2 + k));
    std::vector<Type> outputs = c.settle_body(0, formal, 2, carried, 1);
    if (outputs.size() < carried + 1 || outputs.size() != c.num_outputs() + 1) {
      c.reject(
          "the body gives {} outputs; with {} carried values and {} outputs of the node {} are "
          "expected",
          outputs.size(), carried, c.num_outputs(), c.num_outputs() + 1);
    }
    c.require_one(outputs[0], DType::Bool, "the body's condition");
    for (size_t k = 0; k < carried; ++k) c.set_output(k, formal[2 + k]);
    Dim trips = trip_count(c);
    for (size_t k = carried; k < c.num_outputs(); ++k) {
      c.set_output(k, stacked_type(c, outputs[1 + k], k - carried, 0, trips));
    }
  }

  void run(RunContext& c) const override {
    size_t carried = c.num_inputs() < 2 ? 0 : c.num_inputs() - 2;
    int64_t trips = c.has_input(0) ? scalar<int64_t>(c.value(0), "M") : INT64_MAX;
    bool going = c.has_input(1) ? scalar<bool>(c.value(1), "cond") : true;
    std::vector<RuntimeValue> formal(2), results;
    for (size_t k = 0; k < carried; ++k) formal.push_back(c.take(2 + k));
    std::vector<SliceStack> scans(c.num_outputs() - carried, {c.control(), "a scan output"});
    LoopCount count(c.control(), trips);
    for (int64_t i = 0; i < trips && going; ++i) {
      count.next();
      set_scalar<int64_t>(formal[0], i);
      set_scalar<bool>(formal[1], going);
      c.bodies().run(0, formal, results);
      going = scalar<bool>(results[0], "the body's condition");
      // What was passed on is a handle to what went in; what the body made is memory for the next.
      if (results[0].tensor.same_buffer(formal[1].tensor)) results[0] = RuntimeValue();
      // What went in is memory for what comes out next.
      for (size_t k = 0; k < carried; ++k) std::swap(formal[2 + k], results[1 + k]);
      for (size_t k = 0; k < scans.size(); ++k) {
        if (c.has_output(carried + k)) scans[k].add(std::move(results[1 + carried + k]));
      }
    }
    for (size_t k = 0; k < carried; ++k) {
      if (c.has_output(k)) c.set_value(k, std::move(formal[2 + k]));
    }
    for (size_t k = 0; k < scans.size(); ++k) {
      if (!c.has_output(carried + k)) continue;
      Type type = c.bodies().output_type(0, 1 + carried + k);
      c.set_value(carried + k, scans[k].stacked(type, 0, false));
    }
  }

  void gradient(GradientContext& g) const override { loop_gradient(g); }

  BodyLayout body_layout() const override {
    return {.takes_inputs = true, .carried_input = 2, .carried_output = 1};
  }

  std::vector<Type> body_inputs(const std::vector<Type>& inputs) const override {
    std::vector<Type> types = {Type::tensor(DType::Int64, Shape{}),
                               Type::tensor(DType::Bool, Shape{})};
    for (size_t i = 2; i < inputs.size(); ++i) types.push_back(without_shape(inputs[i]));
    return types;
  }

  bool emit_plain(Graph& graph, Node& node) const override {
    emit_plain_loop(graph, std::move(node));
    return true;
  }

 private:
  // M, where nothing in the loop can end it earlier.
  static Dim trip_count(const InferContext& c) {
    if (c.has_input(1) && !is_true(c.constant(1))) return Dim();
    auto trips = c.content(0);
    if (!goes_on(c) || !trips || trips->size() != 1) return Dim();
    const Dim& m = trips->front();
    return m.is_known() ? Dim(std::max<int64_t>(m.value(), 0)) : m;
  }

  static bool is_true(const Tensor* t) {
    return t && t->dtype() == DType::Bool && t->size() == 1 && *t->data<bool>();
  }

  // The body's condition is the one it got, or always true; PyTorch casts it, too.
  static bool goes_on(const InferContext& c) {
    const Graph& body = c.body(0);
    ValueId out = body.outputs[0];
    for (auto it = body.nodes.rbegin(); it != body.nodes.rend(); ++it) {
      bool passes = it->info->spec.name == "Identity" || it->info->spec.name == "Cast";
      if (it->outputs[0] == out && passes && body.value(it->inputs[0]).type.dtype == DType::Bool) {
        out = it->inputs[0];
      }
    }
    if (out == body.inputs[1] || is_true(body.constant(out))) return true;
    auto input = std::find(body.inputs.begin(), body.inputs.end(), out);
    auto at = static_cast<size_t>(input - body.inputs.begin());
    size_t formal = std::max(c.num_inputs(), size_t{2});
    return at >= formal && at < body.inputs.size() && is_true(c.captured_constant(at - formal));
  }

  template <typename T>
  static T scalar(const RuntimeValue& v, std::string_view what) {
    if (!v.is_tensor() || v.tensor.dtype() != dtype_of<T> || v.tensor.size() != 1) {
      fail(ErrorKind::BadInput, "{} is {}, expected one {}", what, describe(v),
           to_string(dtype_of<T>));
    }
    return *v.tensor.data<T>();
  }

  // In the same memory, unless the body kept it.
  template <typename T>
  static void set_scalar(RuntimeValue& v, T value) {
    if (!v.is_tensor() || !is_sole_owner(v.tensor.owner())) v = Tensor::scalar<T>(value);
    *v.tensor.data<T>() = value;
  }
};

// A value may start as an optional and go on as its element: the body then wraps what it passes on,
// and the last is unwrapped.
void upgrade_optionals(UpgradeContext& c) {
  Graph& body = c.bodies()[0];
  std::vector<size_t> wrapped;
  for (size_t k = 0; 2 + k < c.inputs().size() && 1 + k < body.outputs.size(); ++k) {
    if (!c.has_input(2 + k)) continue;
    const Type &first = c.type(c.input(2 + k)), &next = body.value(body.outputs[1 + k]).type;
    bool wraps = first.kind == Type::Kind::Optional && first.element &&
                 next.kind != Type::Kind::Optional && same_elements(*first.element, next);
    if (!wraps) continue;
    body.outputs[1 + k] = GraphBuilder(body).add("Optional", {body.outputs[1 + k]});
    wrapped.push_back(k);
  }
  if (wrapped.empty()) return;
  NodeOptions options;
  options.bodies = std::move(c.bodies());
  options.captures = c.captures();
  std::vector<ValueId> outputs =
      c.builder().add_n("Loop", c.inputs(), c.num_outputs(), std::move(options));
  for (size_t k : wrapped) {
    if (k < outputs.size()) outputs[k] = c.builder().add("OptionalGetElement", {outputs[k]});
  }
  c.replace(std::move(outputs));
}

void upgrade_loop(UpgradeContext& c) {
  // M and cond have a place even if they are not there and nothing is carried.
  c.inputs().resize(std::max(c.inputs().size(), size_t{2}), no_value);
  upgrade_optionals(c);
}

}  // namespace

void register_loop(OpRegistry& r) {
  r.add<Loop>({.name = "Loop",
               .doc = "a subgraph again and again, with carried values and stacked results",
               .since = {1, 11, 13, 16, 19, 21, 23, 24, 25},
               .inputs = {{"M", "I", Param::Kind::Optional},
                          {"cond", "B", Param::Kind::Optional},
                          {"v_initial", "V", Param::Kind::Variadic, false, 0}},
               .outputs = {{"v_final_and_scan_outputs", "V", Param::Kind::Variadic, false}},
               .types = {{"I", DType::Int64},
                         {"B", dtypes::boolean},
                         {"V", dtypes::all, dtypes::all, dtypes::all}},
               .gradient = GradientState::Rule,
               .bodies = {"body"},
               .upgrade = upgrade_loop});
}

}  // namespace onnxrun
