// What an operator sees of a node while types are inferred.
#pragma once

#include <fmt/core.h>

#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"
#include "onnxrun/value.h"

namespace onnxrun {

// Inputs and outputs are those of the operator; captures belong to bodies. A method that takes an
// input's index requires has_input(i) unless it says otherwise.
class InferContext {
 public:
  // `values`, if not empty, are the formal inputs' elements: an executor infers with them what the
  // graph alone does not tell. `settling` as in infer_node().
  InferContext(Graph& graph, Node& node, std::span<const RuntimeValue* const> values = {},
               bool settling = false)
      : graph_(graph), node_(node), values_(values), settling_(settling) {}

  size_t num_inputs() const { return node_.formal_inputs(); }
  bool has_input(size_t i) const { return i < num_inputs() && node_.inputs[i] != no_value; }
  const Type& type(size_t i) const { return graph_.value(node_.inputs[i]).type; }
  DType dtype(size_t i) const { return type(i).dtype; }
  // Null if the rank is unknown.
  const Shape* shape(size_t i) const { return type(i).shape ? &*type(i).shape : nullptr; }
  // -1 if unknown.
  int64_t rank(size_t i) const { return type(i).rank(); }

  // The input's elements if they are known now, else null; null for an input that is not there.
  const Tensor* constant(size_t i) const;
  // A known integer input (int32 or int64) as int64s.
  std::optional<std::vector<int64_t>> ints(size_t i) const;
  // An integer input's elements as far as they are known symbolically.
  std::optional<std::vector<Dim>> content(size_t i) const;

  size_t num_outputs() const { return node_.outputs.size(); }
  bool has_output(size_t i) const { return i < num_outputs() && node_.outputs[i] != no_value; }
  // Outputs that are not there are ignored.
  void set_output(size_t i, Type type);
  void set_output(size_t i, DType dtype, std::optional<Shape> shape = std::nullopt) {
    set_output(i, Type::tensor(dtype, std::move(shape)));
  }
  // Symbolic elements of an integer output of rank 0 or 1.
  void set_content(size_t i, std::vector<Dim> elements);

  // Subgraphs.
  size_t num_bodies() const { return node_.bodies.size(); }
  const Graph& body(size_t k) const { return node_.bodies[k]; }
  // The elements of captured value k if they are known now, else null.
  const Tensor* captured_constant(size_t k) const {
    return graph_.constant(node_.inputs[num_inputs() + k]);
  }
  // Infers body k for formal inputs of these types (captures get theirs by themselves); returns the
  // types of its outputs.
  std::vector<Type> infer_body(size_t k, const std::vector<Type>& formal) {
    return infer_body(k, formal, settling_);
  }
  // The same for a body whose first `states` inputs after `before` others become its outputs
  // from `first_output` on and then its inputs again: goes on until their types cover both.
  // `formal` becomes what they settled on.
  std::vector<Type> settle_body(size_t k, std::vector<Type>& formal, size_t before, size_t states,
                                size_t first_output);

  // Rejects a type that is known to be anything but one element of `dtype`.
  void require_one(const Type& type, DType dtype, std::string_view what) const;

  // Throws BadModel.
  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ErrorKind::BadModel, fmt::format(format, std::forward<Args>(args)...));
  }
  // "A 'x' is float[8,197]": an input as error texts name it.
  std::string describe_input(size_t i) const;

 private:
  std::vector<Type> infer_body(size_t k, const std::vector<Type>& formal, bool settling);

  Graph& graph_;
  Node& node_;
  std::span<const RuntimeValue* const> values_;
  bool settling_;
};

// Output 0 has input 0's type.
void infer_same(InferContext& c);
// Output 0 has the broadcast shape of all inputs and type `dtype`.
void infer_broadcast(InferContext& c, DType dtype);

}  // namespace onnxrun
