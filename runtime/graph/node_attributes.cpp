#include "graph/node_attributes.h"

namespace onnxrun {

Attributes attributes_of(const Node& node) {
  return write_attributes(*node.op, *node.info->make());
}

void set_attributes(Node& node, const Attributes& attributes) {
  std::shared_ptr<Op> op = node.info->make();
  read_attributes(*op, attributes);
  node.op = std::move(op);
}

}  // namespace onnxrun
