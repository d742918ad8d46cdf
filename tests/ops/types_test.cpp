// Runs every operator with every element type that the standard allows it, and compares the results
// with those in the widest type.
#include <cmath>
#include <set>

#include "base/error.h"
#include "builtin_ops.h"
#include "ops/type_rows.h"
#include "passes/widen.h"
#include "support/graph_tester.h"

namespace onnxrun::testing {

namespace {

double tolerance(DType t) {
  switch (t) {
    case DType::Float64:
    case DType::Float32:
      return 1e-5;
    case DType::Float16:
      return 4e-3;
    case DType::BFloat16:
      return 3e-2;
    default:
      return 0;  // small numbers are exact
  }
}

void expect_same(const std::vector<Tensor>& actual, const std::vector<Tensor>& widest_results,
                 DType narrowest, const std::string& label) {
  double allowed = std::max(tolerance(narrowest), tolerance(DType::Float32));
  for (size_t k = 0; k < actual.size(); ++k) {
    DType t = actual[k].dtype();
    Tensor expected = widest_results[k];
    if (t != expected.dtype()) expected = in_type(t, expected.dims(), values_of(expected));
    expect_close(actual[k], expected, allowed, allowed, label);
  }
}

// One type variable takes all its types in turn, all others stay at their widest.
void run_all_types(const Row& row) {
  const OpSpec& spec = builtin_ops().get(row.op).spec;
  Types types;
  std::set<std::string_view> used;
  for (const TypeConstraint& c : spec.types) {
    if (!c.tensor.empty()) types[c.name] = widest(c.tensor);
  }
  for (size_t i = 0; i < row.inputs.size(); ++i) {
    if (!row.inputs[i].omitted) used.insert(param(spec.inputs, i).type);
  }
  std::vector<Tensor> expected = run_op(run_of(row, spec, types));
  for (const TypeConstraint& c : spec.types) {
    for (int t = 1; used.count(c.name) && t < dtype_count; ++t) {
      auto type = static_cast<DType>(t);
      if (!c.tensor.contains(type)) continue;
      Types these = types;
      these[c.name] = type;
      std::string label =
          row.op + ", " + std::string(c.name) + " = " + std::string(to_string(type));
      try {
        std::vector<Tensor> actual = run_op(run_of(row, spec, these));
        for (size_t k = 0; k < actual.size(); ++k) {
          EXPECT_EQ(actual[k].dtype(), these.at(param(spec.outputs, k).type)) << label;
        }
        if (row.compared) expect_same(actual, expected, type, label);
      } catch (const Error& e) {
        ADD_FAILURE() << label << ": " << e.what();
      }
    }
  }
}

TEST(ElementTypes, EveryOperatorTakesItsOwn) {
  for (const Row& row : all_rows()) run_all_types(row);
}

// Every type variable is float where it may be; then the whole graph is made double.
void widen_to_double_type(const Row& row) {
  const OpSpec& spec = builtin_ops().get(row.op).spec;
  Types types;
  for (const TypeConstraint& c : spec.types) {
    if (c.tensor.empty()) continue;
    types[c.name] = c.tensor.contains(DType::Float32) ? DType::Float32 : widest(c.tensor);
  }
  OpRun run = run_of(row, spec, types);
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  std::vector<ValueId> inputs;
  for (const Tensor& t : run.inputs) {
    std::string name = "in" + std::to_string(inputs.size());
    inputs.push_back(t.defined() ? graph.add_initializer(name, t) : no_value);
  }
  graph.outputs = b.add_n(row.op, inputs, row.outputs, {.attributes = row.attributes});
  widen_to_double(graph);
  infer(graph);
  std::vector<Tensor> actual = run_graph(graph, {}), expected = run_op(run);
  for (size_t k = 0; k < actual.size(); ++k) {
    EXPECT_NE(actual[k].dtype(), DType::Float32);
    if (actual[k].dtype() == DType::Float64) {
      expect_close(actual[k], convert(expected[k], DType::Float64), 1e-4, 1e-5);
    }
  }
}

TEST(ElementTypes, EveryOperatorWidens) {
  for (const Row& row : all_rows()) {
    SCOPED_TRACE(row.op);
    try {
      widen_to_double_type(row);
    } catch (const Error& e) {
      ADD_FAILURE() << row.op << ": " << e.what();
    }
  }
}

// Types that an attribute names, and those of values that are no tensors.
const std::set<std::string> others = {"Cast",
                                      "BitCast",
                                      "Constant",
                                      "ConstantOfShape",
                                      "ai.onnx.preview.FlexAttention",
                                      "ai.onnx.preview.training.Gradient",
                                      "If",
                                      "Loop",
                                      "Scan",
                                      "SequenceAt",
                                      "SequenceConstruct",
                                      "SequenceEmpty",
                                      "SequenceErase",
                                      "SequenceInsert",
                                      "SequenceLength",
                                      "SequenceMap",
                                      "ConcatFromSequence",
                                      "SplitToSequence",
                                      "TfIdfVectorizer",
                                      "Optional",
                                      "OptionalHasElement",
                                      "OptionalGetElement",
                                      "com.microsoft.GridSample",
                                      "com.microsoft.QLinearConcat",
                                      "ai.onnx.ml.CastMap",
                                      "ai.onnx.ml.CategoryMapper",
                                      "ai.onnx.ml.DictVectorizer",
                                      "ai.onnx.ml.LabelEncoder",
                                      "ai.onnx.ml.OneHotEncoder",
                                      "ai.onnx.ml.ZipMap"};

TEST(ElementTypes, EveryOperatorHasARow) {
  std::set<std::string> there;
  for (const Row& row : all_rows()) there.insert(row.op);
  for (const OpInfo* info : builtin_ops().all()) {
    if (info->spec.domain == private_domain || others.count(info->qualified_name())) continue;
    EXPECT_TRUE(there.count(info->qualified_name())) << info->qualified_name();
  }
}

template <typename F>
void for_each_type(DTypeSet types, const F& f) {
  for (int i = 1; i < dtype_count; ++i) {
    auto t = static_cast<DType>(i);
    if (!types.contains(t)) continue;
    SCOPED_TRACE(to_string(t));
    try {
      f(t);
    } catch (const Error& e) {
      ADD_FAILURE() << to_string(t) << ": " << e.what();
    }
  }
}

DTypeSet types_of(const char* op, const char* variable) {
  for (const TypeConstraint& c : builtin_ops().get(op).spec.types) {
    if (c.name == variable) return c.tensor | c.sequence;
  }
  ADD_FAILURE() << op << " has no " << variable;
  return {};
}

TEST(ElementTypes, CastsOfEveryPair) {
  for_each_type(types_of("Cast", "T1"), [](DType from) {
    for_each_type(types_of("Cast", "T2"), [from](DType to) {
      Tensor y = run_op({"Cast", {in_type(from, {3}, {1})}, {{"to", static_cast<int64_t>(to)}}})[0];
      EXPECT_EQ(y.dtype(), to);
      if (to == DType::String) return;
      EXPECT_EQ(values_of(y), (std::vector<double>{1, 1, 1}));
    });
  });
}

TEST(ElementTypes, ConstantsOfEveryType) {
  for_each_type(types_of("Constant", "T"), [](DType t) {
    Tensor value = in_type(t, {3}, {1, 2, 3});
    EXPECT_TRUE(identical(run_op({"Constant", {}, {{"value", value}}})[0], value));
  });
  for_each_type(types_of("ConstantOfShape", "T2"), [](DType t) {
    Tensor value = in_type(t, {1}, {1});
    Tensor y = run_op({"ConstantOfShape", {Tensor::of<int64_t>({1}, {3})}, {{"value", value}}})[0];
    EXPECT_TRUE(identical(y, in_type(t, {3}, {1})));
  });
}

// x through one operator after another; it must come back.
template <typename F>
void expect_to_come_back(DType t, const F& build) {
  Tensor x = in_type(t, {2, 2}, {1, 2, 3, 4});
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  graph.outputs = {build(b, graph.add_input("x", Type::tensor(t, to_shape(x.dims()))))};
  verify(graph);
  EXPECT_TRUE(identical(run_graph(graph, {x})[0], x));
}

TEST(ElementTypes, SequencesAndOptionalsOfEveryType) {
  for_each_type(types_of("SequenceConstruct", "T"), [](DType t) {
    expect_to_come_back(t, [t](GraphBuilder& b, ValueId x) {
      ValueId empty = b.add("SequenceEmpty", {}, {{"dtype", static_cast<int64_t>(t)}});
      ValueId one = b.add("SequenceInsert", {empty, x});
      ValueId two = b.add("SequenceInsert", {one, b.add("SequenceAt", {one, b.int_scalar(0)})});
      ValueId rest = b.add("SequenceErase", {two, b.int_scalar(0)});
      return b.add("SequenceAt", {rest, b.int_scalar(0)});
    });
  });
  for_each_type(types_of("ConcatFromSequence", "T"), [](DType t) {
    expect_to_come_back(t, [](GraphBuilder& b, ValueId x) {
      return b.add("ConcatFromSequence", {b.add("SplitToSequence", {x})}, {{"axis", int64_t{0}}});
    });
  });
  for_each_type(types_of("Optional", "V"), [](DType t) {
    expect_to_come_back(t, [](GraphBuilder& b, ValueId x) {
      return b.add("OptionalGetElement", {b.add("Optional", {x})});
    });
  });
}

// A body with one more input than it uses, for Loop.
Graph passing_body(const Type& type, bool of_loop) {
  Graph body(builtin_ops());
  GraphBuilder b(body);
  if (of_loop) {
    body.add_input("i", Type::tensor(DType::Int64, Shape{}));
    body.outputs.push_back(
        b.add("Identity", {body.add_input("c", Type::tensor(DType::Bool, Shape{}))}));
  }
  body.outputs.push_back(b.add("Identity", {body.add_input("x", type)}));
  return body;
}

TEST(ElementTypes, SubgraphsOfEveryType) {
  for_each_type(types_of("If", "V"), [](DType t) {
    expect_to_come_back(t, [](GraphBuilder& b, ValueId x) {
      NodeOptions options;
      options.captures = {x};
      options.bodies = {passing_body(b.type(x), false), passing_body(b.type(x), false)};
      ValueId yes = b.constant(Tensor::scalar(true));
      return b.add_n("If", {yes}, 1, std::move(options))[0];
    });
  });
  for_each_type(types_of("Loop", "V"), [](DType t) {
    expect_to_come_back(t, [](GraphBuilder& b, ValueId x) {
      NodeOptions options;
      options.bodies = {passing_body(b.type(x), true)};
      return b.add_n("Loop", {b.int_scalar(2), no_value, x}, 1, std::move(options))[0];
    });
  });
  for_each_type(types_of("Scan", "V"), [](DType t) {
    expect_to_come_back(t, [](GraphBuilder& b, ValueId x) {
      NodeOptions options;
      options.attributes = {{"num_scan_inputs", int64_t{1}}};
      options.bodies = {passing_body(Type::tensor(b.dtype(x), Shape{Dim(2)}), false)};
      return b.add_n("Scan", {x}, 1, std::move(options))[0];
    });
  });
}

}  // namespace

}  // namespace onnxrun::testing
