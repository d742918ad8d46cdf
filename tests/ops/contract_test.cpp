// Holds every operator of the registry to what docs/adding-an-operator.md asks of it and to the
// standard's own table, tests/data/standard_operators.json, or ONNX Runtime's of its operators,
// tests/data/microsoft_operators.json.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "builtin_ops.h"
#include "graph/registry.h"
#include "support/files.h"
#include "support/tested_operators.h"

namespace onnxrun::testing {

namespace {

using Json = nlohmann::json;

const std::map<std::string, Json>& standard() {
  static const std::map<std::string, Json> operators = [] {
    std::map<std::string, Json> result;
    for (const char* table : {"standard_operators.json", "microsoft_operators.json"}) {
      for (const Json& op : Json::parse(std::ifstream(data_path(table)))) {
        std::string domain = op.at("domain"), name = op.at("name");
        result[domain.empty() ? name : domain + "." + name] = op;
      }
    }
    return result;
  }();
  return operators;
}

bool is_private(const OpInfo& info) { return info.spec.domain == private_domain; }

// Kinds of AttributeValue's alternatives, as the standard calls them.
constexpr const char* kinds[] = {"int",  "float",  "string",  "tensor",  "type_proto",
                                 "ints", "floats", "strings", "tensors", "type_protos"};

struct Attribute {
  std::string kind;
  bool required = false;
  std::optional<AttributeValue> value = {};
};

// Every attribute of an operator as it stands.
class Lister final : public AttributeVisitor {
 public:
  std::map<std::string, Attribute> found;

 private:
  void attribute(std::string_view name, std::optional<AttributeValue>& value, size_t alternative,
                 std::string_view, bool required) override {
    found[std::string(name)] = {kinds[alternative], required, value};
  }
};

std::map<std::string, Attribute> attributes_of(const OpInfo& info) {
  Lister lister;
  info.make()->attributes(lister);
  return lister.found;
}

// A type variable's types as the standard writes them.
std::set<std::string> type_names(const TypeConstraint& c) {
  std::set<std::string> names;
  for (int i = 1; i < dtype_count; ++i) {
    DType t = static_cast<DType>(i);
    std::string tensor = "tensor(" + std::string(to_string(t)) + ")";
    if (c.tensor.contains(t)) names.insert(tensor);
    if (c.sequence.contains(t)) names.insert("seq(" + tensor + ")");
    if (c.optional.contains(t)) names.insert("optional(" + tensor + ")");
  }
  return names;
}

// Optionals of sequences go with the optionals of their tensors; what a map holds is not told.
std::set<std::string> standard_types(const Json& list) {
  std::set<std::string> names;
  for (std::string name : list) {
    if (name.find("map(") != std::string::npos) continue;
    if (name.rfind("optional(seq(", 0) == 0) name = "optional(" + name.substr(13, name.size() - 14);
    names.insert(name);
  }
  return names;
}

// The differences of one operator from the standard's line, a line each.
class Comparison {
 public:
  Comparison(const OpInfo& info, const Json& standard)
      : spec_(info.spec), own_(attributes_of(info)), standard_(standard) {}

  std::string run() {
    expect_equal("versions", Json(spec_.since), standard_.at("since"));
    params("inputs", spec_.inputs);
    params("outputs", spec_.outputs);
    types();
    attributes();
    if (standard_.at("differentiable") && spec_.name != "Hardmax" &&  // constant but for its jumps
        spec_.gradient == GradientState::NotDifferentiable) {
      text_ += "  the standard calls it differentiable\n";
    }
    return text_;
  }

 private:
  void expect_equal(const std::string& what, const Json& own, const Json& standard) {
    if (own == standard) return;
    text_ += "  " + what + ": " + own.dump() + ", the standard has " + standard.dump() + "\n";
  }

  void expect_equal(const std::string& what, const std::set<std::string>& own,
                    const std::set<std::string>& standard) {
    for (const std::string& name : own) {
      if (!standard.count(name)) text_ += "  " + what + ": the standard has no " + name + "\n";
    }
    for (const std::string& name : standard) {
      if (!own.count(name)) text_ += "  " + what + ": the standard also has " + name + "\n";
    }
  }

