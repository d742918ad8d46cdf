// Scan.
#include <algorithm>

#include "base/error.h"
#include "emit/plain_scan.h"
#include "emit/scan_gradient.h"
#include "graph/cost.h"
#include "graph/infer_context.h"
#include "graph/inline_graph.h"
#include "graph/run_context.h"
#include "graph/run_scope.h"
#include "graph/upgrade_context.h"
#include "kernels/slices.h"

namespace onnxrun {

namespace {

using Ints = std::vector<int64_t>;

class Scan final : public Op {
 public:
  int64_t num_scan_inputs = 0;
  Ints scan_input_axes, scan_input_directions, scan_output_axes, scan_output_directions;

  void attributes(AttributeVisitor& v) override {
    v.required("num_scan_inputs", num_scan_inputs,
               "how many of the inputs are scanned, the last ones");
    v.visit("scan_input_axes", scan_input_axes,
            "the axis of each scan input that counts iterations, default 0");
    v.visit("scan_input_directions", scan_input_directions,
            "1 scans an input from its end, default 0");
    v.visit("scan_output_axes", scan_output_axes, "where each scan output is stacked, default 0");
    v.visit("scan_output_directions", scan_output_directions,
            "1 stacks an output in reverse, default 0");
  }

  Count body_runs(const CostContext& c) const override {
    const size_t inputs = c.node().formal_inputs(), scans = checked_scans(inputs);
    return c.length(inputs - 1, at(scan_input_axes, scans - 1, 0));
  }

  void infer(InferContext& c) const override {
    size_t scans = checked_scans(c.num_inputs());
    size_t states = c.num_inputs() - scans;
    std::vector<Type> formal;
    for (size_t i = 0; i < states; ++i) formal.push_back(c.type(i));
    Dim length;
    for (size_t i = 0; i < scans; ++i) {
      Type type = c.type(states + i);
      if (!type.is_tensor()) c.reject("{} cannot be scanned", c.describe_input(states + i));
      if (type.shape) {
        if (type.rank() == 0)
          c.reject("{}, a scalar cannot be scanned", c.describe_input(states + i));
        int64_t axis = normalize_axis(at(scan_input_axes, i, 0), type.rank());
        const Dim& here = (*type.shape)[static_cast<size_t>(axis)];
        if (length.is_known() && here.is_known() && !(length == here)) {
          c.reject("scan inputs have {} and {} iterations", length.to_string(), here.to_string());
        }
        if (length.is_unknown() || here.is_known()) length = here;
        type.shape->erase(type.shape->begin() + axis);
      }
      formal.push_back(std::move(type));
    }
    std::vector<Type> outputs = c.settle_body(0, formal, 0, states, 0);
    if (outputs.size() != c.num_outputs() || outputs.size() < states) {
      c.reject("the body gives {} outputs, the node has {}", outputs.size(), c.num_outputs());
    }
    for (size_t i = 0; i < states; ++i) c.set_output(i, formal[i]);
    for (size_t i = states; i < outputs.size(); ++i) {
      c.set_output(
          i, stacked_type(c, outputs[i], i - states, at(scan_output_axes, i - states, 0), length));
    }
  }

  void run(RunContext& c) const override {
    size_t scans = checked_scans(c.num_inputs());
    size_t states = c.num_inputs() - scans, outs = c.num_outputs() - states;
    int64_t length = iterations(c, states, scans);
    if (length > c.control().max_loop_iterations) {
      fail(ErrorKind::Limit, "more than {} iterations", c.control().max_loop_iterations);
    }
    std::vector<RuntimeValue> formal(states + scans), results;
    for (size_t i = 0; i < states; ++i) formal[i] = c.take(i);
    std::vector<SliceStack> stacked(outs, {c.control(), "a scan output"});
    LoopCount count(c.control(), length);
    for (int64_t t = 0; t < length; ++t) {
      count.next();
      for (size_t i = 0; i < scans; ++i) {
        const Tensor& x = c.input(states + i);
        int64_t index = at(scan_input_directions, i, 0) ? length - 1 - t : t;
        formal[states + i] = take_slice(x, axis_of(x, i), index, c.control());
      }
      c.bodies().run(0, formal, results);
      for (size_t i = 0; i < states; ++i) std::swap(formal[i], results[i]);
      for (size_t k = 0; k < outs; ++k) {
        if (c.has_output(states + k)) stacked[k].add(std::move(results[states + k]));
      }
    }
    for (size_t i = 0; i < states; ++i) {
      if (c.has_output(i)) c.set_value(i, std::move(formal[i]));
    }
    for (size_t k = 0; k < outs; ++k) {
      if (!c.has_output(states + k)) continue;
      Type type = c.bodies().output_type(0, states + k);
      c.set_value(states + k, stacked[k].stacked(type, at(scan_output_axes, k, 0),
                                                 at(scan_output_directions, k, 0) != 0));
    }
  }

  void gradient(GradientContext& g) const override { scan_gradient(g); }

  BodyLayout body_layout() const override {
    return {.takes_inputs = true, .carried_input = 0, .carried_output = 0};
  }

  std::vector<Type> body_inputs(const std::vector<Type>& inputs) const override {
    std::vector<Type> types;
    for (const Type& type : inputs) types.push_back(without_shape(type));
    return types;
  }

  bool emit_plain(Graph& graph, Node& node) const override { return emit_plain_scan(graph, node); }

 private:
  static int64_t at(const Ints& list, size_t i, int64_t fallback) {
    return i < list.size() ? list[i] : fallback;
  }

