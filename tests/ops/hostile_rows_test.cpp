// Every operator on what no node should have: lengths of zero, other ranks and lengths, indices and
// counts out of range, numbers at the ends of their types, attributes as no exporter writes them,
// inputs left out. Each node is refused with an error of the contract, or runs within its limits,
// and does so alike whether its inputs are constants, of known shape, or known when it runs only.
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <random>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/op.h"
#include "onnxrun/session.h"
#include "ops/type_rows.h"
#include "passes/gradient.h"
#include "support/thinning.h"

namespace onnxrun::testing {

namespace {

// One thing that is wrong with a node.
struct Change {
  std::string what;
  std::function<void(OpRun&)> make;
};

constexpr int64_t hostile_ints[] = {-1, 0, 1, 2, 7, INT32_MAX, INT64_MAX, INT64_MIN};
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float hostile_floats[] = {0, -1, 1e30F, NAN, infinity, -infinity};
const std::vector<Dims> hostile_shapes = {{}, {0}, {1}, {5}, {0, 3}, {1, 1, 1, 1, 1, 1, 1}};

// As many elements as `t`, all of them `value`.
template <typename T>
Tensor filled(const Tensor& t, const T& value) {
  Tensor result(dtype_of<T>, t.dims());
  std::fill_n(result.data<T>(), result.size(), value);
  return convert(result, t.dtype());
}

// Tensors whose elements are at the ends of their type, 0 or -1.
std::vector<Tensor> extremes(const Tensor& t) {
  std::vector<Tensor> all;
  if (t.dtype() == DType::String) {
    for (const char* text : {"", "((((", "\xff\xfe", "-1", "nan"}) {
      all.push_back(filled(t, std::string(text)));
    }
  } else if (is_float(t.dtype())) {
    for (float v : hostile_floats) all.push_back(filled(t, v));
  } else if (!is_complex(t.dtype())) {
    for (int64_t v : hostile_ints) all.push_back(filled(t, v));
  }
  return all;
}

// A row's node, and all that is to be wrong with it.
class Changes {
 public:
  // Type variables that may be of type `wanted` are.
  Changes(const Row& row, DType wanted) : row_(row), info_(builtin_ops().get(row.op)) {
    Types types;
    for (const TypeConstraint& c : info_.spec.types) {
      if (c.tensor.empty()) continue;
      types[c.name] = c.tensor.contains(wanted) ? wanted : widest(c.tensor);
    }
    plain_ = run_of(row_, info_.spec, types);
    for (size_t i = 0; i < plain_.inputs.size(); ++i) {
      if (!plain_.inputs[i].defined()) continue;
      shapes(i);
      for (const Tensor& t : extremes(plain_.inputs[i])) input(i, "all " + first_element(t), t);
      input(i, "left out", Tensor());
    }
    for (const AttributeInfo& a : list_attributes(*info_.make())) attribute(a);
  }

  const std::vector<Change>& all() const { return all_; }
  const OpRun& plain() const { return plain_; }

 private:
  void input(size_t i, const std::string& what, const Tensor& t) {
    all_.push_back(
        {"input " + std::to_string(i) + " " + what, [i, t](OpRun& run) { run.inputs[i] = t; }});
  }

  void shape(size_t i, const Dims& dims) {
    std::vector<double> values = row_.inputs[i].values;
    if (values.empty()) values = {1, 2, 3};
    DType t = plain_.inputs[i].dtype();
    input(i, "of " + to_string(to_shape(dims)), in_type(t, dims, values));
  }

  // No elements, one axis more or less, one element more.
  void shapes(size_t i) {
    const Dims dims = plain_.inputs[i].dims();
    for (const Dims& d : hostile_shapes) shape(i, d);
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      for (int64_t length : {int64_t{0}, dims[axis] + 1}) {
        Dims changed = dims;
        changed[axis] = length;
        shape(i, changed);
      }
      Dims fewer = dims, more = dims;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(axis));
      more.insert(more.begin() + static_cast<std::ptrdiff_t>(axis), 1);
      shape(i, fewer);
      shape(i, more);
    }
  }

  static std::string first_element(const Tensor& t) {
    if (t.size() == 0) return "nothing";
    if (t.dtype() == DType::String) return "'" + t.data<std::string>()[0] + "'";
    return std::to_string(values_of(t)[0]);
  }

  void attribute(const std::string& name, const AttributeValue& value) {
    all_.push_back({name + " = " + to_string(value),
                    [name, value](OpRun& run) { run.attributes.insert_or_assign(name, value); }});
  }

