// Products whose results are limited as they are stored.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/limited_product.h"
#include "graph/registry.h"
#include "graph/run_context.h"
#include "kernels/limits.h"

namespace onnxrun {

// None unless `is_limited`; else those that inputs `first` and `first` + 1 give, where they are
// there, for an output of T. A NaN binds nothing.
template <bool is_limited, typename T>
std::optional<Limits<ComputeType<T>>> limits_of(const RunContext& c, size_t first) {
  if (!is_limited) return std::nullopt;
  Limits<ComputeType<T>> limits;
  auto take = [&](size_t i, ComputeType<T>& limit) {
    if (!c.has_input(i)) return;
    const auto value = static_cast<ComputeType<T>>(*c.input(i).data<T>());
    if (!std::isnan(value)) limit = value;
  };
  take(first, limits.low);
  take(first + 1, limits.high);
  return limits;
}

// Rejects limits, inputs from `first` on, that are not one element each.
inline void check_limits(const InferContext& c, size_t first) {
  for (size_t i = first; i < c.num_inputs(); ++i) {
    if (!c.has_input(i) || !c.shape(i)) continue;
    const Dim count = element_count(*c.shape(i));
    if (c.rank(i) > 1 || (count.is_known() && count.value() != 1)) {
      c.reject("a bound must be a scalar: {}", c.describe_input(i));
    }
  }
}

// Product is an operator that has
//   static constexpr std::string_view plain_name;
//   static constexpr size_t first_limit;    how many inputs it has
//   template <bool is_limited> void compute(const RunContext&) const;
// the last of which runs it, limited by the inputs from `first_limit` on if it is asked to.
template <typename Product>
class LimitedForm final : public Product, public LimitedProduct {
 public:
  void infer(InferContext& c) const override {
    Product::infer(c);
    check_limits(c, Product::first_limit);
  }

  void run(RunContext& c) const override { this->template compute<true>(c); }

  void gradient(GradientContext& g) const override { Op::gradient(g); }

  void decompose(DecomposeContext& d) const override {
    constexpr size_t operands = Product::first_limit;
    std::vector<ValueId> factors, clipped;
    for (size_t i = 0; i < operands; ++i) factors.push_back(d.input(i));
    while (factors.back() == no_value) factors.pop_back();
    NodeOptions options{.attributes = write_attributes(*this, Product()), .name = d.node().name};
    clipped = d.builder().add_n(Product::plain_name, std::move(factors), 1, std::move(options));
    for (size_t i = operands; i < d.num_inputs(); ++i) clipped.push_back(d.input(i));
    d.set(0, d.add("Clip", std::move(clipped)));
  }
};

// `plain` is the product's own description.
template <typename Product>
void add_limited_form(OpRegistry& r, OpSpec plain, std::string_view name, std::string_view doc) {
  OpSpec spec{.name = name,
              .domain = private_domain,
              .doc = doc,
              .since = {1},
              .inputs = std::move(plain.inputs),
              .outputs = std::move(plain.outputs),
              .types = {{"T", dtypes::floats}},
              .kind = OpKind::Product,
              .gradient = GradientState::Decompose,
              .decomposes = true};
  for (const char* limit : {"min", "max"}) {
    spec.inputs.emplace_back(limit, "T", Param::Kind::Optional, InputRole::Setting);
  }
  r.add<LimitedForm<Product>>(std::move(spec));
}

}  // namespace onnxrun
