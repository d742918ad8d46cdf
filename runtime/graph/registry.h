// What operators there are: their specs, by domain, name and opset.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.h"

namespace onnxrun {

class UpgradeContext;

// The opset of domain "ai.onnx" that graphs speak: the newest released one, 27, and what 28 adds.
inline constexpr int current_opset = 28;
inline constexpr int current_ml_opset = 5;
// Private operators of this library.
inline constexpr std::string_view private_domain = "onnxrun";

// A type variable of an operator ("T") and what it may stand for.
struct TypeConstraint {
  std::string_view name;
  DTypeSet tensor;         // tensor(x)
  DTypeSet sequence = {};  // seq(tensor(x))
  DTypeSet optional = {};  // optional(tensor(x)) and optional(seq(tensor(x)))
  bool map = false;
  // Float64 is one of `tensor` here, and not in the operator's specification: what has a gradient
  // has it in double, too.
  bool own_double = false;
};

// Those types of the specification, and a float64 of our own.
constexpr TypeConstraint with_own_double(std::string_view name, DTypeSet tensor) {
  return {.name = name, .tensor = tensor | DTypeSet(DType::Float64), .own_double = true};
}

// What an input is to its operator.
enum class InputRole : uint8_t {
  Data,       // what it computes with
  Weight,     // a matrix, kernel or slope, learned where it is stored in the model
  Bias,       // what it adds, learned
  Scale,      // what a normalisation multiplies by, learned
  Table,      // rows to look up, learned where it is stored in the model
  Statistic,  // a running mean or variance
  State,      // what a recurrent layer starts with
  Index,      // places along the axis of input 0 that attribute 'axis' names
  Setting,    // how it computes: shapes, axes, limits, ratios; nothing to learn
};

// True for roles that training may move.
constexpr bool is_learned(InputRole role) {
  return role == InputRole::Weight || role == InputRole::Bias || role == InputRole::Scale ||
         role == InputRole::Table;
}

// {"X", "T"}, {"B", "T", Param::Kind::Optional, InputRole::Bias}, {"W", "T", InputRole::Weight},
// {"inputs", "T", Param::Kind::Variadic, false, 0}.
struct Param {
  enum class Kind : uint8_t { Single, Optional, Variadic };

  constexpr Param(std::string_view name_, std::string_view type_, Kind kind_ = Kind::Single,
                  bool homogeneous_ = true, int min_count_ = 1)
      : name(name_), type(type_), kind(kind_), homogeneous(homogeneous_), min_count(min_count_) {}
  constexpr Param(std::string_view name_, std::string_view type_, InputRole role_)
      : name(name_), type(type_), role(role_) {}
  constexpr Param(std::string_view name_, std::string_view type_, Kind kind_, InputRole role_)
      : name(name_), type(type_), kind(kind_), role(role_) {}

  std::string_view name;
  std::string_view type;  // the name of a TypeConstraint
  Kind kind = Kind::Single;
  bool homogeneous = true;  // Variadic: all of one type
  int min_count = 1;        // Variadic
  InputRole role = InputRole::Data;
};

// What an operator is to those who look for patterns in a model.
enum class OpKind : uint8_t {
  Other,
  Move,           // outputs hold elements of the data inputs, in other places or of another type
  Sum,            // a + b, a - b
  Multiply,       // a * b
  Divide,         // a / b
  Reciprocal,     // 1 / x
  Extreme,        // the larger or smaller of its inputs, limits
  Root,           // the square root
  Reduction,      // sums, means and sums of squares over axes
  Norm,           // the root of such a reduction
  Product,        // matrix products, convolutions: sums of products with a weight
  Activation,     // a function of each element, and pools: channels stay what they were
  Normalization,  // mean and variance taken out, then scale and bias
};

// What the elements of an operator's first output are.
enum class Meaning : uint8_t {
  Any,
  Probability,       // each of them of its own event
  Probabilities,     // those along an axis sum to one
  LogProbabilities,  // logarithms of such
};

enum class GradientState : uint8_t {
  Rule,               // gradient() emits it
  Decompose,          // the decomposition is differentiated instead
  NotDifferentiable,  // nothing flows back: comparisons, shapes, indices, rounding
};

// Everything the library says about an operator: checks, passes, help and tests read it from here.
struct OpSpec {
  std::string_view name;
  std::string_view domain = "";  // "" is ai.onnx
  std::string_view doc;          // one line
  std::vector<int> since;        // opsets that gave it a version, ascending, as in the standard
  std::vector<Param> inputs;
  std::vector<Param> outputs;
  std::vector<TypeConstraint> types;
  OpKind kind = OpKind::Other;
  Meaning meaning = Meaning::Any;
  GradientState gradient = GradientState::Rule;
  bool decomposes = false;  // decompose() is there (besides or instead of a kernel and a rule)
  std::vector<std::string_view> bodies = {};  // names of its subgraph attributes
  bool bodies_optional = false;  // a body that a node lacks gives its formal inputs as they are
  // Rewrites a node of an older opset in today's terms; null if no version differs in form or
  // meaning.
  void (*upgrade)(UpgradeContext&) = nullptr;

  // What input i is; the last parameter, if it is variadic, speaks for all that follow.
  InputRole role_of(size_t i) const {
    if (i < inputs.size()) return inputs[i].role;
    bool repeats = !inputs.empty() && inputs.back().kind == Param::Kind::Variadic;
    return repeats ? inputs.back().role : InputRole::Data;
  }
};

struct OpInfo {
  OpSpec spec;
  std::function<std::shared_ptr<Op>()> make;  // with default attributes

  // "Softmax", "ai.onnx.ml.Normalizer", "onnxrun.SumTo".
  std::string qualified_name() const;
};

class OpRegistry {
 public:
  template <typename T>
  void add(OpSpec spec) {
    insert({std::move(spec), [] { return std::make_shared<T>(); }});
  }
  // For families whose members need a constructor argument.
  void add(OpSpec spec, std::function<std::shared_ptr<Op>()> make) {
    insert({std::move(spec), std::move(make)});
  }

  // Null if there is none. Domain "ai.onnx" is the same as "". The pointer lives as long as the
  // registry.
  const OpInfo* find(std::string_view domain, std::string_view name) const;
  // By qualified name; throws Internal if there is none (for names written in our own code).
  const OpInfo& get(std::string_view qualified_name) const;

  // All operators, ordered by domain and name.
  std::vector<const OpInfo*> all() const;

 private:
  void insert(OpInfo info);

  std::map<std::string, std::unique_ptr<OpInfo>, std::less<>> ops_;
};

}  // namespace onnxrun
