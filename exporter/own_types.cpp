#include "own_types.h"

#include <algorithm>
#include <array>

namespace onnxrun {

namespace {

struct OwnType {
  std::string_view op, parameter;
  DType type;
};
// Of ai.onnx. Sequences, which no cast converts, are left out.
constexpr std::array own_types = {
    OwnType{"CausalConvWithState", "T", DType::Float64},
    OwnType{"DequantizeLinear", "T2", DType::Float64},
    OwnType{"DequantizeLinear", "T3", DType::Float64},
    OwnType{"LinearAttention", "S", DType::Float64},
    OwnType{"LinearAttention", "T", DType::Float64},
    OwnType{"QuantizeLinear", "T1", DType::Float64},
    OwnType{"QuantizeLinear", "T2", DType::Float64},
    OwnType{"RotaryEmbedding", "T", DType::Float64},
};

}  // namespace

bool is_own_type(const OpSpec& spec, std::string_view parameter, DType type) {
  return spec.domain.empty() &&
         std::any_of(own_types.begin(), own_types.end(), [&](const OwnType& own) {
           return own.op == spec.name && own.parameter == parameter && own.type == type;
         });
}

}  // namespace onnxrun
