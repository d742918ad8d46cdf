#include "onnxrun/custom_operators.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

// An operator with the texts that its spec points at.
struct Custom {
  CustomOperator op;
  std::string gradient_name;
  std::vector<std::string> names;  // of inputs and outputs, and of their type variables
};

// Graphs refer to registries, and outlive whoever loaded them.
template <typename T>
T& keep(std::unique_ptr<T> made) {
  static std::mutex mutex;
  static std::deque<std::unique_ptr<T>> kept;
  std::lock_guard lock(mutex);
  return *kept.emplace_back(std::move(made));
}

// Runs a function of the user's.
template <typename F>
auto call(const F& f) {
  try {
    return f();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    fail(ErrorKind::BadInput, "{}", e.what());
  }
}

TensorType public_type(const Type& type) {
  TensorType result{type.dtype, std::nullopt};
  if (!type.shape) return result;
  result.dims.emplace();
  for (const Dim& d : *type.shape) result.dims->push_back(d.is_known() ? d.value() : -1);
  return result;
}

Type inner_type(const TensorType& type) {
  if (!type.dims) return Type::tensor(type.dtype);
  Shape shape;
  for (int64_t length : *type.dims) shape.push_back(length < 0 ? Dim::unknown() : Dim(length));
  return Type::tensor(type.dtype, std::move(shape));
}

class CustomBase : public Op {
 public:
  explicit CustomBase(const Custom& custom) : custom_(custom), values_(custom.op.attributes) {}

  void attributes(AttributeVisitor& v) override {
    for (auto& entry : values_) {
      auto visit = [&](auto& held) { v.visit(entry.first, held, "of an operator from outside"); };
      std::visit(visit, entry.second);
    }
  }

 protected:
  const CustomOperator& op() const { return custom_.op; }
  const CustomAttributes& values() const { return values_; }
  const std::string& gradient_name() const { return custom_.gradient_name; }

  static CustomOperator::Tensors inputs(const RunContext& c, size_t first, size_t count) {
    CustomOperator::Tensors tensors;
    for (size_t i = 0; i < count; ++i) tensors.push_back(c.input(first + i));
    return tensors;
  }

  Attributes node_attributes() const {
    Attributes attributes;
    for (const auto& [name, value] : values_) {
      std::visit([&, key = name](const auto& held) { attributes[key] = held; }, value);
    }
    return attributes;
  }

 private:
  const Custom& custom_;
  CustomAttributes values_;
};

class CustomOp final : public CustomBase {
 public:
  using CustomBase::CustomBase;

  void infer(InferContext& c) const override {
    std::vector<TensorType> types;
    for (size_t i = 0; i < c.num_inputs(); ++i) types.push_back(public_type(c.type(i)));
    const std::vector<TensorType> results = call([&] { return op().infer(types, values()); });
    if (results.size() != op().outputs) {
      c.reject("its infer() gives {} types, expected {}", results.size(), op().outputs);
    }
    const bool settled = std::all_of(types.begin(), types.end(), is_settled);
    for (size_t o = 0; o < results.size(); ++o) {
      if (settled && !is_settled(results[o])) {
        c.reject("its infer() leaves output {} open although all inputs are known", o);
      }
      c.set_output(o, inner_type(results[o]));
    }
  }

  void run(RunContext& c) const override {
    CustomOperator::Tensors outputs;
    for (size_t o = 0; o < op().outputs; ++o) {
      outputs.push_back(c.has_output(o) ? c.output(o) : Tensor());
    }
    // What nobody reads is computed all the same.
    for (size_t o = 0; o < outputs.size(); ++o) {
      if (!outputs[o].defined()) outputs[o] = unread(c, o);
    }
    call([&] { op().run(inputs(c, 0, op().inputs), outputs, values()); });
  }

