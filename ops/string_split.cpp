// StringSplit.
#include <limits>

#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/text.h"

namespace onnxrun {

namespace {

using Parts = std::vector<std::string_view>;

class StringSplit final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("delimiter", delimiter_, "what lies between two parts; white space without");
    v.visit("maxsplit", max_, "splits of one string at most; no limit if negative");
  }

  void infer(InferContext& c) const override {
    std::optional<Shape> shape;
    if (c.shape(0)) shape = *c.shape(0);
    c.set_output(1, DType::Int64, shape);
    if (shape) shape->emplace_back();
    c.set_output(0, DType::String, std::move(shape));
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    std::vector<Parts> all;
    size_t most = 0;
    for (const std::string& s : x.span<std::string>()) {
      all.push_back(delimiter_.value_or("").empty() ? by_white_space(s) : by_delimiter(s));
      most = std::max(most, all.back().size());
    }
    if (c.has_output(1)) {
      std::transform(all.begin(), all.end(), c.output(1).data<int64_t>(),
                     [](const Parts& p) { return static_cast<int64_t>(p.size()); });
    }
    if (!c.has_output(0)) return;
    Dims dims = x.dims();
    dims.push_back(static_cast<int64_t>(most));
    std::string* out = c.allocate(0, DType::String, std::move(dims)).data<std::string>();
    for (const Parts& parts : all) {
      std::copy(parts.begin(), parts.end(), out);
      out += most;
    }
  }

 private:
  size_t limit() const {
    return max_ && *max_ >= 0 ? static_cast<size_t>(*max_) : std::numeric_limits<size_t>::max();
  }

  Parts by_delimiter(std::string_view s) const {
    Parts parts;
    for (size_t at = 0; parts.size() < limit() && (at = s.find(*delimiter_)) != s.npos;) {
      parts.push_back(s.substr(0, at));
      s.remove_prefix(at + delimiter_->size());
    }
    parts.push_back(s);
    return parts;
  }

  // What is left after the last split keeps its white space behind, as Python's split() has it.
  [[gnu::flatten]] Parts by_white_space(std::string_view s) const {
    Parts parts;
    size_t begin = 0;
    bool inside = false;
    for (size_t at = 0; at < s.size();) {
      size_t here = at;
      bool space = is_white_space(next_character(s, at));
      if (space && inside) parts.push_back(s.substr(begin, here - begin));
      if (!space && !inside) {
        begin = here;
        if (parts.size() == limit()) {
          parts.push_back(s.substr(begin));
          return parts;
        }
      }
      inside = !space;
    }
    if (inside) parts.push_back(s.substr(begin));
    return parts;
  }

  std::optional<std::string> delimiter_;
  std::optional<int64_t> max_;
};

}  // namespace

void register_string_split(OpRegistry& r) {
  r.add<StringSplit>({.name = "StringSplit",
                      .doc = "the parts of strings between delimiters, and how many there are",
                      .since = {20},
                      .inputs = {{"X", "T1"}},
                      .outputs = {{"Y", "T2"}, {"Z", "T3"}},
                      .types = {{"T1", DType::String}, {"T2", DType::String}, {"T3", DType::Int64}},
                      .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
