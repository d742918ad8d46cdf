// StringNormalizer.
#include <set>

#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/text.h"

namespace onnxrun {

namespace {

class StringNormalizer final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("case_change_action", action_, "'LOWER', 'UPPER' or 'NONE'");
    v.visit("is_case_sensitive", sensitive_, "stop words are compared as they are written");
    v.visit("locale", locale_, "whose rules change the case: those that all languages share");
    v.visit("stopwords", stopwords_, "strings that are dropped");
  }

  void infer(InferContext& c) const override {
    if (action_ != "LOWER" && action_ != "UPPER" && action_ != "NONE") {
      c.reject("case_change_action is '{}', expected 'LOWER', 'UPPER' or 'NONE'", action_);
    }
    check_locale();
    const Shape* x = c.shape(0);
    if (!x) return c.set_output(0, DType::String);
    bool good = x->size() == 1 || (x->size() == 2 && (!(*x)[0].is_known() || (*x)[0] == Dim(1)));
    if (!good) c.reject("{}, expected [C] or [1, C]", c.describe_input(0));
    Shape y(x->size());
    if (y.size() == 2) y[0] = 1;
    c.set_output(0, DType::String, std::move(y));
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    std::set<std::string> stopwords;
    for (const std::string& s : stopwords_.value_or(std::vector<std::string>())) {
      stopwords.insert(compared(s));
    }
    std::vector<std::string> kept;
    for (const std::string& s : x.span<std::string>()) {
      if (stopwords.empty() || !stopwords.count(compared(s))) kept.push_back(changed(s, action_));
    }
    if (kept.empty()) kept.emplace_back();
    Dims dims(x.dims().size(), 1);
    dims.back() = static_cast<int64_t>(kept.size());
    Tensor& y = c.allocate(0, DType::String, std::move(dims));
    std::move(kept.begin(), kept.end(), y.data<std::string>());
  }

 private:
  // Turkish, Azerbaijani and Lithuanian have rules of their own for i.
  void check_locale() const {
    std::string language = locale_ ? locale_->substr(0, locale_->find_first_of("_-.@")) : "";
    bool changes = action_ != "NONE" || (!sensitive_ && stopwords_ && !stopwords_->empty());
    if (changes && (language == "tr" || language == "az" || language == "lt")) {
      fail(ErrorKind::Unsupported, "the case rules of locale '{}'", *locale_);
    }
  }

  std::string compared(const std::string& s) const {
    if (sensitive_) return s;
    return changed(s, action_ == "UPPER" ? "UPPER" : "LOWER");
  }

  static std::string changed(const std::string& s, std::string_view action) {
    if (action == "LOWER") return in_lower_case(s);
    return action == "UPPER" ? in_upper_case(s) : s;
  }

  std::string action_ = "NONE";
  bool sensitive_ = false;
  std::optional<std::string> locale_;
  std::optional<std::vector<std::string>> stopwords_;
};

}  // namespace

void register_string_normalizer(OpRegistry& r) {
  r.add<StringNormalizer>({.name = "StringNormalizer",
                           .doc = "strings in one case, without stop words",
                           .since = {10},
                           .inputs = {{"X", "tensor(string)"}},
                           .outputs = {{"Y", "tensor(string)"}},
                           .types = {{"tensor(string)", DType::String}},
                           .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
