// onnxrun.ZerosLike, onnxrun.AddSequences, onnxrun.SequenceDims: what gradients of sequences need.
#include <algorithm>

#include "base/error.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

using Items = RuntimeValue::Items;

RuntimeValue zeros_of(const RuntimeValue& v, const RunControl& control) {
  if (v.is_tensor()) {
    Tensor t = control.allocate(v.tensor.dtype(), v.tensor.dims());
    std::fill_n(t.raw(), t.bytes(), std::byte{0});
    return t;
  }
  RuntimeValue result = v;
  Items items;
  for (const RuntimeValue& item : v.elements()) items.push_back(zeros_of(item, control));
  result.items = std::make_shared<Items>(std::move(items));
  return result;
}

// SequenceMap over a one-node body.
ValueId map_elements(
    DecomposeContext& d, std::vector<ValueId> sequences,
    const std::function<ValueId(GraphBuilder&, const std::vector<ValueId>&)>& body_of) {
  Graph body(d.builder().graph().registry());
  std::vector<ValueId> elements;
  for (ValueId s : sequences) {
    const Type& type = d.type(s);
    elements.push_back(
        body.add_input(body.unique_name("element"), type.element ? *type.element : Type()));
  }
  GraphBuilder builder(body);
  body.outputs = {body_of(builder, elements)};
  NodeOptions options;
  options.bodies.push_back(std::move(body));
  return d.builder().add_n("SequenceMap", std::move(sequences), 1, std::move(options))[0];
}

class ZerosLike final : public Op {
 public:
  void infer(InferContext& c) const override { infer_same(c); }
  void run(RunContext& c) const override { c.set_value(0, zeros_of(c.value(0), c.control())); }
  void decompose(DecomposeContext& d) const override {
    if (d.type(d.input(0)).is_tensor()) return d.set(0, d.builder().zeros_like(d.input(0)));
    d.set(0,
          map_elements(d, {d.input(0)}, [](GraphBuilder& b, const std::vector<ValueId>& element) {
            return b.zeros_like(element[0]);
          }));
  }
};

class AddSequences final : public Op {
 public:
  void infer(InferContext& c) const override { infer_same(c); }
  void run(RunContext& c) const override {
    const Items &a = c.items(0), &b = c.items(1);
    if (a.size() != b.size())
      fail(ErrorKind::Internal, "sequences of {} and {} elements", a.size(), b.size());
    Items sums;
    for (size_t i = 0; i < a.size(); ++i)
      sums.push_back(sum(a[i].tensor, b[i].tensor, c.control()));
    c.set_value(0, c.control().sequence(std::move(sums)));
  }
  void gradient(GradientContext& g) const override {
    g.set(0, g.grad(0));
    g.set(1, g.grad(0));
  }
  void decompose(DecomposeContext& d) const override {
    d.set(0, map_elements(d, {d.input(0), d.input(1)},
                          [](GraphBuilder& b, const std::vector<ValueId>& e) {
                            return b.add("Add", {e[0], e[1]});
                          }));
  }

 private:
  static Tensor sum(const Tensor& a, const Tensor& b, const RunControl& control) {
    Tensor result = control.allocate(a.dtype(), a.dims());
    if (a.dims() != b.dims()) {
      fail(ErrorKind::Internal, "elements {} and {} are added", a.type_text(), b.type_text());
    }
    dispatch_float(a.dtype(), [&]<typename T>() {
      const T *x = a.data<T>(), *y = b.data<T>();
      T* sum = result.data<T>();
      for (int64_t i = 0; i < a.size(); ++i) {
        sum[i] = static_cast<T>(ComputeType<T>(x[i]) + ComputeType<T>(y[i]));
      }
    });
    return result;
  }
};

class SequenceDims final : public Op {
 public:
  int64_t axis = 0;
  void attributes(AttributeVisitor& v) override { v.required("axis", axis, "the axis"); }
  void infer(InferContext& c) const override { c.set_output(0, DType::Int64, Shape{Dim()}); }
  void run(RunContext& c) const override {
    std::vector<int64_t> lengths;
    for (const RuntimeValue& item : c.items(0)) {
      lengths.push_back(item.tensor.dim(normalize_axis(axis, item.tensor.rank())));
    }
    c.set_value(0, Tensor::of<int64_t>({static_cast<int64_t>(lengths.size())}, lengths));
  }
  void decompose(DecomposeContext& d) const override {
    int64_t at = axis;
    ValueId lengths =
        map_elements(d, {d.input(0)}, [at](GraphBuilder& b, const std::vector<ValueId>& e) {
          return b.add("Gather", {b.shape_of(e[0]), b.ints({at})}, {{"axis", int64_t{0}}});
        });
    d.set(0, d.add("ConcatFromSequence", {lengths}, {{"axis", int64_t{0}}}));
  }
};

const TypeConstraint any{"V", dtypes::floats, dtypes::floats, dtypes::floats};
const TypeConstraint any_sequences{"S", {}, dtypes::basic};

}  // namespace

void register_sequence_private(OpRegistry& r) {
  r.add<ZerosLike>({.name = "ZerosLike",
                    .domain = private_domain,
                    .doc = "zeros in the place of every number",
                    .since = {1},
                    .inputs = {{"x", "V"}},
                    .outputs = {{"y", "V"}},
                    .types = {any},
                    .gradient = GradientState::NotDifferentiable,
                    .decomposes = true});
  r.add<AddSequences>({.name = "AddSequences",
                       .domain = private_domain,
                       .doc = "the sum of two sequences, element by element",
                       .since = {1},
                       .inputs = {{"a", "S"}, {"b", "S"}},
                       .outputs = {{"c", "S"}},
                       .types = {{"S", {}, dtypes::floats}},
                       .decomposes = true});
  r.add<SequenceDims>({.name = "SequenceDims",
                       .domain = private_domain,
                       .doc = "the length of one axis of every element",
                       .since = {1},
                       .inputs = {{"sequence", "S"}},
                       .outputs = {{"lengths", "I"}},
                       .types = {any_sequences, {"I", DType::Int64}},
                       .gradient = GradientState::NotDifferentiable,
                       .decomposes = true});
}

}  // namespace onnxrun
