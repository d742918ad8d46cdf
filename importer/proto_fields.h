// Fields of messages by their number, whether the installed ONNX classes know them or not.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace onnxrun {

// Field numbers of newer IR versions than libonnx 1.12's.
namespace onnx_field {
inline constexpr int node_overload = 8;
inline constexpr int function_attribute_proto = 11;
inline constexpr int function_overload = 13;
inline constexpr int value_info_metadata = 4;
inline constexpr int graph_metadata = 16;
}  // namespace onnx_field

// The contents of all occurrences of a string, bytes or message field (messages in wire form).
std::vector<std::string> read_bytes_field(const google::protobuf::Message& message, int number);

// The last occurrence, or "".
std::string read_string_field(const google::protobuf::Message& message, int number);

// A repeated StringStringEntryProto, as all metadata_props are.
std::map<std::string, std::string> read_metadata(const google::protobuf::Message& message,
                                                 int number);

// GraphProto.metadata_props.
std::map<std::string, std::string, std::less<>> graph_metadata(
    const google::protobuf::Message& graph);

}  // namespace onnxrun