  void attribute(const AttributeInfo& a) {
    switch (a.alternative) {
      case 0:
        for (int64_t v : hostile_ints) attribute(a.name, v);
        break;
      case 1:
        for (float v : hostile_floats) attribute(a.name, v);
        break;
      case 2:
        for (const char* v : {"", "nonsense"}) attribute(a.name, std::string(v));
        break;
      case 3:
        attribute(a.name, Tensor::of<float>({0}, {}));
        attribute(a.name, Tensor::of<int64_t>({2}, {INT64_MIN, INT64_MAX}));
        break;
      case 5:
        lists<int64_t>(a, hostile_ints);
        break;
      case 6:
        lists<float>(a, hostile_floats);
        break;
      case 7:
        for (size_t count : {0, 1, 5}) {
          attribute(a.name, std::vector<std::string>(count, "nonsense"));
        }
        break;
      default:
        break;
    }
    if (row_.attributes.count(a.name)) {
      all_.push_back({"no " + a.name, [name = a.name](OpRun& run) { run.attributes.erase(name); }});
    }
  }

  // Lists of no element, of as many as the row has, or of one, and of too many.
  template <typename T, size_t N>
  void lists(const AttributeInfo& a, const T (&elements)[N]) {
    auto given = row_.attributes.find(a.name);
    size_t usual = 1;
    if (given != row_.attributes.end()) usual = std::get<std::vector<T>>(given->second).size();
    attribute(a.name, std::vector<T>());
    for (T v : elements) attribute(a.name, std::vector<T>(usual, v));
    attribute(a.name, std::vector<T>(usual + 5, T{1}));
  }

  const Row& row_;
  const OpInfo& info_;
  OpRun plain_;
  std::vector<Change> all_;
};

enum class Feed { Constant, Static, Dynamic };

struct Fed {
  Graph graph{builtin_ops()};
  NamedValues inputs;
};

Fed feed(const OpRun& run, Feed how) {
  Fed fed;
  std::vector<ValueId> inputs;
  for (const Tensor& t : run.inputs) {
    std::string name = "in" + std::to_string(inputs.size());
    if (!t.defined()) {
      inputs.push_back(no_value);
    } else if (how == Feed::Constant) {
      inputs.push_back(fed.graph.add_initializer(name, t));
    } else {
      bool known = how == Feed::Static;
      inputs.push_back(fed.graph.add_input(
          name, known ? Type::tensor(t.dtype(), to_shape(t.dims())) : Type::tensor(t.dtype())));
      fed.inputs.push_back({name, t});
    }
  }
  GraphBuilder b(fed.graph);
  fed.graph.outputs = b.add_n(run.op, inputs, run.outputs, {.attributes = run.attributes});
  return fed;
}

// The gradient of the sum of the float outputs with respect to the float inputs.
void differentiate(Graph& graph) {
  GraphBuilder b(graph);
  std::vector<Seed> seeds;
  std::vector<ValueId> wrt;
  for (ValueId y : graph.outputs) {
    if (!dtypes::floats.contains(b.dtype(y))) continue;
    seeds.push_back({y, b.add("Add", {b.zeros_like(y), b.scalar_like(1, y)})});
  }
  for (ValueId x : graph.inputs) {
    if (dtypes::floats.contains(b.dtype(x))) wrt.push_back(x);
  }
  graph.outputs = gradient(graph, seeds, wrt);
}

NamedValues run_limited(const Fed& fed) {
  SessionOptions options;
  options.max_memory = 256 << 20;
  options.max_tensor_bytes = 64 << 20;
  options.max_loop_iterations = 100'000;
  options.timeout_seconds = 60;
  return Session(Model(std::make_shared<Graph>(fed.graph)), options).run(fed.inputs);
}

// What a run gave; nothing if it was refused as it may be.
std::optional<NamedValues> outcome(const std::string& label,
                                   const std::function<NamedValues()>& run) {
  try {
    return run();
  } catch (const Error& e) {
    ErrorKind k = e.kind();
    bool documented = k == ErrorKind::BadModel || k == ErrorKind::BadInput ||
                      k == ErrorKind::Unsupported || k == ErrorKind::Limit ||
                      k == ErrorKind::Numeric;
    EXPECT_TRUE(documented) << label << ": " << to_string(k) << ": " << e.what();
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << label << ": " << e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << label << ": " << e.what();
  }
  return std::nullopt;
}

// Where there is nothing to compute, nobody need look at what it would be computed from.
bool is_nothing(const std::optional<NamedValues>& values) {
  return values && std::all_of(values->begin(), values->end(), [](const auto& v) {
           return v.second.is_tensor() && v.second.tensor.size() == 0;
         });
}

void expect_alike(const std::optional<NamedValues>& a, const std::optional<NamedValues>& b,
                  bool random, const std::string& label) {
  if (is_nothing(a) || is_nothing(b)) return;
  ASSERT_EQ(a.has_value(), b.has_value()) << label;
  for (size_t k = 0; a && k < a->size(); ++k) {
    const RuntimeValue &x = (*a)[k].second, &y = (*b)[k].second;
    if (!x.is_tensor() || !y.is_tensor()) continue;
    ASSERT_EQ(x.tensor.type_text(), y.tensor.type_text()) << label;
    ASSERT_TRUE(random || identical(x.tensor, y.tensor)) << label;
  }
}