  void gradient(GradientContext& g) const override {
    if (!op().gradient) {
      fail(ErrorKind::Unsupported, "the operator was added without a gradient");
    }
    std::vector<ValueId> all;
    for (size_t i = 0; i < op().inputs; ++i) all.push_back(g.input(i));
    for (size_t o = 0; o < op().outputs; ++o) all.push_back(g.output(o));
    for (size_t o = 0; o < op().outputs; ++o) all.push_back(g.grad(o));
    const std::vector<ValueId> d = g.builder().add_n("onnxrun." + gradient_name(), all, op().inputs,
                                                     {.attributes = node_attributes()});
    for (size_t i = 0; i < d.size(); ++i) g.set(i, d[i]);
  }

 private:
  static bool is_settled(const TensorType& t) {
    return t.dtype != DType::Undefined && t.dims &&
           std::none_of(t.dims->begin(), t.dims->end(), [](int64_t n) { return n < 0; });
  }

  Tensor unread(const RunContext& c, size_t output) const {
    std::vector<TensorType> types;
    for (size_t i = 0; i < op().inputs; ++i) {
      types.push_back({c.input(i).dtype(), c.input(i).dims()});
    }
    const TensorType type = call([&] { return op().infer(types, values()); }).at(output);
    return {type.dtype, *type.dims};
  }
};

class CustomGradient final : public CustomBase {
 public:
  using CustomBase::CustomBase;

  void infer(InferContext& c) const override {
    for (size_t i = 0; i < op().inputs; ++i) c.set_output(i, c.type(i));
  }

  void run(RunContext& c) const override {
    CustomOperator::Tensors results;
    for (size_t i = 0; i < op().inputs; ++i) {
      const Tensor& like = c.input(i);
      results.push_back(c.has_output(i) ? c.output(i) : Tensor(like.dtype(), like.dims()));
      std::fill_n(results.back().raw(), results.back().bytes(), std::byte{0});
    }
    call([&] {
      op().gradient(inputs(c, 0, op().inputs), inputs(c, op().inputs, op().outputs),
                    inputs(c, op().inputs + op().outputs, op().outputs), results, values());
    });
  }
};

OpSpec spec_of(const Custom& custom, std::string_view domain, std::string_view name, size_t inputs,
               size_t outputs, GradientState gradient) {
  OpSpec spec{.name = name, .domain = domain, .doc = "an operator from outside", .since = {1}};
  for (size_t i = 0; i < inputs + outputs; ++i) {
    const std::string& text = custom.names[i];
    (i < inputs ? spec.inputs : spec.outputs).push_back({text, text});
    spec.types.push_back({text, dtypes::all});
  }
  spec.gradient = gradient;
  return spec;
}

}  // namespace

Operators::Operators() {
  auto registry = std::make_unique<OpRegistry>();
  for (const OpInfo* info : builtin_ops().all()) registry->add(info->spec, info->make);
  registry_ = &keep(std::move(registry));
}

void Operators::add(CustomOperator op) {
  if (!op.infer || !op.run) {
    fail(ErrorKind::Usage, "operator '{}' has no infer() or no run()", op.name);
  }
  if (op.domain.empty() || op.domain == "ai.onnx" || op.domain == private_domain ||
      op.name.empty() || registry_->find(op.domain, op.name)) {
    fail(ErrorKind::Usage, "operator '{}' of domain '{}' is there already, or has no name", op.name,
         op.domain);
  }
  auto made = std::make_unique<Custom>(Custom{std::move(op), {}, {}});
  made->gradient_name = made->op.domain + "." + made->op.name + "Grad";
  const size_t inputs = made->op.inputs, outputs = made->op.outputs;
  for (size_t i = 0; i < 2 * (inputs + outputs); ++i)
    made->names.push_back("v" + std::to_string(i));
  const Custom& custom = keep(std::move(made));
  const bool differentiable = static_cast<bool>(custom.op.gradient);
  registry_->add(
      spec_of(custom, custom.op.domain, custom.op.name, inputs, outputs, GradientState::Rule),
      [&custom] { return std::make_shared<CustomOp>(custom); });
  if (!differentiable) return;
  registry_->add(spec_of(custom, private_domain, custom.gradient_name, inputs + 2 * outputs, inputs,
                         GradientState::NotDifferentiable),
                 [&custom] { return std::make_shared<CustomGradient>(custom); });
}

}  // namespace onnxrun
