#include <map>

#include "base/threads.h"
#include "builtin_ops.h"
#include "formats/npz.h"
#include "ops/recurrent_layers.h"
#include "passes/decompose.h"
#include "passes/gradient.h"
#include "plan/execution.h"
#include "support/files.h"
#include "support/tested_operators.h"

namespace onnxrun::testing {

namespace {

TEST(RecurrentGradient, FollowsDifferences) {
  for (const Layer& layer : layers()) {
    if (layer.steps == 0 || layer.batch == 0 || layer.hidden > 3) continue;
    SCOPED_TRACE(describe(layer));
    check_gradient(layer.run());
  }
  for (const Layer& layer : activation_layers()) {
    SCOPED_TRACE(describe(layer));
    check_gradient(with_used_parameters(layer.run()));
  }
}

std::vector<Tensor> execute(const Graph& graph, int threads = 1) {
  ThreadScope scope(threads);
  Execution execution(Plan::compile(graph, {}));
  RunControl control;
  execution.run(control);
  std::vector<Tensor> results;
  for (size_t k = 0; k < graph.outputs.size(); ++k) results.push_back(execution.output(k).tensor);
  return results;
}

// A node of parameters whose outputs are its results, then the gradients of `wrt` for cotangents of
// the results.
Graph differentiated(const OpRun& run, const std::vector<Tensor>& cotangents,
                     const std::vector<size_t>& wrt) {
  Graph graph(builtin_ops());
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < run.inputs.size(); ++i) {
    const Tensor& t = run.inputs[i];
    inputs.push_back(t.defined()
                         ? graph.add_initializer("in" + std::to_string(i), t, Role::Parameter)
                         : no_value);
  }
  GraphBuilder builder(graph);
  graph.outputs = builder.add_n(run.op, inputs, run.outputs, {.attributes = run.attributes});
  std::vector<Seed> seeds;
  for (size_t k = 0; k < graph.outputs.size(); ++k) {
    seeds.push_back({graph.outputs[k], builder.constant(cotangents[k])});
  }
  std::vector<ValueId> sources;
  for (size_t i : wrt) sources.push_back(inputs[i]);
  std::vector<ValueId> gradients = gradient(graph, seeds, sources);
  graph.outputs.insert(graph.outputs.end(), gradients.begin(), gradients.end());
  verify(graph);
  return graph;
}

// For random cotangents and all inputs.
Graph differentiated(const OpRun& run) {
  std::vector<Tensor> cotangents;
  for (const Tensor& y : run_op(run)) cotangents.push_back(random_tensor(y.dims(), 9));
  if (run.inputs[X].dtype() != DType::Float64) {
    for (Tensor& t : cotangents) t = convert(t, run.inputs[X].dtype());
  }
  std::vector<size_t> wrt;
  for (size_t i = 0; i < run.inputs.size(); ++i) {
    if (run.inputs[i].defined() && i != Lengths) wrt.push_back(i);
  }
  return differentiated(run, cotangents, wrt);
}

// What flows to the gates' arguments, where a backward gives it, becomes an output, too.
void give_raw_cotangents(Graph& graph) {
  const OpInfo& backward = graph.registry().get("onnxrun.RecurrentBackward");
  for (const Node& node : graph.nodes) {
    if (node.info != &backward) continue;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const bool is_raw = backward.spec.outputs[i].name == "d_raw";
      if (is_raw && node.outputs[i] != no_value) graph.outputs.push_back(node.outputs[i]);
    }
  }
}

TEST(RecurrentGradient, PrivateOperatorsAreTheirDecompositions) {
  std::vector<Layer> all = layers(), more = activation_layers();
  all.insert(all.end(), more.begin(), more.end());
  for (const Layer& layer : all) {
    SCOPED_TRACE(describe(layer));
    OpRun run = with_used_parameters(layer.run());
    Graph graph = differentiated(run);
    const size_t gradients = graph.outputs.size();
    give_raw_cotangents(graph);
    EXPECT_EQ(graph.outputs.size() > gradients, layer.op == "LSTM");
    std::vector<Tensor> kernel = execute(graph);
    // A layer that is differentiated has become the private forward.
    record(Tried::Decomposition, layer.op);
    std::vector<Tensor> results = run_op(run);
    for (size_t i = 0; i < results.size(); ++i) expect_close(kernel[i], results[i], 1e-13, 1e-14);
    record(Tried::Decomposition, graph,
           [](const Node& node) { return node.info->spec.domain == private_domain; });
    decompose_private(graph);
    verify(graph);
    std::vector<Tensor> scan = execute(graph);
    for (size_t i = 0; i < kernel.size(); ++i) expect_close(scan[i], kernel[i], 1e-11, 1e-12);
  }
}

