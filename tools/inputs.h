// The inputs of a run, from what the command line says.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common_options.h"
#include "graph/graph.h"
#include "onnxrun/session.h"
#include "options.h"

namespace onnxrun::tool {

struct InputOptions {
  std::vector<std::string> inputs, dims, shapes, ranges;
  bool random = false;
};

// -i, --dim, --shape, --random, --range.
void add_input_options(Options& options, InputOptions& values);

// What --dim and --shape say, checked against the graph's inputs.
struct ShapeBindings {
  std::map<std::string, int64_t> dims;  // by the name of the dimension
  std::map<std::string, Dims> shapes;   // by input

  // The type of input `v` with all that is bound filled in.
  Type apply(const Graph& graph, ValueId v) const;
};
ShapeBindings parse_bindings(const Graph& graph, const InputOptions& options);

// A value for each input in `needed`, random ones where the options ask for it. Values for other
// inputs of the model are allowed and left out. Throws BadInput: a name that is no input, an input
// that is missing, a shape that contradicts --dim or --shape.
NamedValues gather_inputs(const Graph& graph, const InputOptions& options,
                          const CommonOptions& common, const std::vector<std::string>& needed);

// What `spec` without a name holds, by input: arrays named like inputs, or one for the only input.
NamedValues read_unnamed(const Graph& graph, const std::string& spec, int64_t max_memory);

// The inputs of a graph, those that override initializers at the end.
std::vector<ValueId> all_inputs(const Graph& graph);
std::vector<std::string> names_of(const Graph& graph, const std::vector<ValueId>& ids);

}  // namespace onnxrun::tool
