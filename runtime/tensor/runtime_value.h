// What a graph value is at run time: a tensor, a sequence, an optional or a map.
#pragma once

#include <memory>
#include <vector>

#include "tensor/tensor.h"

namespace onnxrun {

// A handle; copies share tensors and items. Items are never changed in place.
struct RuntimeValue {
  enum class Kind : uint8_t { None, Tensor, Sequence, Optional, Map };

  Kind kind = Kind::None;
  Tensor tensor;  // of a tensor; the keys of a map
  // Elements of a sequence; none or one of an optional; values of a map in the order of its keys.
  std::shared_ptr<const std::vector<RuntimeValue>> items;

  RuntimeValue() = default;
  RuntimeValue(Tensor t) : kind(Kind::Tensor), tensor(std::move(t)) {}  // NOLINT: tensors convert
  static RuntimeValue sequence(std::vector<RuntimeValue> elements) {
    return of_items(Kind::Sequence, std::move(elements));
  }
  static RuntimeValue optional(std::vector<RuntimeValue> none_or_one) {
    return of_items(Kind::Optional, std::move(none_or_one));
  }
  static RuntimeValue map(Tensor keys, std::vector<RuntimeValue> values) {
    RuntimeValue v = of_items(Kind::Map, std::move(values));
    v.tensor = std::move(keys);
    return v;
  }

  bool is_tensor() const { return kind == Kind::Tensor; }

 private:
  static RuntimeValue of_items(Kind kind, std::vector<RuntimeValue> elements) {
    RuntimeValue v;
    v.kind = kind;
    v.items = std::make_shared<const std::vector<RuntimeValue>>(std::move(elements));
    return v;
  }
};

}  // namespace onnxrun