TEST(RecurrentGradient, SecondOrder) {
  std::vector<Layer> all;
  for (const char* op : {"RNN", "GRU", "LSTM"}) {
    Attributes both = {{"direction", std::string("bidirectional")}};
    all.push_back(
        {.op = op, .attributes = both, .lengths = true, .steps = 2, .inputs = 1, .hidden = 2});
  }
  all.push_back({.op = "GRU",
                 .attributes = {{"linear_before_reset", int64_t{1}}},
                 .steps = 2,
                 .inputs = 1,
                 .hidden = 2});
  all.push_back({.op = "LSTM",
                 .attributes = {{"clip", 0.5f}},
                 .peepholes = true,
                 .steps = 2,
                 .inputs = 1,
                 .hidden = 2});
  for (const Layer& layer : all) {
    SCOPED_TRACE(describe(layer));
    check_gradient(layer.run(), {.second_order = true});
  }
}

TEST(RecurrentGradient, ThreadsDoNotChangeABit) {
  for (const char* op : {"RNN", "GRU", "LSTM"}) {
    Layer layer{.op = op,
                .attributes = {{"direction", std::string("bidirectional")}},
                .steps = 7,
                .batch = 70,
                .inputs = 24,
                .hidden = 40};
    OpRun run = layer.run();
    for (Tensor& t : run.inputs) {
      if (t.defined()) t = convert(t, DType::Float32);
    }
    Graph graph = differentiated(run);
    std::vector<Tensor> one = execute(graph, 1);
    for (int threads : {2, 3, 8}) {
      std::vector<Tensor> many = execute(graph, threads);
      for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(identical(one[i], many[i])) << op << i;
    }
  }
}

TEST(RecurrentGradient, OutputsAreOptional) {
  OpRun run = Layer{"LSTM"}.run();
  std::vector<Tensor> all = run_op(run);
  run.outputs = 1;
  EXPECT_TRUE(identical(run_op(run)[0], all[0]));
  Graph graph(builtin_ops());
  std::vector<ValueId> inputs;
  for (const Tensor& t : run.inputs) {
    inputs.push_back(t.defined()
                         ? graph.add_initializer(graph.unique_name("in"), t, Role::Parameter)
                         : no_value);
  }
  GraphBuilder builder(graph);
  std::vector<ValueId> outputs = builder.add_n("LSTM", inputs, 3);
  graph.nodes.back().outputs[0] = graph.nodes.back().outputs[1] = no_value;
  graph.outputs = {outputs[2]};
  EXPECT_TRUE(identical(execute(graph)[0], all[2]));
  graph.outputs = gradient(graph, {{outputs[2], builder.constant(random_tensor(all[2].dims(), 1))}},
                           {inputs[W]});
  EXPECT_EQ(execute(graph)[0].dims(), run.inputs[W].dims());
}

TEST(RecurrentGradient, ComputesAndDifferentiatesAsPyTorch) {
  MemoryBudget budget;
  std::map<std::string, std::map<std::string, Tensor>> cases;
  for (const auto& [name, tensor] :
       read_npz(DataFile::open(data_path("recurrent/torch.npz"), budget), budget)) {
    size_t slash = name.find('/');
    cases[name.substr(0, slash)][name.substr(slash + 1)] = tensor;
  }
  EXPECT_EQ(cases.size(), 16u);
  const std::vector<std::string> inputs = {"X",         "W",        "R", "B", "sequence_lens",
                                           "initial_h", "initial_c"};
  const std::vector<std::string> outputs = {"Y", "Y_h", "Y_c"};
  for (auto& [name, arrays] : cases) {
    SCOPED_TRACE(name);
    OpRun run{name.substr(0, name.find('_')), {}};
    bool is_lstm = run.op == "LSTM";
    run.outputs = is_lstm ? 3 : 2;
    if (name.find("both") != std::string::npos)
      run.attributes["direction"] = std::string("bidirectional");
    if (run.op == "GRU") run.attributes["linear_before_reset"] = int64_t{1};
    if (name.find("relu") != std::string::npos)
      run.attributes["activations"] = std::vector<std::string>{"Relu", "Relu"};
    std::vector<size_t> wrt;
    for (size_t i = 0; i < (is_lstm ? 7u : 6u); ++i) {
      run.inputs.push_back(arrays[inputs[i]]);
      if (i != Lengths) wrt.push_back(i);
    }
    std::vector<Tensor> results = run_op(run), cotangents;
    for (size_t k = 0; k < run.outputs; ++k) {
      expect_close(results[k], arrays[outputs[k]], 1e-12, 1e-13, outputs[k]);
      cotangents.push_back(arrays["d_" + outputs[k]]);
    }
    std::vector<Tensor> all = execute(differentiated(run, cotangents, wrt));
    for (size_t k = 0; k < wrt.size(); ++k) {
      expect_close(all[run.outputs + k], arrays["d_" + inputs[wrt[k]]], 1e-11, 1e-12,
                   "d_" + inputs[wrt[k]]);
    }
  }
}

}  // namespace

}  // namespace onnxrun::testing
