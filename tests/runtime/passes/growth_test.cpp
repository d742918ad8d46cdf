// Work that grows with the graph, not with its square or a power of its depth: counted, not timed.
#include <gtest/gtest.h>

#include <functional>

#include "builtin_ops.h"
#include "graph/builder.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "plan/execution.h"
#include "plan/plan.h"
#include "support/allocations.h"

namespace onnxrun {
namespace {

int inferred = 0;

// Identity that counts how often it is inferred.
class CountedIdentity final : public Op {
 public:
  void infer(InferContext& c) const override {
    ++inferred;
    infer_same(c);
  }
  void run(RunContext& c) const override { c.set_value(0, c.value(0)); }
};

const OpRegistry& registry() {
  static const OpRegistry made = [] {
    OpRegistry r;
    for (const OpInfo* info : builtin_ops().all()) r.add(info->spec, info->make);
    r.add<CountedIdentity>({.name = "Counted",
                            .domain = "test",
                            .doc = "counts",
                            .since = {1},
                            .inputs = {{"x", "T"}},
                            .outputs = {{"y", "T"}},
                            .types = {{"T", dtypes::all}}});
    return r;
  }();
  return made;
}

using Emit = std::function<ValueId(GraphBuilder& b, ValueId state)>;

ValueId add_loop(GraphBuilder& b, ValueId trips, ValueId state, const Emit& body_of) {
  Graph body(registry());
  GraphBuilder inner(body);
  body.add_input("i", Type::tensor(DType::Int64, Shape{}));
  ValueId going = body.add_input("c", Type::tensor(DType::Bool, Shape{}));
  ValueId inside = body.add_input("s", b.type(state));
  ValueId next = body_of(inner, inside);
  body.outputs = {inner.add("Identity", {going}), next};
  NodeOptions options;
  options.bodies.push_back(std::move(body));
  return b.add_n("Loop", {trips, no_value, state}, 1, std::move(options))[0];
}

ValueId doubled(GraphBuilder& b, ValueId v) {
  return b.add("Concat", {b.add("test.Counted", {v}), v}, {{"axis", int64_t{0}}});
}

ValueId nested(GraphBuilder& b, ValueId v, int depth) {
  if (depth == 0) return doubled(b, v);
  return add_loop(b, b.int_scalar(1), v,
                  [depth](GraphBuilder& inner, ValueId w) { return nested(inner, w, depth - 1); });
}

ValueId nested_branches(GraphBuilder& b, ValueId condition, ValueId v, int depth) {
  if (depth == 0) return doubled(b, v);
  NodeOptions options;
  options.captures = {condition, v};
  for (int d : {depth - 1, 0}) {
    Graph branch(registry());
    GraphBuilder inner(branch);
    ValueId c = branch.add_input("cond", b.type(condition));
    ValueId w = branch.add_input("v", b.type(v));
    branch.outputs = {nested_branches(inner, c, w, d)};
    options.bodies.push_back(std::move(branch));
  }
  return b.add_n("If", {condition}, 1, std::move(options))[0];
}

// How often the innermost node of a nest is inferred when the whole graph is.
int inferred_in_nest(int depth, bool branches) {
  Graph graph(registry());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{2}));
  ValueId condition = graph.add_input("c", Type::tensor(DType::Bool, Shape{}));
  graph.outputs = {branches ? nested_branches(b, condition, x, depth) : nested(b, x, depth)};
  inferred = 0;
  infer(graph);
  return inferred;
}

TEST(Growth, NestsAreInferredInLinearTime) {
  for (bool branches : {false, true}) {
    int ten = inferred_in_nest(10, branches), forty = inferred_in_nest(40, branches);
    EXPECT_LE(ten, 40) << branches;
    EXPECT_LE(forty, 4 * ten + 8) << branches;
  }
}

// A loop's iteration takes no memory of its own: what one made serves the next.
TEST(Growth, IterationsAllocateNothing) {
  if (!counts_allocations()) GTEST_SKIP() << "allocations are not counted here";
  const std::pair<const char*, Emit> rows[] = {
      {"a sum",
       [](GraphBuilder& b, ValueId v) {
         return b.add("Add", {v, b.scalar(1, DType::Float32)});
       }},
      {"two operators", [](GraphBuilder& b, ValueId v) {
         return b.add("Tanh", {b.add("Mul", {v, b.scalar(2, DType::Float32)})});
       }}};
  for (const auto& [name, body] : rows) {
    Graph graph(registry());
    GraphBuilder b(graph);
    ValueId trips = graph.add_input("M", Type::tensor(DType::Int64, Shape{}));
    ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{4}));
    graph.outputs = {add_loop(b, trips, x, body)};
    std::vector<Type> types = {graph.value(trips).type, graph.value(x).type};
    Execution execution(Plan::compile(graph, types));
    RunControl control;
    control.max_memory = 1 << 20;  // counted
    execution.bind_input(1, Tensor::of<float>({4}, {1, 2, 3, 4}));
    auto allocations_of = [&](int64_t count) {
      execution.bind_input(0, Tensor::scalar<int64_t>(count));
      execution.run(control);
      int64_t before = allocations();
      execution.run(control);
      return allocations() - before;
    };
    EXPECT_LE(allocations_of(5000), allocations_of(50) + 10) << name;
  }
}

// A sequence that a loop appends to is changed in its place, not copied.
TEST(Growth, InsertionsDoNotCopyTheSequence) {
  if (!counts_allocations()) GTEST_SKIP() << "allocations are not counted here";
  auto allocated_for = [](int64_t count, bool inside_if) {
    Graph graph(registry());
    GraphBuilder b(graph);
    ValueId trips = graph.add_input("M", Type::tensor(DType::Int64, Shape{}));
    ValueId empty = b.add("SequenceEmpty", {});
    Emit insert = [](GraphBuilder& inner, ValueId q) {
      return inner.add("SequenceInsert", {q, inner.scalar(1, DType::Float32)});
    };
    Emit insert_if = [&](GraphBuilder& inner, ValueId q) {
      NodeOptions options;
      options.captures = {q};
      for (int k = 0; k < 2; ++k) {
        Graph branch(registry());
        GraphBuilder in_branch(branch);
        ValueId captured = branch.add_input("q", inner.type(q));
        branch.outputs = {insert(in_branch, captured)};
        options.bodies.push_back(std::move(branch));
      }
      ValueId condition = inner.graph().inputs[1];
      return inner.add_n("If", {condition}, 1, std::move(options))[0];
    };
    graph.outputs = {
        b.add("SequenceLength", {add_loop(b, trips, empty, inside_if ? insert_if : insert)})};
    std::vector<Type> types = {graph.value(trips).type};
    Execution execution(Plan::compile(graph, types));
    execution.bind_input(0, Tensor::scalar<int64_t>(count));
    RunControl control;
    int64_t before = allocated_bytes();
    execution.run(control);
    EXPECT_EQ(to_int64s(execution.output(0).tensor)[0], count);
    return allocated_bytes() - before;
  };
  for (bool inside_if : {false, true}) {
    // Copies would make it a hundred times as much.
    EXPECT_LE(allocated_for(10'000, inside_if), 15 * allocated_for(1000, inside_if)) << inside_if;
  }
}

}  // namespace
}  // namespace onnxrun
