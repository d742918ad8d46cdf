#include "training/body_draws.h"

#include "base/error.h"
#include "graph/builder.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

const char* const value_name = "dropout::step";
const Type& step_type() {
  static const Type type = Type::tensor(DType::Int64, Shape{});
  return type;
}

// A number that other nodes and iterations hardly have too. The modulus keeps the products below
// 2^63 however deep bodies are nested.
ValueId mixed(Graph& graph, ValueId step, int64_t number) {
  GraphBuilder b(graph, "train/");
  ValueId scaled = b.add("Mul", {step, b.int_scalar(1000003)});
  ValueId sum = b.add("Add", {scaled, b.int_scalar((number + 1) * 7919)});
  return b.add("Mod", {sum, b.int_scalar(int64_t{1} << 42)});
}

template <typename T>
void insert_at(std::vector<T>& list, size_t at, T value) {
  list.insert(list.begin() + static_cast<std::ptrdiff_t>(at), value);
}

// One more carried value, the first; `before` inputs stand before the carried ones, of which the
// body gives back all but one.
ValueId carried(Graph& graph, Node& node, ValueId start, size_t before) {
  while (node.formal_inputs() < before) insert_at(node.inputs, node.formal_inputs(), no_value);
  Graph& body = node.bodies[0];
  ValueId in = body.add_value(body.unique_name(value_name), step_type());
  GraphBuilder b(body, "train/");
  ValueId next = b.add("Add", {in, b.int_scalar(1)});
  insert_at(body.inputs, before, in);
  insert_at(body.outputs, before == 0 ? 0 : before - 1, next);
  insert_at(node.inputs, before, start);
  insert_at(node.outputs, 0, graph.add_value(graph.unique_name(value_name), step_type()));
  return in;
}

}  // namespace

bool draws_numbers(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    const OpSpec& spec = node.info->spec;
    bool draws = spec.domain.empty() &&
                 graph.registry().find(private_domain, std::string(spec.name) + "Step");
    if (draws && !attributes_of(node).count("seed")) return true;
    for (const Graph& body : node.bodies) {
      if (draws_numbers(body)) return true;
    }
  }
  return false;
}

std::vector<ValueId> hand_in_step(Graph& graph, Node& node, ValueId step, int64_t number) {
  std::vector<ValueId> inner(node.bodies.size(), no_value);
  const std::string_view op = node.info->spec.name;
  if (op == "If") {
    for (size_t i = 0; i < inner.size(); ++i) {
      Graph& body = node.bodies[i];
      inner[i] = body.add_input(body.unique_name(value_name), step_type());
    }
    node.inputs.push_back(mixed(graph, step, number));
    ++node.captures;
  } else if (op == "Loop" || op == "Scan") {
    inner[0] = carried(graph, node, mixed(graph, step, number), op == "Loop" ? 2 : 0);
  }
  return inner;
}

static void reject_draws(const Graph& body) {
  for (const Node& node : body.nodes) {
    const OpSpec& spec = node.info->spec;
    if (spec.domain == private_domain && spec.name.ends_with("Step")) {
      fail(ErrorKind::Unsupported,
           "{} '{}' is inside a subgraph: no standard operator draws the same numbers again "
           "for "
           "the gradient",
           spec.name.substr(0, spec.name.size() - 4),
           node.outputs[0] == no_value ? node.name : body.name_of(node.outputs[0]));
    }
  }
  reject_body_draws(body);
}

void reject_body_draws(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    for (const Graph& body : node.bodies) reject_draws(body);
  }
}

}  // namespace onnxrun
