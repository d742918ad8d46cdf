// What a graph value is at run time: a tensor, a sequence, an optional or a map.
#pragma once

#include <memory>
#include <vector>

#include "onnxrun/tensor.h"

namespace onnxrun {

// A handle; copies share tensors and items. Items are never changed in place while they are shared.
struct RuntimeValue {
  enum class Kind : uint8_t { None, Tensor, Sequence, Optional, Map };
  using Items = std::vector<RuntimeValue>;

  Kind kind = Kind::None;
  Tensor tensor;  // of a tensor; the keys of a map
  // Elements of a sequence; none or one of an optional; values of a map in the order of its keys.
  std::shared_ptr<const Items> items;

  RuntimeValue() = default;
  RuntimeValue(Tensor t) : kind(Kind::Tensor), tensor(std::move(t)) {}  // NOLINT: tensors convert
  static RuntimeValue sequence(Items elements) {
    return of_items(Kind::Sequence, std::move(elements));
  }
  static RuntimeValue optional(Items none_or_one) {
    return of_items(Kind::Optional, std::move(none_or_one));
  }
  static RuntimeValue map(Tensor keys, Items values) {
    RuntimeValue v = of_items(Kind::Map, std::move(values));
    v.tensor = std::move(keys);
    return v;
  }

  bool is_tensor() const { return kind == Kind::Tensor; }

  // The items; an Internal error where there are none to have: a tensor, nothing.
  const Items& elements() const {
    if (!items) [[unlikely]]
      fail_elements();
    return *items;
  }
  // The items to change: handed over if no other value shares them, else a copy. The value is none
  // afterwards.
  Items take_elements();

 private:
  [[noreturn, gnu::cold]] static void fail_elements();

  static RuntimeValue of_items(Kind kind, Items elements) {
    RuntimeValue v;
    v.kind = kind;
    v.items = std::make_shared<Items>(std::move(elements));
    return v;
  }
};

// "float[2,3]", "a sequence of 3", ... for errors.
std::string describe(const RuntimeValue& value);

}  // namespace onnxrun