  int64_t axis_of(const Tensor& x, size_t scan) const {
    return normalize_axis(at(scan_input_axes, scan, 0), x.rank());
  }

  size_t checked_scans(size_t inputs) const {
    if (num_scan_inputs < 1 || static_cast<size_t>(num_scan_inputs) > inputs) {
      fail(ErrorKind::BadModel, "num_scan_inputs is {}, the node has {} inputs", num_scan_inputs,
           inputs);
    }
    return static_cast<size_t>(num_scan_inputs);
  }

  int64_t iterations(RunContext& c, size_t states, size_t scans) const {
    int64_t length = -1;
    for (size_t i = 0; i < scans; ++i) {
      const Tensor& x = c.input(states + i);
      if (x.rank() == 0) fail(ErrorKind::BadInput, "scan input {} is a scalar", i);
      int64_t here = x.dim(axis_of(x, i));
      if (length >= 0 && here != length) {
        fail(ErrorKind::BadInput, "scan inputs have {} and {} iterations", length, here);
      }
      length = here;
    }
    return length;
  }
};

// Opset 8: every input and output has a batch axis in front, and a first input may give the length
// of each sequence. A Scan over the batch whose body is today's Scan; what lies behind a sequence's
// end is zero.
class BatchedScan {
 public:
  explicit BatchedScan(UpgradeContext& u)
      : u_(u), b_(u.builder()), body_(b_.graph().registry()), bb_(body_), lengths_(u.has_input(0)) {
    int64_t scans = u.take<int64_t>("num_scan_inputs").value_or(0);
    if (scans < 1 || scans >= static_cast<int64_t>(u.inputs().size())) {
      fail(ErrorKind::BadModel, "num_scan_inputs is {}, the node has {} inputs", scans,
           u.inputs().size());
    }
    scans_ = static_cast<size_t>(scans);
    directions_ = u.take<Ints>("directions").value_or(Ints(scans_, 0));
  }

  void run() {
    std::vector<ValueId> outer(u_.inputs().begin() + 1, u_.inputs().end()), inner;
    for (ValueId v : outer) inner.push_back(element_input(v));
    size_t states = outer.size() - scans_;
    ValueId length = no_value, longest = no_value;
    if (lengths_) {
      outer.push_back(u_.input(0));
      length = bb_.reshape(element_input(u_.input(0)), bb_.ints({1}));
      longest = bb_.slice(bb_.shape_of(inner[states]), 0, 0, 1);
      for (size_t i = states; i < inner.size(); ++i) {
        inner[i] = bb_.add("Slice", {inner[i], bb_.ints({0}), length, bb_.ints({0})});
      }
    }
    NodeOptions scan;
    for (ValueId v : u_.captures()) {
      scan.captures.push_back(body_.add_input(body_.unique_name("captured"), b_.type(v)));
    }
    scan.bodies = std::move(u_.bodies());
    scan.attributes = {{"num_scan_inputs", static_cast<int64_t>(scans_)},
                       {"scan_input_directions", directions_}};
    body_.outputs = bb_.add_n("Scan", inner, u_.num_outputs(), std::move(scan));
    for (size_t k = states; lengths_ && k < body_.outputs.size(); ++k) {
      body_.outputs[k] = padded(body_.outputs[k], length, longest);
    }
    NodeOptions batch;
    batch.captures = u_.captures();
    batch.attributes = {{"num_scan_inputs", static_cast<int64_t>(outer.size())}};
    batch.bodies.push_back(std::move(body_));
    u_.replace(b_.add_n("Scan", outer, u_.num_outputs(), std::move(batch)));
  }

 private:
  ValueId element_input(ValueId v) {
    Type type = u_.type(v);
    if (type.shape && !type.shape->empty()) type.shape->erase(type.shape->begin());
    return body_.add_input(body_.unique_name("element"), type);
  }

  ValueId padded(ValueId v, ValueId length, ValueId longest) {
    ValueId rest = bb_.slice(bb_.shape_of(v), 0, 1, INT64_MAX);
    ValueId missing =
        bb_.add("Concat", {bb_.add("Sub", {longest, length}), rest}, {{"axis", int64_t{0}}});
    ValueId zeros = bb_.add("ConstantOfShape", {missing},
                            {{"value", convert(Tensor::of<float>({1}, {0.0f}), bb_.dtype(v))}});
    return bb_.add("Concat", {v, zeros}, {{"axis", int64_t{0}}});
  }

  UpgradeContext& u_;
  GraphBuilder& b_;
  Graph body_;
  GraphBuilder bb_;
  bool lengths_;
  size_t scans_ = 0;
  Ints directions_;
};

void upgrade_scan(UpgradeContext& u) {
  if (u.opset() < 9) BatchedScan(u).run();
}

}  // namespace

void register_scan(OpRegistry& r) {
  r.add<Scan>({.name = "Scan",
               .doc = "a subgraph over the slices of its inputs, with states and stacked results",
               .since = {8, 9, 11, 16, 19, 21, 23, 24, 25},
               .inputs = {{"initial_state_and_scan_inputs", "V", Param::Kind::Variadic, false}},
               .outputs = {{"final_state_and_scan_outputs", "V", Param::Kind::Variadic, false}},
               .types = {{"V", dtypes::all}},
               .gradient = GradientState::Rule,
               .bodies = {"body"},
               .upgrade = upgrade_scan});
}

}  // namespace onnxrun
