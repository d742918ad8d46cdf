// In what order nodes are read that a file has not in order.
#pragma once

#include <onnx/onnx_pb.h>

#include <vector>

namespace onnxrun {

// Places of `nodes`, those of one graph or function, such that what a node or its subgraphs read is
// produced before it. The file's own order where it is one, else the one that stays closest to it;
// also the file's own where there is none, as nodes form a cycle. Linear.
std::vector<int> reading_order(const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes);

}  // namespace onnxrun
