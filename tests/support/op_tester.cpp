#include "support/op_tester.h"

#include <cmath>
#include <random>
#include <span>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/gradient_context.h"
#include "graph/upgrade_context.h"
#include "passes/gradient.h"
#include "plan/execution.h"
#include "support/tested_operators.h"

namespace onnxrun::testing {

namespace {

enum class Feed { Static, Dynamic, Constant };

Type input_type(const Tensor& t, Feed feed) {
  if (feed == Feed::Dynamic) return Type::tensor(t.dtype());
  return Type::tensor(t.dtype(), to_shape(t.dims()));
}

std::vector<ValueId> upgraded(GraphBuilder& builder, const OpRun& run,
                              std::vector<ValueId> inputs) {
  const OpInfo& info = builder.graph().registry().get(run.op);
  UpgradeContext context(builder, run.opset, inputs, run.attributes, run.outputs);
  if (info.spec.upgrade) info.spec.upgrade(context);
  if (context.replacement()) return *context.replacement();
  NodeOptions options;
  options.attributes = context.attributes();
  return builder.add_n(run.op, context.inputs(), context.num_outputs(), options);
}

// The graph of one node; its inputs are graph inputs or constants.
Graph graph_of(const OpRun& run, Feed feed) {
  Graph graph(builtin_ops());
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < run.inputs.size(); ++i) {
    const Tensor& t = run.inputs[i];
    std::string name = "in" + std::to_string(i);
    if (!t.defined()) {
      inputs.push_back(no_value);
    } else if (feed == Feed::Constant) {
      inputs.push_back(graph.add_initializer(name, t));
    } else {
      inputs.push_back(graph.add_input(name, input_type(t, feed)));
    }
  }
  GraphBuilder builder(graph);
  if (run.opset > 0) {
    graph.outputs = upgraded(builder, run, inputs);
  } else {
    NodeOptions options;
    options.attributes = run.attributes;
    graph.outputs = builder.add_n(run.op, inputs, run.outputs, options);
  }
  verify(graph);
  return graph;
}

std::vector<Tensor> given(const OpRun& run) {
  std::vector<Tensor> tensors;
  for (const Tensor& t : run.inputs) {
    if (t.defined()) tensors.push_back(t);
  }
  return tensors;
}

// A graph compiled for inputs of the types of these, to be run with any of such types.
class Compiled {
 public:
  Compiled(const Graph& graph, const std::vector<Tensor>& inputs, bool optimize)
      : graph_(graph),
        execution_(Plan::compile(graph, types_of(graph, inputs), {.optimize = optimize})) {}

  std::vector<Tensor> run(std::span<const Tensor> inputs) {
    for (size_t i = 0; i < graph_.inputs.size(); ++i) execution_.bind_input(i, inputs[i]);
    RunControl control;
    execution_.run(control);
    std::vector<Tensor> results;
    for (size_t k = 0; k < graph_.outputs.size(); ++k) {
      results.push_back(execution_.output(k).tensor);
    }
    return results;
  }

 private:
  static std::vector<Type> types_of(const Graph& graph, const std::vector<Tensor>& inputs) {
    std::vector<Type> types;
    for (size_t i = 0; i < graph.inputs.size(); ++i) {
      const Type& declared = graph.value(graph.inputs[i]).type;
      types.push_back(declared.has_shape() ? input_type(inputs[i], Feed::Static) : declared);
    }
    return types;
  }

  const Graph& graph_;
  Execution execution_;
};

std::vector<Tensor> execute(const Graph& graph, const std::vector<Tensor>& inputs, bool optimize) {
  return Compiled(graph, inputs, optimize).run(inputs);
}

void expect_identical(const std::vector<Tensor>& a, const std::vector<Tensor>& b, const char* how) {
  ASSERT_EQ(a.size(), b.size()) << how;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(identical(a[i], b[i])) << how << " differs in output " << i << ": "
                                       << a[i].type_text() << " and " << b[i].type_text();
  }
}

}  // namespace

