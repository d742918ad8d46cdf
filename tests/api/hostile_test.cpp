// Values that are not what a graph was planned for, and graphs that no run could do right: each is
// one documented error, whichever way it comes in.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "onnxrun/session.h"

namespace onnxrun {
namespace {

using Items = RuntimeValue::Items;

const Type scalar_bool = Type::tensor(DType::Bool, Shape{});
const Type scalar_int = Type::tensor(DType::Int64, Shape{});

Type floats(Shape shape) { return Type::tensor(DType::Float32, std::move(shape)); }
Tensor three() { return Tensor::of<float>({3}, {5, 6, 7}); }

std::optional<ErrorKind> failure(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.kind();
  }
  return std::nullopt;
}

NamedValues run(const Graph& graph, const NamedValues& inputs, SessionOptions options = {}) {
  return Session(Model(std::make_shared<Graph>(graph)), std::move(options)).run(inputs);
}

// What a body gives as its output, made from its input `v`.
using Emit = std::function<ValueId(GraphBuilder&, ValueId v)>;

ValueId sequence_of(GraphBuilder& b, ValueId v) { return b.add("SequenceConstruct", {v}); }
ValueId optional_of(GraphBuilder& b, ValueId v) { return b.add("Optional", {v}); }

// A loop of three iterations whose body gives the condition and a scan output.
Graph loop(const Emit& condition, const Emit& scanned) {
  Graph graph(builtin_ops()), body(builtin_ops());
  body.add_input("i", scalar_int);
  ValueId going = body.add_input("c", scalar_bool);
  ValueId v = body.add_input("v", floats({3}));
  GraphBuilder inner(body);
  body.outputs = {condition ? condition(inner, v) : inner.add("Identity", {going}),
                  scanned(inner, v)};
  ValueId x = graph.add_input("x", floats({3}));
  body.outputs.insert(body.outputs.begin() + 1, v);
  NodeOptions options;
  options.bodies.push_back(std::move(body));
  GraphBuilder b(graph);
  graph.outputs = {b.add_n("Loop", {b.int_scalar(3), no_value, x}, 2, std::move(options))[1]};
  return graph;
}

TEST(Hostile, ConditionsOfLoopsAreOneBool) {
  Emit same = [](GraphBuilder&, ValueId v) { return v; };
  const std::pair<const char*, Emit> rows[] = {
      {"float",
       [](GraphBuilder& b, ValueId v) {
         return b.add("ReduceSum", {v}, {{"keepdims", int64_t{0}}});
       }},
      {"int64", [](GraphBuilder& b, ValueId) { return b.int_scalar(1); }},
      {"string",
       [](GraphBuilder& b, ValueId) {
         return b.constant(Tensor::of<std::string>({}, {std::string("true")}));
       }},
      {"a list", [](GraphBuilder& b, ValueId v) { return b.cast(v, DType::Bool); }},
      {"a sequence", sequence_of},
  };
  for (const auto& [name, condition] : rows) {
    EXPECT_EQ(failure([&, &c = condition] { loop(c, same); }), ErrorKind::BadModel) << name;
  }
  EXPECT_NO_THROW(run(loop({}, same), {{"x", three()}}));
}

// M and cond with more than one element, cond of If.
TEST(Hostile, TripCountsAndConditionsAreOneElement) {
  for (int which : {0, 1, 2}) {
    auto build = [&] {
      Graph graph(builtin_ops()), body(builtin_ops());
      GraphBuilder b(graph);
      NodeOptions options;
      if (which == 2) {
        body.outputs = {body.add_initializer("w", three())};
        options.bodies = {body, body};
        b.add_n("If", {b.constant(Tensor::of<bool>({2}, {true, false}))}, 1, std::move(options));
        return;
      }
      body.add_input("i", scalar_int);
      body.outputs = {body.add_input("c", scalar_bool)};
      options.bodies.push_back(std::move(body));
      std::vector<ValueId> inputs = {b.ints({1, 2}), no_value};
      if (which == 1) inputs = {no_value, b.constant(Tensor::of<bool>({0}, {}))};
      b.add_n("Loop", inputs, 0, std::move(options));
    };
    EXPECT_EQ(failure(build), ErrorKind::BadModel) << which;
  }
}

TEST(Hostile, OnlyTensorsAreStacked) {
  const std::pair<const char*, Emit> rows[] = {
      {"a sequence", sequence_of},
      {"an optional", optional_of},
      {"an empty sequence", [](GraphBuilder& b, ValueId) { return b.add("SequenceEmpty", {}); }}};
  for (const auto& [name, emit] : rows) {
    EXPECT_EQ(failure([&, &e = emit] { loop({}, e); }), ErrorKind::BadModel) << name;
    auto other = [&, &e = emit](const char* op) {
      Graph graph(builtin_ops()), body(builtin_ops());
      bool scan = std::string_view(op) == "Scan";
      ValueId v = body.add_input("v", scan ? floats({}) : floats({3}));
      GraphBuilder inner(body), b(graph);
      body.outputs = {e(inner, v)};
      NodeOptions options;
      options.bodies.push_back(std::move(body));
      ValueId x = graph.add_input("x", floats({3}));
      if (scan) options.attributes = {{"num_scan_inputs", int64_t{1}}};
      b.add_n(op, {scan ? x : b.add("SequenceConstruct", {x})}, 1, std::move(options));
    };
    EXPECT_EQ(failure([&] { other("Scan"); }), ErrorKind::BadModel) << name;
    EXPECT_EQ(failure([&] { other("SequenceMap"); }), ErrorKind::BadModel) << name;
  }
}

// What reads a sequence that is an input.
Graph reader(const Type& declared, const Emit& read) {
  Graph graph(builtin_ops());
  ValueId q = graph.add_input("q", declared);
  GraphBuilder b(graph);
  graph.outputs = {read(b, q)};
  return graph;
}

ValueId first_of(GraphBuilder& b, ValueId q) { return b.add("SequenceAt", {q, b.int_scalar(0)}); }

const std::pair<const char*, Emit> readers[] = {
    {"Add",
     [](GraphBuilder& b, ValueId q) {
       return b.add("Add", {first_of(b, q), first_of(b, q)});
     }},
    {"Add a constant",
     [](GraphBuilder& b, ValueId q) {
       return b.add("Add", {first_of(b, q), b.scalar(1, DType::Float32)});
     }},
    {"ConcatFromSequence",
     [](GraphBuilder& b, ValueId q) {
       return b.add("ConcatFromSequence", {q}, {{"axis", int64_t{0}}});
     }},
    {"SequenceInsert",
     [](GraphBuilder& b, ValueId q) {
       return b.add("SequenceInsert", {q, b.constant(Tensor::of<float>({1}, {1}))});
     }},
    {"Relu", [](GraphBuilder& b, ValueId q) { return b.add("Relu", {first_of(b, q)}); }},
};

TEST(Hostile, ElementsOfSequencesAreWhatIsDeclared) {
  Tensor doubles(DType::Float64, {1000}), bytes(DType::Int8, {1000});
  std::fill_n(doubles.data<double>(), 1000, 1.0);
  std::fill_n(bytes.data<int8_t>(), 1000, int8_t{1});
  Tensor strings = Tensor::of<std::string>({1}, {std::string("text")});
  RuntimeValue nested = RuntimeValue::sequence({three()});
  const std::pair<const char*, Items> rows[] = {
      {"doubles", {doubles}},
      {"bytes", {bytes}},
      {"strings", {strings}},
      {"a sequence", {nested}},
      {"an optional", {RuntimeValue::optional({three()})}},
      {"a map", {RuntimeValue::map(Tensor::of<int64_t>({1}, {1}), {three()})}},
      {"nothing", {RuntimeValue()}},
      {"the last of another type", {three(), doubles}},
  };
  for (const auto& [op, read] : readers) {
    Graph graph = reader(Type::sequence(floats({Dim()})), read);
    EXPECT_NO_THROW(run(graph, {{"q", RuntimeValue::sequence({three()})}})) << op;
    for (const auto& [name, items] : rows) {
      NamedValues inputs = {{"q", RuntimeValue::sequence(items)}};
      EXPECT_EQ(failure([&] { run(graph, inputs); }), ErrorKind::BadInput) << op << " of " << name;
    }
    EXPECT_EQ(failure([&] { run(graph, {{"q", three()}}); }), ErrorKind::BadInput) << op;
    EXPECT_EQ(failure([&] {
                run(graph, {{"q", RuntimeValue::optional({})}});
              }),
              ErrorKind::BadInput);
  }
}

// A file need not say what a sequence holds: then what comes decides, and all uses must agree.
TEST(Hostile, UndeclaredElementsAreLookedAt) {
  Tensor bytes(DType::Int8, {1000});
  std::fill_n(bytes.data<int8_t>(), 1000, int8_t{1});
  for (const Type& element : {Type(), Type::tensor(DType::Undefined)}) {
    Graph add = reader(Type::sequence(element), readers[1].second);
    NamedValues result = run(add, {{"q", RuntimeValue::sequence({three()})}});
    EXPECT_EQ(to_doubles(result[0].second.tensor), (std::vector<double>{6, 7, 8}));
    for (const Items& items :
         {Items{bytes}, Items{RuntimeValue::sequence({three()})}, Items{three(), bytes},
          Items{RuntimeValue::map(Tensor::of<int64_t>({1}, {1}), {three()})}, Items{}}) {
      auto kind = failure([&] { run(add, {{"q", RuntimeValue::sequence(items)}}); });
      EXPECT_TRUE(kind == ErrorKind::BadInput || kind == ErrorKind::Unsupported)
          << describe(RuntimeValue::sequence(items));
    }
  }
}

// That nobody knows what a sequence holds does not make it a tensor.
TEST(Hostile, OperatorsOnTensorsTakeNoSequences) {
  for (const Type& element : {Type(), Type::tensor(DType::Undefined), floats({})}) {
    for (const char* op : {"Relu", "Shape", "ReduceSum", "Not"}) {
      auto build = [&] {
        reader(Type::sequence(element), [&](GraphBuilder& b, ValueId q) { return b.add(op, {q}); });
      };
      EXPECT_EQ(failure(build), ErrorKind::Unsupported) << op << " of " << element.to_string();
    }
  }
}

TEST(Hostile, ElementsOfOptionalsAreWhatIsDeclared) {
  Emit read = [](GraphBuilder& b, ValueId q) {
    return b.add("Relu", {b.add("OptionalGetElement", {q})});
  };
  Graph graph = reader(Type::optional(floats({Dim()})), read);
  EXPECT_NO_THROW(run(graph, {{"q", RuntimeValue::optional({three()})}}));
  EXPECT_NO_THROW(run(graph, {{"q", three()}}));
  Tensor doubles = Tensor::of<double>({2}, {1, 2});
  for (const RuntimeValue& value :
       {RuntimeValue::optional({doubles}), RuntimeValue(doubles), RuntimeValue::optional({}),
        RuntimeValue::optional({RuntimeValue::sequence({three()})}),
        RuntimeValue::sequence({three()})}) {
    EXPECT_EQ(failure([&] { run(graph, {{"q", value}}); }), ErrorKind::BadInput) << describe(value);
  }
}

// Around an axis of length 0 others may be of any length; there is nothing to compute.
TEST(Hostile, LoopsOverNothingEndAtOnce) {
  constexpr int64_t huge = int64_t{1} << 40;
  auto axes = [](std::vector<int64_t> list) {
    return Tensor::of<int64_t>({static_cast<int64_t>(list.size())}, list);
  };
  struct Row {
    const char* op;
    Dims dims;
    std::vector<Tensor> more = {};
    Attributes attributes = {};
  };
  Tensor none(DType::Float32, {0}), one = Tensor::of<float>({1}, {1});
  const Row rows[] = {
      {"ReduceSum", {huge, 3, 0}, {axes({0, 2})}},
      {"ReduceMax", {0, huge, 3}, {axes({1})}},
      {"ReduceMean", {huge, 3, 0, 5}, {axes({0, 1})}},
      {"ReduceSum", {huge, 0, huge}, {axes({0, 1, 2})}},
      {"Softmax", {huge, 0}},
      {"LayerNormalization", {huge, 0}, {none}},
      {"InstanceNormalization", {huge, 1, 0, 5}, {one, one}},
      {"GroupNormalization", {huge, 1, 0}, {one, one}, {{"num_groups", int64_t{1}}}},
      {"Transpose", {huge, 0, 3}},
      {"CumSum", {huge, 0}, {Tensor::scalar<int64_t>(0)}},
      {"AveragePool",
       {0, 1, 1, int64_t{1} << 61},
       {},
       {{"kernel_shape", std::vector<int64_t>{1, 1}}}},
      {"GlobalAveragePool", {0, 1, huge, huge}},
      {"Concat", {huge, 0}, {}, {{"axis", int64_t{1}}}},
      {"Tile", {huge, 0}, {axes({1, huge})}},
      {"Trilu", {huge, 5, 0}},
  };
  for (const Row& row : rows) {
    for (bool optimize : {true, false}) {
      Graph graph(builtin_ops());
      std::vector<ValueId> inputs = {graph.add_input("x", floats(to_shape(row.dims)))};
      GraphBuilder b(graph);
      for (const Tensor& t : row.more) inputs.push_back(b.constant(t));
      auto start = std::chrono::steady_clock::now();
      graph.outputs = {b.add(row.op, inputs, row.attributes)};
      SessionOptions options;
      options.optimize = optimize;
      EXPECT_NO_THROW(run(graph, {{"x", Tensor(DType::Float32, row.dims)}}, options)) << row.op;
      EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2)) << row.op;
    }
  }
}

