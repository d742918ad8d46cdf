// Graphs of operators thrown together, run on values thrown together: each is refused with an error
// of the contract, or runs. What they may not be is our own fault, a crash or a hang.
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "graph/value_type.h"
#include "onnxrun/session.h"

namespace onnxrun {
namespace {

class Thrown {
 public:
  explicit Thrown(uint32_t seed) : random_(seed) {}

  int below(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  template <typename T>
  const T& one_of(const std::vector<T>& list) {
    return list[static_cast<size_t>(below(static_cast<int>(list.size())))];
  }

  Tensor tensor() {
    static const std::vector<Dims> shapes = {{}, {1}, {3}, {2, 3}, {0}, {int64_t{1} << 40, 0, 3}};
    static const std::vector<int64_t> numbers = {-2, -1, 0, 1, 2, 3, INT64_MAX, INT64_MIN};
    const Dims& dims = one_of(shapes);
    switch (below(5)) {
      case 0: {
        Tensor t(DType::Int64, dims);
        for (int64_t i = 0; i < t.size(); ++i) t.data<int64_t>()[i] = one_of(numbers);
        return t;
      }
      case 1: {
        Tensor t(DType::String, dims);
        for (int64_t i = 0; i < t.size(); ++i) t.data<std::string>()[i] = std::string(100, 'x');
        return t;
      }
      case 2: {
        Tensor t(DType::Bool, dims);
        std::fill_n(t.data<bool>(), t.size(), true);
        return t;
      }
      default: {
        Tensor t(DType::Float32, dims);
        for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = static_cast<float>(below(9));
        return t;
      }
    }
  }

  RuntimeValue value(int depth = 0) {
    int kind = depth > 2 ? 0 : below(8);
    RuntimeValue::Items items;
    for (int i = below(3); kind > 3 && i >= 0; --i) items.push_back(value(depth + 1));
    if (kind <= 3) return tensor();
    if (kind <= 5) return RuntimeValue::sequence(std::move(items));
    if (kind == 6) return RuntimeValue::optional({items[0]});
    return RuntimeValue::map(Tensor::of<int64_t>({1}, {1}), {items[0]});
  }

  // What the value is, or one that says less, or something else.
  Type type_for(const RuntimeValue& v) {
    try {
      Type type = below(4) ? type_of(v) : type_of(value());
      return below(3) ? type : vague(type);
    } catch (const Error&) {
      return Type::sequence(Type());
    }
  }

  // Adds nodes; those that are refused are left out.
  void grow(Graph& graph, std::vector<ValueId>& values, int nodes, int depth) {
    GraphBuilder b(graph);
    for (int i = 0; i < nodes; ++i) {
      try {
        values.push_back(node(b, values, depth));
      } catch (const Error& e) {
        EXPECT_NE(e.kind(), ErrorKind::Internal) << e.what();
      }
    }
  }

 private:
  Type vague(const Type& type) {
    if (type.is_tensor()) return Type::tensor(below(2) ? DType::Undefined : type.dtype);
    Type changed = type;
    if (type.element)
      changed.element = std::make_shared<const Type>(below(2) ? vague(*type.element) : Type());
    return changed;
  }

  ValueId node(GraphBuilder& b, const std::vector<ValueId>& values, int depth) {
    auto any = [&] { return one_of(values); };
    static const std::vector<const char*> one = {"Relu",
                                                 "Shape",
                                                 "Size",
                                                 "Identity",
                                                 "SequenceLength",
                                                 "SequenceErase",
                                                 "SequenceConstruct",
                                                 "Optional",
                                                 "OptionalGetElement",
                                                 "OptionalHasElement",
                                                 "SplitToSequence",
                                                 "Transpose",
                                                 "ReduceSum",
                                                 "Neg",
                                                 "Softmax",
                                                 "Not",
                                                 "Abs",
                                                 "NonZero"};
    static const std::vector<const char*> two = {"Add",
                                                 "Mul",
                                                 "Sub",
                                                 "Div",
                                                 "MatMul",
                                                 "Equal",
                                                 "Less",
                                                 "Reshape",
                                                 "Expand",
                                                 "Gather",
                                                 "Tile",
                                                 "SequenceAt",
                                                 "SequenceInsert",
                                                 "SequenceConstruct",
                                                 "Unsqueeze",
                                                 "Squeeze",
                                                 "CumSum",
                                                 "Mod"};
    switch (below(9)) {
      case 0:
        return b.constant(tensor());
      case 1:
        return b.add("SequenceEmpty", {});
      case 2:
        return b.add("Slice", {any(), any(), any()});
      case 3:
        return b.add("Where", {any(), any(), any()});
      case 4:
        return b.add("ConcatFromSequence", {any()},
                     {{"axis", int64_t{below(3) - 1}}, {"new_axis", int64_t{below(2)}}});
      case 5:
        if (depth < 2) return with_body(b, values, depth);
        [[fallthrough]];
      case 6:
        return b.add(one_of(one), {any()});
      default:
        return b.add(one_of(two), {any(), any()});
    }
  }

  ValueId with_body(GraphBuilder& b, const std::vector<ValueId>& values, int depth) {
    static const std::vector<const char*> ops = {"Loop", "Loop", "If", "Scan", "SequenceMap"};
    std::string op = one_of(ops);
    ValueId carried = one_of(values), captured = one_of(values);
    NodeOptions options;
    options.captures = {captured};
    std::vector<ValueId> inputs = {carried};
    size_t outputs = 1;
    for (int k = 0; k < (op == "If" ? 2 : 1); ++k) {
      Graph body(builtin_ops());
      std::vector<ValueId> inner;
      if (op == "Loop") {
        inner.push_back(body.add_input("i", Type::tensor(DType::Int64, Shape{})));
        inner.push_back(body.add_input("c", Type::tensor(DType::Bool, Shape{})));
      }
      if (op != "If") inner.push_back(body.add_input("s", Type()));
      inner.push_back(body.add_input("captured", b.type(captured)));
      grow(body, inner, 1 + below(3), depth + 1);
      if (op == "Loop") {
        outputs = 2;
        body.outputs = {below(4) ? inner[1] : one_of(inner), one_of(inner), inner.back()};
      } else {
        body.outputs = {inner.back()};
      }
      options.bodies.push_back(std::move(body));
    }
    if (op == "Loop") inputs = {below(4) ? b.int_scalar(3) : one_of(values), no_value, carried};
    if (op == "Scan") options.attributes = {{"num_scan_inputs", int64_t{below(3)}}};
    std::vector<ValueId> results = b.add_n(op, inputs, outputs, std::move(options));
    return one_of(results);
  }

  std::mt19937 random_;
};

TEST(RandomGraphs, RunOrAreRefused) {
  int ran = 0;
  for (uint32_t seed = 0; seed < 1500; ++seed) {
    SCOPED_TRACE(seed);
    Thrown thrown(seed);
    RuntimeValue x = thrown.value(), y = thrown.value();
    Graph graph(builtin_ops());
    std::vector<ValueId> values = {graph.add_input("x", thrown.type_for(x)),
                                   graph.add_input("y", thrown.type_for(y))};
    thrown.grow(graph, values, 2 + thrown.below(8), 0);
    graph.outputs = {values.back()};
    SessionOptions options;
    options.optimize = thrown.below(2) == 0;
    options.max_memory = 50'000'000;
    options.max_loop_iterations = 10'000;
    auto start = std::chrono::steady_clock::now();
    try {
      Session(Model(std::make_shared<Graph>(graph)), options).run({{"x", x}, {"y", y}});
      ++ran;
    } catch (const Error& e) {
      EXPECT_NE(e.kind(), ErrorKind::Internal) << e.what() << "\n" << print(graph);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10)) << print(graph);
  }
  // Not all may be refused.
  EXPECT_GT(ran, 300);
}

}  // namespace
}  // namespace onnxrun
