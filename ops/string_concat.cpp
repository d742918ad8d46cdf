// StringConcat.
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/broadcast.h"

namespace onnxrun {

namespace {

class StringConcat final : public Op {
 public:
  void infer(InferContext& c) const override { infer_broadcast(c, DType::String); }

  void run(RunContext& c) const override {
    const Tensor &x = c.input(0), &y = c.input(1);
    Tensor& z = c.output(0);
    const std::string *a = x.data<std::string>(), *b = y.data<std::string>();
    std::string* out = z.data<std::string>();
    const BroadcastRows<2> rows(z.dims(), {x.dims(), y.dims()});
    // One after another, as what they take together is what a limit is about.
    int64_t bytes = 0;
    auto walk = [&](const auto& f) {
      rows.for_range(0, rows.size(), [&](int64_t to, const auto& from, int64_t count) {
        for (int64_t i = 0; i < count; ++i) {
          f(to + i, a[from[0] + i * rows.step(0)], b[from[1] + i * rows.step(1)]);
        }
      });
    };
    walk([&](int64_t, const std::string& s, const std::string& t) {
      bytes += static_cast<int64_t>(s.size() + t.size());
    });
    c.control().require(1, bytes, "the text of " + z.type_text());
    walk([&](int64_t to, const std::string& s, const std::string& t) {
      std::string both;
      both.reserve(s.size() + t.size());
      out[to] = both.append(s).append(t);
    });
  }
};

}  // namespace

void register_string_concat(OpRegistry& r) {
  r.add<StringConcat>({.name = "StringConcat",
                       .doc = "strings, each followed by another",
                       .since = {20},
                       .inputs = {{"X", "T"}, {"Y", "T"}},
                       .outputs = {{"Z", "T"}},
                       .types = {{"T", DType::String}},
                       .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