  void params(const std::string& what, const std::vector<Param>& params) {
    Json own = Json::array();
    constexpr const char* names[] = {"single", "optional", "variadic"};
    for (const Param& p : params) {
      Json row = {p.name, p.type, names[static_cast<size_t>(p.kind)]};
      if (p.kind == Param::Kind::Variadic) row.insert(row.end(), {p.homogeneous, p.min_count});
      own.push_back(row);
    }
    expect_equal(what, own, standard_.at(what));
  }

  // Inputs and outputs may name a type itself, "tensor(int64)", instead of a variable.
  void types() {
    std::set<std::string> names;
    for (const auto& [name, list] : standard_.at("types").items()) names.insert(name);
    for (const char* what : {"inputs", "outputs"}) {
      for (const Json& param : standard_.at(what)) names.insert(param.at(1).get<std::string>());
    }
    std::set<std::string> own;
    for (const TypeConstraint& c : spec_.types) {
      std::string name(c.name);
      own.insert(name);
      if (!names.count(name)) continue;
      Json list = standard_.at("types").value(name, Json::array({name}));
      std::set<std::string> expected = standard_types(list);
      // Gradients of loops keep states of every trainable type in sequences.
      if (spec_.name.find("Sequence") != std::string_view::npos) {
        if (expected.count("tensor(double)")) expected.insert("tensor(bfloat16)");
        if (expected.count("seq(tensor(double))")) expected.insert("seq(tensor(bfloat16))");
      }
      bool added = c.own_double && expected.insert("tensor(double)").second;
      expect_equal("a double of its own in " + name, c.own_double, added);
      expect_equal("types of " + name, type_names(c), expected);
      bool map = list.dump().find("map(") != std::string::npos;
      expect_equal("maps in " + name, c.map, map);
    }
    expect_equal("type variables", own, names);
  }

  void attributes() {
    std::set<std::string> names, bodies;
    for (const auto& [name, expected] : standard_.at("attributes").items()) {
      if (expected.at(0) == "graph") {
        bodies.insert(name);
        continue;
      }
      names.insert(name);
      if (own_.count(name)) attribute(name, own_.at(name), expected);
    }
    std::set<std::string> own;
    for (const auto& [name, attribute] : own_) own.insert(name);
    expect_equal("attributes", own, names);
    expect_equal("subgraphs", std::set<std::string>(spec_.bodies.begin(), spec_.bodies.end()),
                 bodies);
  }

  void attribute(const std::string& name, const Attribute& own, const Json& expected) {
    if (expected.at(0) == "sparse_tensor") return;  // read as the dense tensor that it means
    expect_equal("kind of " + name, own.kind, expected.at(0));
    expect_equal("required " + name, own.required, expected.at(1));
    const Json& value = expected.at(2);
    if (value.is_null()) return;
    if (name == "activations") return;  // listed for two directions, whatever `direction` says
    AttributeValue wanted;
    if (value.is_string()) {
      wanted = value.get<std::string>();
    } else if (value.is_number_float()) {
      wanted = value.get<float>();
    } else if (value.is_number()) {
      wanted = value.get<int64_t>();
    } else if (own.kind == "ints") {
      wanted = value.get<std::vector<int64_t>>();
    } else if (own.kind == "floats") {
      wanted = value.get<std::vector<float>>();
    } else {
      wanted = value.get<std::vector<std::string>>();
    }
    if (!own.value || !equal(*own.value, wanted)) {
      text_ += "  default of " + name + ": " + (own.value ? to_string(*own.value) : "none") +
               ", the standard has " + to_string(wanted) + "\n";
    }
  }