void run_changed(OpRun run, const std::vector<const Change*>& changes, const std::string& with) {
  const OpInfo& info = builtin_ops().get(run.op);
  std::string label = run.op + with;
  for (const Change* change : changes) {
    change->make(run);
    label += ", " + change->what;
  }
  auto as = [&](Feed how, const char* what) {
    return outcome(label + what, [&] { return run_limited(feed(run, how)); });
  };
  bool random = info.make()->traits().random;
  auto known = as(Feed::Static, "");
  expect_alike(as(Feed::Constant, ", constant"), known, random, label + ", constant");
  expect_alike(as(Feed::Dynamic, ", dynamic"), known, random, label + ", dynamic");
  if (!known || info.spec.gradient == GradientState::NotDifferentiable) return;
  outcome(label + ", gradient", [&] {
    Fed fed = feed(run, Feed::Static);
    differentiate(fed.graph);
    return run_limited(fed);
  });
}

// Every change alone, then with another one.
void run_rows(const std::vector<Row>& rows) {
  int64_t count = 0;
  std::map<std::string, int> tried;
  std::mt19937 random(7);
  for (DType type : {DType::Float32, DType::Float64, DType::Float16}) {
    std::string with = " in " + std::string(to_string(type));
    for (const Row& row : rows) {
      Changes changes(row, type);
      const std::vector<Change>& all = changes.all();
      auto any = [&] { return &all[random() % all.size()]; };
      for (const Change& change : all) {
        std::vector<const Change*> these = {&change};
        for (int more = 0; more < 2; ++more, these.push_back(any())) {
          if (count++ % thinning != 0) continue;
          run_changed(changes.plain(), these, with);
          ++tried[row.op];
        }
      }
    }
  }
  for (const auto& [op, cases] : tried) EXPECT_GE(cases, 3) << op;
}

// Nodes whose types an attribute decides, or that give no tensors.
std::vector<Row> other_rows() {
  using Ints = std::vector<int64_t>;
  using Strings = std::vector<std::string>;
  const Dims m = {2, 3};
  Attributes grams = {{"mode", std::string("TF")},     {"min_gram_length", int64_t{1}},
                      {"max_gram_length", int64_t{2}}, {"max_skip_count", int64_t{1}},
                      {"ngram_counts", Ints{0, 1}},    {"ngram_indexes", Ints{0, 1}},
                      {"pool_int64s", Ints{5, 6, 7}}};
  Attributes labels = {{"keys_floats", std::vector<float>{1, 2}}, {"values_int64s", Ints{3, 4}}};
  return {
      {"Cast", {{m}}, {{"to", int64_t{6}}}},
      {"BitCast", {{m}}, {{"to", int64_t{6}}}},
      {"Constant", {}, {{"value", Tensor::of<float>({1}, {1})}}},
      {"ConstantOfShape", {{{2}, {2, 3}}}, {{"value", Tensor::of<float>({1}, {1})}}},
      {"SequenceConstruct", {{m}, {m}}},
      {"SequenceEmpty", {}, {{"dtype", int64_t{1}}}},
      {"SplitToSequence", {{m}, {{2}, {1, 2}}}, {{"axis", int64_t{1}}}},
      {"Optional", {{m}}},
      {"TfIdfVectorizer", {{{4}, {5, 6, 7, 5}}}, grams},
      {"com.microsoft.GridSample", {{{1, 1, 2, 2}}, {{1, 2, 2, 2}, {0, 0.5}}}},
      {"ai.onnx.ml.LabelEncoder", {{m}}, labels},
      {"ai.onnx.ml.CategoryMapper",
       {{m}},
       {{"cats_int64s", Ints{1, 2}}, {"cats_strings", Strings{"a", "b"}}}},
      {"ai.onnx.ml.OneHotEncoder", {{m}}, {{"cats_int64s", Ints{1, 2}}}},
      {"ai.onnx.ml.ZipMap", {{m}}, {{"classlabels_strings", Strings{"a", "b", "c"}}}},
  };
}

TEST(HostileRows, OfTheStandard) { run_rows(standard_rows()); }
TEST(HostileRows, OfEarlyOpsets) { run_rows(early_rows()); }
TEST(HostileRows, OfMicrosoft) { run_rows(microsoft_rows()); }
TEST(HostileRows, OfMicrosoftForms) { run_rows(microsoft_form_rows()); }
TEST(HostileRows, OfOtherTypes) { run_rows(other_rows()); }
TEST(HostileRows, OfClassicalModels) { run_rows(ml_rows()); }

}  // namespace

}  // namespace onnxrun::testing