std::vector<Tensor> run_op(const OpRun& run) {
  record(Tried::Run, run.op);
  std::vector<Tensor> inputs = given(run);
  Graph graph = graph_of(run, Feed::Static);
  std::vector<Tensor> plain = execute(graph, inputs, false);
  expect_identical(execute(graph, inputs, true), plain, "optimised");
  try {
    Graph dynamic = graph_of(run, Feed::Dynamic);
    expect_identical(execute(dynamic, inputs, true), plain, "sized at run time");
  } catch (const Error& e) {
    // Upgrades of old forms may need the rank to say what they mean.
    if (run.opset == 0 || e.kind() != ErrorKind::Unsupported) throw;
  }
  expect_identical(execute(graph_of(run, Feed::Constant), {}, true), plain, "folded");
  return plain;
}

std::vector<Tensor> run_once(const OpRun& run) {
  record(Tried::Run, run.op);
  return execute(graph_of(run, Feed::Static), given(run), true);
}

void expect_close(const Tensor& actual, const Tensor& expected, double rtol, double atol,
                  const std::string& label) {
  ASSERT_EQ(actual.type_text(), expected.type_text()) << label;
  bool exact = actual.dtype() == DType::String || is_complex(actual.dtype());
  if (exact) {
    EXPECT_TRUE(identical(actual, expected)) << label;
    return;
  }
  std::vector<double> a = to_doubles(actual), e = to_doubles(expected);
  for (size_t i = 0; i < a.size(); ++i) {
    bool same = a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]));
    bool near = same || std::abs(a[i] - e[i]) <= atol + rtol * std::abs(e[i]);
    ASSERT_TRUE(near) << label << " at " << i << ": " << a[i] << ", expected " << e[i];
  }
}

Tensor random_tensor(Dims dims, uint32_t seed, double low, double high) {
  std::mt19937 generator(seed);
  Tensor t(DType::Float64, std::move(dims));
  for (double& x : t.span<double>()) x = low + (high - low) * (generator() / 4294967296.0);
  return t;
}

std::vector<double> values_of(const Tensor& t) { return to_doubles(t); }

namespace {

// sum(cotangents * outputs) and its gradient, as one graph whose inputs are the node's, then the
// cotangents.
struct Differentiated {
  Graph graph{builtin_ops()};
  std::vector<Tensor> feeds;
  std::vector<size_t> wrt;  // positions in feeds
};

std::vector<size_t> differentiable_inputs(const Graph& graph, const GradientOptions& options) {
  if (!options.wrt.empty()) return options.wrt;
  std::vector<size_t> all;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    if (graph.value(graph.inputs[i]).type.dtype == DType::Float64) all.push_back(i);
  }
  return all;
}

// Adds cotangent inputs for every double output and makes the gradients the graph's outputs.
Differentiated differentiate(Graph graph, std::vector<Tensor> feeds, const std::vector<size_t>& wrt,
                             uint32_t seed) {
  std::vector<Tensor> values = execute(graph, feeds, true);
  std::vector<Seed> seeds;
  size_t count = graph.outputs.size();
  for (size_t k = 0; k < count; ++k) {
    if (values[k].dtype() != DType::Float64) continue;
    Tensor cotangent = random_tensor(values[k].dims(), seed + static_cast<uint32_t>(k) * 77);
    ValueId id =
        graph.add_input(graph.unique_name("cotangent"), input_type(cotangent, Feed::Static));
    seeds.push_back({graph.outputs[k], id});
    feeds.push_back(cotangent);
  }
  std::vector<ValueId> sources;
  for (size_t i : wrt) sources.push_back(graph.inputs[i]);
  graph.outputs = gradient(graph, seeds, sources);
  verify(graph);
  return {std::move(graph), std::move(feeds), wrt};
}

// The sum of the double outputs' elements, each times its cotangent.
double weighted_sum(Compiled& function, std::span<const Tensor> inputs,
                    std::span<const Tensor> cotangents) {
  double sum = 0;
  size_t at = 0;
  for (const Tensor& y : function.run(inputs)) {
    if (y.dtype() != DType::Float64) continue;
    const Tensor& c = cotangents[at++];
    for (int64_t i = 0; i < y.size(); ++i) sum += y.data<double>()[i] * c.data<double>()[i];
  }
  return sum;
}