SessionOptions with_memory(int64_t bytes, bool optimize) {
  SessionOptions options;
  options.max_memory = bytes;
  options.optimize = optimize;
  return options;
}

// Strings, lists of values and handles are memory, too.
TEST(Hostile, CountsWhatIsNoElement) {
  struct Row {
    const char* name;
    std::function<Graph()> graph;
  };
  auto repeated = [](Tensor text) {
    Graph graph(builtin_ops());
    GraphBuilder b(graph);
    ValueId many = b.add("Expand", {b.constant(std::move(text)), b.ints({100'000})});
    graph.outputs = {b.add("Gather", {many, b.int_scalar(5)}), b.shape_of(many)};
    return graph;
  };
  auto appending = [](const Emit& value) {
    Graph graph(builtin_ops()), body(builtin_ops());
    body.add_input("i", scalar_int);
    ValueId going = body.add_input("c", scalar_bool);
    ValueId q = body.add_input("q", Type::sequence(floats({})));
    GraphBuilder inner(body), b(graph);
    body.outputs = {inner.add("Identity", {going}),
                    inner.add("SequenceInsert", {q, value(inner, q)})};
    NodeOptions options;
    options.bodies.push_back(std::move(body));
    ValueId empty = b.add("SequenceEmpty", {});
    graph.outputs = {b.add(
        "SequenceLength",
        {b.add_n("Loop", {b.int_scalar(200'000), no_value, empty}, 1, std::move(options))[0]})};
    return graph;
  };
  const Row rows[] = {
      {"long strings",
       [&] { return repeated(Tensor::of<std::string>({1}, {std::string(1000, 'a')})); }},
      {"a sequence of one tensor",
       [&] {
         return appending([](GraphBuilder& b, ValueId) { return b.scalar(1, DType::Float32); });
       }},
      {"stacked strings",
       [&] {
         return loop({}, [](GraphBuilder& b, ValueId) {
           return b.constant(Tensor::of<std::string>({1}, {std::string(4'000'000, 'a')}));
         });
       }},
      {"parts of nothing",
       [&] {
         Graph graph(builtin_ops());
         GraphBuilder b(graph);
         ValueId x = b.constant(Tensor(DType::Float32, {0, 1'000'000'000}));
         graph.outputs = {
             b.add("SequenceLength", {b.add("SplitToSequence", {x}, {{"axis", int64_t{1}}})})};
         return graph;
       }},
  };
  for (const Row& row : rows) {
    Graph graph = row.graph();
    NamedValues inputs;
    if (!graph.inputs.empty()) inputs = {{"x", three()}};
    for (bool optimize : {true, false}) {
      EXPECT_EQ(failure([&] { run(graph, inputs, with_memory(10'000'000, optimize)); }),
                ErrorKind::Limit)
          << row.name << ", optimize " << optimize;
    }
  }
}

}  // namespace
}  // namespace onnxrun
