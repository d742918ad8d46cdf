// RegexFullMatch, by RE2, whose syntax the standard asks for and which takes linear time.
#include <re2/re2.h>

#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

struct RegexState final : KernelState {
  explicit RegexState(const std::string& pattern) : regex(pattern, RE2::Quiet) {}
  RE2 regex;
};

class RegexFullMatch final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("pattern", pattern_, "the regular expression, in RE2's syntax");
  }

  void infer(InferContext& c) const override {
    if (!pattern_) c.reject("attribute 'pattern' is missing");
    RE2 regex(*pattern_, RE2::Quiet);
    if (!regex.ok()) c.reject("pattern '{}': {}", *pattern_, regex.error());
    std::optional<Shape> shape;
    if (c.shape(0)) shape = *c.shape(0);
    c.set_output(0, DType::Bool, std::move(shape));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext&) const override {
    return std::make_unique<RegexState>(*pattern_);
  }

  void run(RunContext& c) const override {
    const RE2& regex = c.state<RegexState>().regex;
    auto texts = c.input(0).span<std::string>();
    std::transform(texts.begin(), texts.end(), c.output(0).data<bool>(), [&](const std::string& s) {
      c.control().check();
      return RE2::FullMatch(s, regex);
    });
  }

 private:
  std::optional<std::string> pattern_;
};

}  // namespace

void register_regex_full_match(OpRegistry& r) {
  r.add<RegexFullMatch>({.name = "RegexFullMatch",
                         .doc = "whether all of a string matches a regular expression",
                         .since = {20},
                         .inputs = {{"X", "T1"}},
                         .outputs = {{"Y", "T2"}},
                         .types = {{"T1", DType::String}, {"T2", DType::Bool}},
                         .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
