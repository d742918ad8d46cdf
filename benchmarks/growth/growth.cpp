// Time against size: what reading, planning, differentiating, running and writing a graph costs as
// it grows. Each row should take its predecessor's time in the ratio of their sizes; the rows of
// BigO say so ("N").
#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "builtin_ops.h"
#include "graph/builder.h"
#include "onnx_exporter.h"
#include "onnx_importer.h"
#include "onnxrun/session.h"
#include "passes/dead_nodes.h"
#include "passes/fold.h"
#include "passes/gradient.h"
#include "plan/execution.h"
#include "plan/plan.h"

namespace {

using namespace onnxrun;

const Type floats = Type::tensor(DType::Float32, Shape{4});

Tensor ones() { return Tensor::of<float>({4}, {1, 1, 1, 1}); }

// y = n operations on x, one after another.
Graph chain(int64_t n) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId one = b.constant(ones()), v = graph.add_input("x", floats);
  for (int64_t i = 0; i < n; ++i) v = i % 2 ? b.add("Add", {v, one}) : b.add("Sigmoid", {v});
  graph.outputs = {v};
  return graph;
}

// As many weights as nodes.
Graph weights(int64_t n) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId v = graph.add_input("x", floats);
  for (int64_t i = 0; i < n; ++i) {
    v = b.add("Mul", {v, graph.add_initializer(graph.unique_name("w"), ones(), Role::Parameter)});
  }
  graph.outputs = {v};
  return graph;
}

// As many inputs as nodes.
Graph inputs(int64_t n) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId v = graph.add_input("x", floats);
  for (int64_t i = 0; i < n; ++i) {
    v = b.add("Add", {v, graph.add_input(graph.unique_name("in"), floats)});
  }
  graph.outputs = {v};
  return graph;
}

using Emit = std::function<ValueId(GraphBuilder& b, ValueId state)>;

// `trips` iterations of state = body(state).
Graph loop(int64_t trips, const Emit& body_of, const Emit& initial) {
  Graph graph(builtin_ops()), body(builtin_ops());
  GraphBuilder b(graph), inner(body);
  ValueId x = graph.add_input("x", floats);
  ValueId state = initial ? initial(b, x) : x;
  body.add_input("i", Type::tensor(DType::Int64, Shape{}));
  ValueId going = body.add_input("c", Type::tensor(DType::Bool, Shape{}));
  ValueId inside = body.add_input("s", b.type(state));
  ValueId next = body_of(inner, inside);
  body.outputs = {inner.add("Identity", {going}), next};
  NodeOptions options;
  options.bodies.push_back(std::move(body));
  graph.outputs = b.add_n("Loop", {b.int_scalar(trips), no_value, state}, 1, std::move(options));
  return graph;
}

Graph loop_body(int64_t n) {
  return loop(10,
              [n](GraphBuilder& b, ValueId v) {
                ValueId one = b.constant(ones());
                for (int64_t i = 0; i < n; ++i) v = b.add("Add", {v, one});
                return v;
              },
              {});
}

Graph iterations(int64_t n) {
  return loop(n,
              [](GraphBuilder& b, ValueId v) {
                return b.add("Add", {v, b.constant(ones())});
              },
              {});
}

Graph insertions(int64_t n) {
  return loop(
      n,
      [](GraphBuilder& b, ValueId v) {
        return b.add("SequenceInsert", {v, b.constant(ones())});
      },
      [](GraphBuilder& b, ValueId) { return b.add("SequenceEmpty", {}); });
}

// Loops in loops, n deep, over a length that is known at none of the levels.
Graph nest(int64_t n) {
  Emit body = [](GraphBuilder& b, ValueId v) {
    return b.add("Concat", {v, v}, {{"axis", int64_t{0}}});
  };
  for (int64_t i = 1; i < n; ++i) {
    body = [inner = body](GraphBuilder& b, ValueId v) {
      Graph level(builtin_ops());
      GraphBuilder builder(level);
      level.add_input("i", Type::tensor(DType::Int64, Shape{}));
      ValueId going = level.add_input("c", Type::tensor(DType::Bool, Shape{}));
      ValueId next = inner(builder, level.add_input("s", b.type(v)));
      level.outputs = {builder.add("Identity", {going}), next};
      NodeOptions options;
      options.bodies.push_back(std::move(level));
      return b.add_n("Loop", {b.int_scalar(1), no_value, v}, 1, std::move(options))[0];
    };
  }
  return loop(1, body, {});
}

using Make = Graph (*)(int64_t);

std::vector<Type> input_types(const Graph& graph) {
  std::vector<Type> types;
  for (ValueId v : graph.inputs) types.push_back(graph.value(v).type);
  return types;
}

void done(benchmark::State& state) { state.SetComplexityN(state.range(0)); }

void build(benchmark::State& state, Make make) {
  for (auto _ : state) benchmark::DoNotOptimize(make(state.range(0)));
  done(state);
}

void export_and_import(benchmark::State& state, Make make, bool imports) {
  Graph graph = make(state.range(0));
  std::string bytes = export_graph(graph);
  for (auto _ : state) {
    if (imports) {
      benchmark::DoNotOptimize(import_model_bytes(bytes, "", builtin_ops()));
    } else {
      benchmark::DoNotOptimize(export_graph(graph));
    }
  }
  done(state);
}