  const OpSpec& spec_;
  std::map<std::string, Attribute> own_;
  const Json& standard_;
  std::string text_;
};

// A value of the attribute's kind that is not its default.
AttributeValue another(const std::string& name, const Attribute& a) {
  if (a.kind == "int") {
    return int64_t{a.value && std::get<int64_t>(*a.value) == 1 ? 0 : 1};
  } else if (a.kind == "float") {
    return a.value ? std::get<float>(*a.value) + 1.5f : 1.5f;
  } else if (name == "cell") {
    return "LSTM";
  } else if (a.kind == "string") {
    return (a.value ? std::get<std::string>(*a.value) : "") + "other";
  } else if (a.kind == "tensor") {
    return Tensor::of<float>({2}, {1.5f, -2.5f});
  } else if (a.kind == "type_proto") {
    return Type::sequence(Type::tensor(DType::Int64, Shape{Dim(3)}));
  } else if (a.kind == "ints") {
    return std::vector<int64_t>{3, -1, 7};
  } else if (a.kind == "floats") {
    return std::vector<float>{0.5f, -1.25f};
  }
  return std::vector<std::string>{"a", "", "c d"};
}

}  // namespace

TEST(OperatorContract, AgreesWithTheStandard) {
  for (const OpInfo* info : builtin_ops().all()) {
    if (is_private(*info)) continue;
    std::string name = info->qualified_name();
    auto it = standard().find(name);
    if (it == standard().end()) {
      ADD_FAILURE() << name << " is no operator of the standard";
      continue;
    }
    EXPECT_EQ(Comparison(*info, it->second).run(), "") << name;
  }
}

TEST(OperatorContract, AttributesComeBackAsTheyWere) {
  for (const OpInfo* info : builtin_ops().all()) {
    std::string name = info->qualified_name();
    Attributes given;
    for (const auto& [attribute, now] : attributes_of(*info))
      given[attribute] = another(attribute, now);
    std::shared_ptr<Op> op = info->make();
    read_attributes(*op, given);
    Attributes written = write_attributes(*op, *info->make());
    EXPECT_EQ(written.size(), given.size()) << name;
    for (const auto& [attribute, value] : given) {
      auto it = written.find(attribute);
      ASSERT_NE(it, written.end()) << name << ": " << attribute << " was not written";
      EXPECT_TRUE(equal(it->second, value)) << name << ": " << attribute << " was "
                                            << to_string(value) << ", is " << to_string(it->second);
    }
    for (const auto& [attribute, value] : write_attributes(*info->make(), *info->make())) {
      EXPECT_TRUE(attributes_of(*info).at(attribute).required)
          << name << ": the default of " << attribute << " was written";
    }
  }
}

TEST(OperatorContract, SaysWhatItIs) {
  for (const OpInfo* info : builtin_ops().all()) {
    const OpSpec& spec = info->spec;
    std::string name = info->qualified_name();
    EXPECT_FALSE(spec.doc.empty()) << name;
    EXPECT_EQ(spec.doc.find('\n'), std::string_view::npos) << name;
    for (const AttributeInfo& attribute : list_attributes(*info->make())) {
      EXPECT_FALSE(attribute.doc.empty()) << name << ": " << attribute.name;
    }
    EXPECT_FALSE(spec.since.empty()) << name;
    if (spec.gradient == GradientState::Decompose) {
      EXPECT_TRUE(spec.decomposes) << name << ": its gradient needs a decomposition";
    }
    if (is_private(*info)) {
      EXPECT_TRUE(spec.decomposes) << name << ": plain ONNX has no such operator";
    }
  }
}

// An input whose name says that it is learned, or a factor of a quantisation.
static bool sounds_learned(std::string_view name) {
  for (std::string_view learned : {"W", "R", "P", "slope", "bias", "scale", "Scale", "weight"}) {
    if (name == learned) return true;
  }
  return false;
}

TEST(OperatorContract, WeightsHaveRoles) {
  for (const OpInfo* info : builtin_ops().all()) {
    std::string name = info->qualified_name();
    for (const Param& input : info->spec.inputs) {
      bool layer = !is_private(*info) && info->spec.domain != "ai.onnx.preview.training";
      EXPECT_FALSE(layer && sounds_learned(input.name) && input.role == InputRole::Data)
          << name << ": " << input.name;
    }
    for (const AttributeInfo& attribute : list_attributes(*info->make())) {
      // mask_index_type is a switch.
      bool sounds_type = attribute.alternative == 0 && attribute.name != "mask_index_type" &&
                         (attribute.name == "to" || attribute.name.ends_with("dtype") ||
                          attribute.name.ends_with("_type"));
      EXPECT_TRUE(attribute.element_type || !sounds_type) << name << ": " << attribute.name;
    }
    if (!info->spec.bodies.empty()) {
      BodyLayout layout = info->make()->body_layout();
      EXPECT_TRUE(layout.once || layout.takes_inputs) << name;
    }
  }
}

// Facts about operators are asked of them (docs/decisions/0005-operators-say-what-they-are.md).
TEST(OperatorContract, AlgorithmsNameNoOperator) {
  std::set<std::string> operators;
  for (const auto& [name, op] : standard()) operators.insert(name);
  for (const OpInfo* info : builtin_ops().all()) operators.insert(std::string(info->spec.name));
  for (const char* file : {"runtime/passes/parameters.cpp",
                           "runtime/passes/weight_uses.cpp",
                           "runtime/passes/plain_forms.cpp",
                           "runtime/passes/widen.cpp",
                           "runtime/passes/remove_noops.cpp",
                           "runtime/passes/body_gradient.cpp",
                           "runtime/passes/fuse/quantized.cpp",
                           "runtime/passes/fuse/limits.cpp",
                           "runtime/passes/fuse/channel_maps.cpp",
                           "runtime/passes/fuse/transpositions.cpp",
                           "runtime/passes/fuse/recompute.cpp",
                           "runtime/passes/fuse/parts.cpp",
                           "runtime/passes/layout.cpp",
                           "runtime/passes/fuse/relu_gradients.cpp",
                           "runtime/training/modes.cpp",
                           "api/fit/loss_choice.cpp",
                           "api/initial_values.cpp",
                           "tools/random_inputs.cpp",
                           "tools/node_cost.cpp",
                           "importer/node_reader.cpp"}) {
    std::ifstream stream(source_path(file));
    ASSERT_TRUE(stream) << file;
    std::string line;
    for (int number = 1; std::getline(stream, line); ++number) {
      bool emits =
          line.find(".add(") != std::string::npos || line.find(".add_n(") != std::string::npos;
      if (emits) continue;
      for (size_t at = line.find('"'); at != std::string::npos;) {
        size_t end = line.find('"', at + 1);
        if (end == std::string::npos) break;
        std::string literal = line.substr(at + 1, end - at - 1);
        bool constant = literal == "Constant";  // whose tensors become initializers
        EXPECT_TRUE(constant || !operators.count(literal))
            << file << ":" << number << ": " << literal;
        at = line.find('"', end + 1);
      }
    }
  }
}

// What all other suites of this program wrote into the folder.
static TriedOperators tried_by_other_suites(const std::string& folder) {
  const ::testing::UnitTest& program = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < program.total_test_suite_count(); ++i) {
    std::string suite = program.GetTestSuite(i)->name();
    if (suite == "TestedOperators" || suite == "GoogleTestVerification") continue;
    std::replace(suite.begin(), suite.end(), '/', '_');
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(folder) / suite))
        << suite << " has not run since the program was linked: run all suites, ctest -R unit";
  }
  return ::testing::Test::HasFailure() ? TriedOperators() : read_tried(folder);
}

TEST(TestedOperators, EveryOperatorIsTried) {
  const char* folder = std::getenv("ONNXRUN_TRIED_FOLDER");
  if (!folder) GTEST_SKIP() << "suites note what they try where ctest runs them";
  TriedOperators tried = tried_by_other_suites(folder);
  if (HasFailure()) return;
  for (const OpInfo* info : builtin_ops().all()) {
    const OpSpec& spec = info->spec;
    std::string name = info->qualified_name();
    auto has = [&](Tried what) { return tried.count({what, name}) > 0; };
    EXPECT_TRUE(has(Tried::Run)) << name << " was never run by a test";
    if (spec.gradient != GradientState::NotDifferentiable) {
      EXPECT_TRUE(has(Tried::Gradient)) << "the gradient of " << name << " was never checked";
    }
    if (spec.decomposes) {
      EXPECT_TRUE(has(Tried::Decomposition))
          << name << " was never compared with what it is made of";
    }
  }
}

}  // namespace onnxrun::testing
