// BitCast.
#include <algorithm>

#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

class BitCast final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.required("to", to_, "the type that the same bits are read as");
  }

  void infer(InferContext& c) const override {
    if (!dtypes::all.contains(to_) || to_ == DType::String || bits_of(to_) != bits_of(c.dtype(0))) {
      c.reject("the bits of {} are not those of a {}", c.describe_input(0), to_string(to_));
    }
    c.set_output(0, to_, c.type(0).shape);
  }

  // A bool is false or true, whatever other bits it had.
  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    std::byte* to = c.output(0).raw();
    if (to_ != DType::Bool) {
      std::copy_n(x.raw(), x.bytes(), to);
    } else {
      std::transform(x.raw(), x.raw() + x.bytes(), to,
                     [](std::byte b) { return std::byte{b != std::byte{0}}; });
    }
  }

 private:
  DType to_ = DType::Undefined;
};

}  // namespace

void register_bit_cast(OpRegistry& r) {
  constexpr DTypeSet types = dtypes::all - DTypeSet(DType::String);
  r.add<BitCast>({.name = "BitCast",
                  .doc = "the same bits as elements of another type",
                  .since = {26},
                  .inputs = {{"input", "T1"}},
                  .outputs = {{"output", "T2"}},
                  .types = {{"T1", types}, {"T2", types}},
                  .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