void compare_with_differences(const Graph& graph, const Differentiated& d,
                              const GradientOptions& options, const std::string& label) {
  std::vector<Tensor> gradients = execute(d.graph, d.feeds, true);
  const size_t own = graph.inputs.size();
  const std::span<const Tensor> cotangents = std::span(d.feeds).subspan(own);
  Compiled function(graph, d.feeds, true);
  for (size_t w = 0; w < d.wrt.size(); ++w) {
    size_t input = d.wrt[w];
    ASSERT_EQ(gradients[w].type_text(), d.feeds[input].type_text()) << label << ", input " << input;
    double largest = 1;
    for (double g : gradients[w].span<double>()) largest = std::max(largest, std::abs(g));
    std::vector<Tensor> moved(d.feeds.begin(), d.feeds.begin() + static_cast<std::ptrdiff_t>(own));
    for (int64_t i = 0; i < d.feeds[input].size(); ++i) {
      auto value_at = [&](double step) {
        moved[input] = d.feeds[input].clone();
        moved[input].data<double>()[i] += step;
        return weighted_sum(function, moved, cotangents);
      };
      double numeric = (value_at(options.step) - value_at(-options.step)) / (2 * options.step);
      double rule = gradients[w].data<double>()[i];
      ASSERT_NEAR(rule, numeric, options.tolerance * largest)
          << label << ", gradient of input " << input << " at element " << i;
    }
  }
}

}  // namespace

void check_gradient(const OpRun& run, const GradientOptions& options) {
  record(Tried::Gradient, run.op);
  Graph graph = graph_of(run, Feed::Static);
  std::vector<size_t> wrt = differentiable_inputs(graph, options);
  ASSERT_FALSE(wrt.empty()) << run.op << " has no input to differentiate by";
  Differentiated first = differentiate(graph, given(run), wrt, options.seed);
  compare_with_differences(graph, first, options, run.op);
  if (!options.second_order || ::testing::Test::HasFatalFailure()) return;
  auto is_private = [](const Node& node) { return node.info->spec.domain == private_domain; };
  record(Tried::Run, first.graph, is_private);
  record(Tried::Gradient, first.graph, is_private);
  Differentiated second = differentiate(first.graph, first.feeds, wrt, options.seed + 1000);
  compare_with_differences(first.graph, second, options, run.op + " (second order)");
}

namespace {

std::vector<Tensor> gradients_of(const OpRun& run, Feed feed) {
  Graph graph = graph_of(run, feed);
  std::vector<ValueId> wrt;
  for (size_t i : differentiable_inputs(graph, {})) wrt.push_back(graph.inputs[i]);
  GraphBuilder builder(graph);
  std::vector<Seed> seeds;
  for (ValueId y : graph.outputs) {
    if (!carries_gradient(graph.value(y).type)) continue;
    ValueId ones = builder.add("Expand", {builder.scalar_like(1, y), builder.shape_of(y)});
    seeds.push_back({y, ones});
  }
  graph.outputs = gradient(graph, seeds, wrt);
  verify(graph);
  return execute(graph, given(run), true);
}

}  // namespace

// No trial of the rule: the cotangent of a plain sum hides what is wrong with it.
std::vector<Tensor> gradients_of(const OpRun& run) {
  std::vector<Tensor> gradients = gradients_of(run, Feed::Static);
  std::vector<Tensor> dynamic = gradients_of(run, Feed::Dynamic);
  EXPECT_EQ(gradients.size(), dynamic.size());
  for (size_t i = 0; i < std::min(gradients.size(), dynamic.size()); ++i) {
    expect_close(dynamic[i], gradients[i], 1e-14, 1e-14, "sized at run time");
  }
  return gradients;
}

void expect_error(const OpRun& run, const std::string& text) {
  try {
    execute(graph_of(run, Feed::Static), given(run), true);
    FAIL() << run.op << ": no error, expected '" << text << "'";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(text), std::string::npos)
        << run.op << ": '" << e.what() << "', expected '" << text << "'";
  }
}

}  // namespace onnxrun::testing
