// The attributes of a node that is in a graph: read, and changed by a new operator in its place.
#pragma once

#include <string>
#include <utility>

#include "graph/graph.h"

namespace onnxrun {

// Those that are required or differ from the operator's defaults, as a model file has them.
Attributes attributes_of(const Node& node);

// The attribute `name`, or `otherwise`, its default, where attributes_of() does not have it. T is
// the alternative of AttributeValue that the operator reads.
template <typename T>
T attribute_or(const Node& node, const std::string& name, T otherwise) {
  Attributes attributes = attributes_of(node);
  auto it = attributes.find(name);
  return it == attributes.end() ? std::move(otherwise) : std::get<T>(std::move(it->second));
}

// Replaces the node's operator by one of its kind with exactly these attributes; the types of the
// outputs are not inferred anew. Throws like read_attributes().
void set_attributes(Node& node, const Attributes& attributes);

}  // namespace onnxrun
