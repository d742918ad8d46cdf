// SequenceEmpty, SequenceConstruct, SequenceAt, SequenceInsert, SequenceErase, SequenceLength.
#include "base/error.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

using Items = RuntimeValue::Items;

const Type& element_of(const InferContext& c, size_t i) {
  static const Type unknown;
  const Type& sequence = c.type(i);
  return sequence.element ? *sequence.element : unknown;
}

// A position counts from the end if it is negative; `limit` is the last one allowed, plus one.
size_t position_of(const Tensor& t, size_t length, size_t limit) {
  if (t.size() != 1)
    fail(ErrorKind::BadInput, "position is {}, expected one element", t.type_text());
  int64_t at = to_int64s(t)[0];
  int64_t from_start = at < 0 ? at + static_cast<int64_t>(length) : at;
  if (from_start < 0 || from_start >= static_cast<int64_t>(limit)) {
    fail(ErrorKind::BadInput, "position {} is out of range for a sequence of {}", at, length);
  }
  return static_cast<size_t>(from_start);
}

class SequenceEmpty final : public Op {
 public:
  DType dtype = DType::Float32;
  void attributes(AttributeVisitor& v) override {
    v.visit("dtype", dtype, "element type of the tensors");
  }
  void infer(InferContext& c) const override {
    c.set_output(0, Type::sequence(Type::tensor(dtype)));
  }
  void run(RunContext& c) const override { c.set_value(0, RuntimeValue::sequence({})); }
};

class SequenceConstruct final : public Op {
 public:
  void infer(InferContext& c) const override {
    Type element = c.type(0);
    for (size_t i = 1; i < c.num_inputs(); ++i) element = join(element, c.type(i));
    c.set_output(0, Type::sequence(std::move(element)));
  }
  void run(RunContext& c) const override {
    Items items;
    for (size_t i = 0; i < c.num_inputs(); ++i) items.push_back(c.value(i));
    c.set_value(0, c.control().sequence(std::move(items)));
  }
  void gradient(GradientContext& g) const override {
    for (size_t i = 0; i < g.num_inputs(); ++i) {
      if (!g.wants(i)) continue;
      g.set(i, g.add("SequenceAt", {g.grad(0), g.builder().int_scalar(static_cast<int64_t>(i))}));
    }
  }
};

class SequenceAt final : public Op {
 public:
  void infer(InferContext& c) const override { c.set_output(0, element_of(c, 0)); }
  void run(RunContext& c) const override {
    const Items& items = c.items(0);
    c.set_value(0, items[position_of(c.input(1), items.size(), items.size())]);
  }
  // Zeros everywhere else.
  void gradient(GradientContext& g) const override {
    ValueId zeros = g.builder().zeros_like(g.input(0));
    ValueId rest = g.add("SequenceErase", {zeros, g.input(1)});
    g.set(0, g.add("SequenceInsert", {rest, g.grad(0), from_start(g)}));
  }

 private:
  // SequenceInsert counts a negative position from one further on.
  static ValueId from_start(GradientContext& g) {
    ValueId position = g.builder().cast(g.input(1), DType::Int64);
    ValueId negative =
        g.builder().cast(g.add("Less", {position, g.builder().int_scalar(0)}), DType::Int64);
    return g.plus(position, g.mul(negative, g.add("SequenceLength", {g.input(0)})));
  }
};

class SequenceInsert final : public Op {
 public:
  void infer(InferContext& c) const override {
    Type element = element_of(c, 0);
    // What an empty sequence would hold says nothing about shapes.
    Type joined = element.is_known() ? join(element, c.type(1)) : c.type(1);
    if (!same_elements(element, c.type(1))) {
      c.reject("{} goes into a sequence of {}", c.describe_input(1), element.to_string());
    }
    c.set_output(0, Type::sequence(std::move(joined)));
  }
  void run(RunContext& c) const override {
    size_t length = c.items(0).size(), at = length;
    if (c.has_input(2)) at = position_of(c.input(2), length, length + 1);
    // A list that grows doubles: the new one is there beside the old one for a while.
    if (c.items(0).capacity() == length) {
      c.control().require(2 * (static_cast<int64_t>(length) + 1), sizeof(RuntimeValue),
                          "a longer sequence");
    }
    Items items = c.take(0).take_elements();
    items.insert(items.begin() + static_cast<std::ptrdiff_t>(at), c.value(1));
    c.set_value(0, c.control().sequence(std::move(items)));
  }
  void gradient(GradientContext& g) const override {
    ValueId at = g.has_input(2) ? inserted_at(g) : g.builder().int_scalar(-1);
    if (g.wants(1)) g.set(1, g.add("SequenceAt", {g.grad(0), at}));
    if (g.wants(0)) g.set(0, g.add("SequenceErase", {g.grad(0), at}));
  }