void passes(benchmark::State& state, Make make) {
  Graph graph = make(state.range(0));
  for (auto _ : state) {
    Graph copy = graph;
    infer(copy);
    fold_constants(copy);
    remove_dead_nodes(copy);
    benchmark::DoNotOptimize(copy);
  }
  done(state);
}

void differentiate(benchmark::State& state, Make make) {
  Graph graph = make(state.range(0));
  for (auto _ : state) {
    Graph copy = graph;
    std::vector<ValueId> wrt = {copy.inputs[0]};
    for (const auto& [id, init] : copy.initializers) wrt.push_back(id);
    ValueId seed = GraphBuilder(copy).constant(ones());
    benchmark::DoNotOptimize(gradient(copy, {{copy.outputs[0], seed}}, wrt));
  }
  done(state);
}

void compile(benchmark::State& state, Make make) {
  Graph graph = make(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(Plan::compile(graph, input_types(graph)));
  done(state);
}

void run(benchmark::State& state, Make make) {
  Graph graph = make(state.range(0));
  RunControl control;
  Execution execution(Plan::compile(graph, input_types(graph)));
  for (size_t k = 0; k < graph.inputs.size(); ++k) execution.bind_input(k, ones());
  execution.run(control);
  for (auto _ : state) execution.run(control);
  done(state);
}

void load_and_run(benchmark::State& state, Make make) {
  std::string bytes = export_graph(make(state.range(0)));
  for (auto _ : state) {
    Session session(Model(std::make_shared<Graph>(import_model_bytes(bytes, "", builtin_ops()))));
    NamedValues values;
    for (const std::string& name : session.input_names()) values.emplace_back(name, ones());
    benchmark::DoNotOptimize(session.run(values));
  }
  done(state);
}

// A file of so many MB of weights, once it has been read: from Model::load() to a ready session,
// and, to compare, into memory that is there.
std::string file_of_weights(int64_t megabytes) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  Tensor w(DType::Float32, {megabytes << 18});
  std::fill_n(w.data<float>(), w.size(), 1.0f);
  graph.outputs = {b.add("ReduceSum", {graph.add_initializer("w", w, Role::Parameter)})};
  std::string path = std::filesystem::temp_directory_path() / "onnxrun_growth.onnx";
  std::ofstream(path, std::ios::binary) << export_graph(graph);
  return path;
}

void load_file(benchmark::State& state) {
  std::string path = file_of_weights(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(Model::load(path));
  done(state);
  std::filesystem::remove(path);
}

void read_file(benchmark::State& state) {
  std::string path = file_of_weights(state.range(0));
  std::string bytes(std::filesystem::file_size(path), ' ');
  for (auto _ : state) {
    std::ifstream(path, std::ios::binary)
        .read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    benchmark::ClobberMemory();
  }
  done(state);
  std::filesystem::remove(path);
}

template <typename F>
void add(const std::string& name, int64_t smallest, int64_t largest, const F& f) {
  benchmark::RegisterBenchmark(("growth/" + name).c_str(), f)
      ->RangeMultiplier(4)
      ->Range(smallest, largest)
      ->Complexity(benchmark::oN)
      ->Unit(benchmark::kMillisecond)
      ->MinTime(0.05);
}

const bool added = [] {
  const std::pair<const char*, Make> models[] = {
      {"chain", chain}, {"weights", weights}, {"inputs", inputs}, {"loop_body", loop_body}};
  for (const auto& [name, make] : models) {
    std::string prefix = std::string(name) + "/";
    Make m = make;
    add(prefix + "build", 1000, 64'000, [m](benchmark::State& s) { build(s, m); });
    add(prefix + "import", 1000, 64'000,
        [m](benchmark::State& s) { export_and_import(s, m, true); });
    add(prefix + "export", 1000, 64'000,
        [m](benchmark::State& s) { export_and_import(s, m, false); });
    add(prefix + "infer+fold", 1000, 64'000, [m](benchmark::State& s) { passes(s, m); });
    add(prefix + "gradient", 1000, 64'000, [m](benchmark::State& s) { differentiate(s, m); });
    add(prefix + "plan", 1000, 64'000, [m](benchmark::State& s) { compile(s, m); });
    add(prefix + "run", 1000, 64'000, [m](benchmark::State& s) { run(s, m); });
    add(prefix + "load_and_run", 1000, 16'000, [m](benchmark::State& s) { load_and_run(s, m); });
  }
  add("megabytes/load", 1, 256, load_file);
  add("megabytes/read", 1, 256, read_file);
  add("iterations/run", 1000, 1'024'000, [](benchmark::State& s) { run(s, iterations); });
  add("insertions/run", 1000, 256'000, [](benchmark::State& s) { run(s, insertions); });
  add("nest/build", 4, 64, [](benchmark::State& s) { build(s, nest); });
  add("nest/infer+fold", 4, 64, [](benchmark::State& s) { passes(s, nest); });
  add("nest/load_and_run", 4, 64, [](benchmark::State& s) { load_and_run(s, nest); });
  return true;
}();

}  // namespace
