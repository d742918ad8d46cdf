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
};

struct Param {
  enum class Kind : uint8_t { Single, Optional, Variadic };

  std::string_view name;
  std::string_view type;  // the name of a TypeConstraint
  Kind kind = Kind::Single;
  bool homogeneous = true;  // Variadic: all of one type
  int min_count = 1;        // Variadic
};

enum class GradientState : uint8_t {
  Rule,               // gradient() emits it
  Decompose,          // the decomposition is differentiated instead
  NotDifferentiable,  // nothing flows back: comparisons, shapes, indices, rounding
};

// Everything the library says about an operator: checks, help and tests read it from here.
struct OpSpec {
  std::string_view name;
  std::string_view domain = "";  // "" is ai.onnx
  std::string_view doc;          // one line
  std::vector<int> since;        // opsets that gave it a version, ascending, as in the standard
  std::vector<Param> inputs;
  std::vector<Param> outputs;
  std::vector<TypeConstraint> types;
  GradientState gradient = GradientState::Rule;
  bool decomposes = false;  // decompose() is there (besides or instead of a kernel and a rule)
  std::vector<std::string_view> bodies = {};  // names of its subgraph attributes
  // Rewrites a node of an older opset in today's terms; null if no version differs in form or
  // meaning.
  void (*upgrade)(UpgradeContext&) = nullptr;
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