 private:
  // A negative position counted from the end of the shorter sequence.
  static ValueId inserted_at(GradientContext& g) {
    ValueId position = g.builder().cast(g.input(2), DType::Int64);
    ValueId negative =
        g.builder().cast(g.add("Less", {position, g.builder().int_scalar(0)}), DType::Int64);
    return g.minus(position, negative);
  }
};

class SequenceErase final : public Op {
 public:
  void infer(InferContext& c) const override { c.set_output(0, c.type(0)); }
  void run(RunContext& c) const override {
    size_t length = c.items(0).size();
    if (length == 0) fail(ErrorKind::BadInput, "nothing to erase in an empty sequence");
    size_t at = c.has_input(1) ? position_of(c.input(1), length, length) : length - 1;
    Items items = c.take(0).take_elements();
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
    c.set_value(0, c.control().sequence(std::move(items)));
  }
  // The erased element gets zeros.
  void gradient(GradientContext& g) const override {
    GraphBuilder& b = g.builder();
    ValueId at = g.has_input(1) ? b.cast(g.input(1), DType::Int64) : b.int_scalar(-1);
    ValueId negative = b.cast(g.add("Less", {at, b.int_scalar(0)}), DType::Int64);
    ValueId from_start = g.plus(at, g.mul(negative, g.add("SequenceLength", {g.input(0)})));
    ValueId erased = b.zeros_like(g.add("SequenceAt", {g.input(0), at}));
    g.set(0, g.add("SequenceInsert", {g.grad(0), erased, from_start}));
  }
};

class SequenceLength final : public Op {
 public:
  void infer(InferContext& c) const override { c.set_output(0, DType::Int64, Shape{}); }
  void run(RunContext& c) const override {
    *c.output(0).data<int64_t>() = static_cast<int64_t>(c.items(0).size());
  }
};

const TypeConstraint sequences{"S", {}, dtypes::basic};
const TypeConstraint tensors{"T", dtypes::basic};
const TypeConstraint positions{"I", dtypes::index};

}  // namespace

void register_sequence(OpRegistry& r) {
  r.add<SequenceEmpty>({.name = "SequenceEmpty",
                        .doc = "a sequence of nothing",
                        .since = {11},
                        .outputs = {{"output", "S"}},
                        .types = {sequences},
                        .gradient = GradientState::NotDifferentiable});
  r.add<SequenceConstruct>({.name = "SequenceConstruct",
                            .doc = "a sequence of the inputs",
                            .since = {11},
                            .inputs = {{"inputs", "T", Param::Kind::Variadic}},
                            .outputs = {{"output_sequence", "S"}},
                            .types = {tensors, sequences}});
  r.add<SequenceAt>({.name = "SequenceAt",
                     .doc = "one element of a sequence",
                     .since = {11},
                     .inputs = {{"input_sequence", "S"}, {"position", "I"}},
                     .outputs = {{"tensor", "T"}},
                     .types = {sequences, tensors, positions}});
  r.add<SequenceInsert>({.name = "SequenceInsert",
                         .doc = "a sequence with one more element",
                         .since = {11},
                         .inputs = {{"input_sequence", "S"},
                                    {"tensor", "T"},
                                    {"position", "I", Param::Kind::Optional}},
                         .outputs = {{"output_sequence", "S"}},
                         .types = {sequences, tensors, positions}});
  r.add<SequenceErase>(
      {.name = "SequenceErase",
       .doc = "a sequence without one of its elements",
       .since = {11},
       .inputs = {{"input_sequence", "S"}, {"position", "I", Param::Kind::Optional}},
       .outputs = {{"output_sequence", "S"}},
       .types = {sequences, positions}});
  r.add<SequenceLength>({.name = "SequenceLength",
                         .doc = "how many elements a sequence has",
                         .since = {11},
                         .inputs = {{"input_sequence", "S"}},
                         .outputs = {{"length", "I"}},
                         .types = {sequences, {"I", DType::Int64}},
                         .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
