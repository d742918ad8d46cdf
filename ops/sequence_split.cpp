// SplitToSequence, ConcatFromSequence.
#include <utility>

#include "base/error.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/slices.h"

namespace onnxrun {

namespace {

// Elements [begin, end) of one axis.
Tensor take_range(const Tensor& t, int64_t axis, int64_t begin, int64_t end,
                  const RunControl& control) {
  Dims dims = t.dims();
  dims[static_cast<size_t>(axis)] = end - begin;
  Tensor part = control.allocate(t.dtype(), dims);
  take_elements(t, axis, begin, part);
  return part;
}

class SplitToSequence final : public Op {
 public:
  int64_t axis = 0;
  bool keepdims = true;

  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis, "the axis to split");
    v.visit("keepdims", keepdims,
            "0 drops the axis where every part has length 1 for want of `split`");
  }

  void infer(InferContext& c) const override {
    Type element = c.type(0);
    if (element.shape) {
      int64_t at = normalize_axis(axis, element.rank());
      if (drops(c.has_input(1))) {
        element.shape->erase(element.shape->begin() + at);
      } else {
        (*element.shape)[static_cast<size_t>(at)] = c.has_input(1) ? Dim() : Dim(1);
      }
    }
    c.set_output(0, Type::sequence(std::move(element)));
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    int64_t at = normalize_axis(axis, x.rank());
    std::vector<RuntimeValue> parts;
    int64_t begin = 0;
    for (int64_t length : lengths(c, x.dim(at))) {
      c.control().check();
      if (drops(c.has_input(1))) {
        parts.push_back(take_slice(x, at, begin, c.control()));
      } else {
        parts.push_back(take_range(x, at, begin, begin + length, c.control()));
      }
      begin += length;
    }
    c.set_value(0, c.control().sequence(std::move(parts)));
  }

  void gradient(GradientContext& g) const override {
    ValueId joined = g.add("ConcatFromSequence", {g.grad(0)},
                           {{"axis", axis}, {"new_axis", int64_t{drops(g.has_input(1))}}});
    g.set(0, g.builder().reshape_like(joined, g.input(0)));
  }

 private:
  bool drops(bool has_split) const { return !keepdims && !has_split; }

  static std::vector<int64_t> lengths(RunContext& c, int64_t total) {
    // What a part takes beside its elements.
    constexpr int64_t part_bytes = sizeof(RuntimeValue) + sizeof(int64_t);
    if (!c.has_input(1)) {
      c.control().require(total, part_bytes, "a list of parts");
      return std::vector<int64_t>(static_cast<size_t>(total), 1);
    }
    std::vector<int64_t> split = to_int64s(c.input(1));
    if (c.input(1).rank() == 0) {
      if (split[0] <= 0)
        fail(ErrorKind::BadInput, "split is {}, expected a positive length", split[0]);
      c.control().require(total / split[0] + 1, part_bytes, "a list of parts");
      std::vector<int64_t> equal;
      for (int64_t left = total; left > 0; left -= split[0])
        equal.push_back(std::min(left, split[0]));
      return equal;
    }
    int64_t sum = 0;
    for (int64_t length : split) {
      if (length < 0 || length > total - sum) {
        fail(ErrorKind::BadInput, "split {} does not add up to {}", to_string(split), total);
      }
      sum += length;
    }
    if (sum != total)
      fail(ErrorKind::BadInput, "split {} does not add up to {}", to_string(split), total);
    return split;
  }
};

class ConcatFromSequence final : public Op {
 public:
  int64_t axis = 0;
  bool new_axis = false;

  void attributes(AttributeVisitor& v) override {
    v.required("axis", axis, "the axis to join along");
    v.visit("new_axis", new_axis, "1 stacks the elements along an axis of its own");
  }

  void infer(InferContext& c) const override {
    const Type& sequence = c.type(0);
    Type result = sequence.element ? *sequence.element : Type::tensor(DType::Undefined);
    if (result.shape) {
      if (new_axis) {
        result.shape->insert(result.shape->begin() + normalize_axis(axis, result.rank() + 1),
                             Dim());
      } else {
        (*result.shape)[static_cast<size_t>(normalize_axis(axis, result.rank()))] = Dim();
      }
    }
    // How many elements there are shows at run time only.
    c.set_output(0, result.dtype, std::move(result.shape));
  }

  void run(RunContext& c) const override {
    const RuntimeValue::Items& items = c.items(0);
    if (items.empty()) fail(ErrorKind::BadInput, "an empty sequence cannot be joined");
    for (const RuntimeValue& item : items) {
      if (item.is_tensor() && item.tensor.dtype() == items[0].tensor.dtype()) continue;
      fail(ErrorKind::BadInput, "elements are {} and {}", describe(items[0]), describe(item));
    }
    if (new_axis) {
      c.set_value(0, stack_slices(items, items[0].tensor.dtype(), {}, axis, false, c.control(),
                                  "an element"));
      return;
    }
    int64_t at = normalize_axis(axis, items[0].tensor.rank()), begin = 0;
    Tensor joined =
        c.control().allocate(items[0].tensor.dtype(), joined_dims(items, static_cast<size_t>(at)));
    for (const RuntimeValue& item : items) {
      put_range(item.tensor, joined, at, begin);
      begin += item.tensor.dim(at);
    }
    c.set_value(0, std::move(joined));
  }

  // Split as the elements were; where each had length 1 on a new axis, without that axis.
  void gradient(GradientContext& g) const override {
    if (new_axis) {
      g.set(0, g.add("SplitToSequence", {g.grad(0)}, {{"axis", axis}, {"keepdims", int64_t{0}}}));
      return;
    }
    ValueId lengths = g.add("onnxrun.SequenceDims", {g.input(0)}, {{"axis", axis}});
    g.set(0, g.add("SplitToSequence", {g.grad(0), lengths}, {{"axis", axis}}));
  }

 private:
  static Dims joined_dims(const std::vector<RuntimeValue>& items, size_t axis) {
    Dims joined = items[0].tensor.dims();
    joined[axis] = 0;
    int64_t total = 0;
    for (const RuntimeValue& item : items) {
      Dims dims = item.tensor.dims();
      if (dims.size() == joined.size()) total += std::exchange(dims[axis], 0);
      if (dims != joined) {
        fail(ErrorKind::BadInput, "elements are {} and {}", items[0].tensor.type_text(),
             item.tensor.type_text());
      }
    }
    joined[axis] = total;
    return joined;
  }
};

}  // namespace

void register_sequence_split(OpRegistry& r) {
  r.add<SplitToSequence>(
      {.name = "SplitToSequence",
       .doc = "parts of a tensor along one axis, as a sequence",
       .since = {11, 24},
       .inputs = {{"input", "T"}, {"split", "I", Param::Kind::Optional}},
       .outputs = {{"output_sequence", "S"}},
       .types = {{"T", dtypes::basic}, {"I", dtypes::index}, {"S", {}, dtypes::basic}}});
  r.add<ConcatFromSequence>({.name = "ConcatFromSequence",
                             .doc = "the elements of a sequence as one tensor",
                             .since = {11},
                             .inputs = {{"input_sequence", "S"}},
                             .outputs = {{"concat_result", "T"}},
                             .types = {{"S", {}, dtypes::basic}, {"T", dtypes::basic}}});
}

}  // namespace onnxrun
