// TfIdfVectorizer.
#include <map>

#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

constexpr int64_t max_outputs = int64_t{1} << 40;

// The n-grams of the pool as a tree: a node for each beginning of one.
struct Grams final : KernelState {
  struct Gram {
    int64_t output;
    float weight;
  };

  std::map<std::string, int64_t> numbers;                    // of the pool's strings
  std::map<std::pair<int64_t, int64_t>, int64_t> next = {};  // (node, item) -> node; 0 is the root
  std::map<int64_t, Gram> at = {};                           // of nodes where one ends
};

class TfIdfVectorizer final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.required("max_gram_length", longest_, "items of an n-gram at most");
    v.required("max_skip_count", skips_, "items between two of an n-gram at most");
    v.required("min_gram_length", shortest_, "items of an n-gram at least");
    v.required("mode", mode_, "'TF': counts, 'IDF': weights, 'TFIDF': their products");
    v.required("ngram_counts", starts_, "where the n-grams of 1, 2... items begin in the pool");
    v.required("ngram_indexes", outputs_, "the output's element for each n-gram");
    v.visit("pool_int64s", ints_, "all n-grams' items");
    v.visit("pool_strings", strings_, "all n-grams' items");
    v.visit("weights", weights_, "of the n-grams; 1 without");
  }

  void infer(InferContext& c) const override {
    check(c);
    if (strings_.has_value() != (c.dtype(0) == DType::String)) {
      c.reject("{} for a pool of {}", c.describe_input(0), strings_ ? "strings" : "integers");
    }
    const Shape* x = c.shape(0);
    if (!x) return c.set_output(0, DType::Float32);
    if (x->size() > 2) c.reject("{}, expected [C] or [N, C]", c.describe_input(0));
    Shape y = {*std::max_element(outputs_.begin(), outputs_.end()) + 1};
    if (x->size() == 2) y.insert(y.begin(), (*x)[0]);
    c.set_output(0, DType::Float32, std::move(y));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext&) const override {
    auto grams = std::make_unique<Grams>();
    int64_t nodes = 1;
    size_t gram = 0;
    for_each_gram([&](int64_t begin, int64_t length) {
      int64_t node = 0;
      for (int64_t i = begin; i < begin + length; ++i) {
        auto [it, added] = grams->next.try_emplace({node, pool_item(*grams, i)}, nodes);
        if (added) ++nodes;
        node = it->second;
      }
      float weight = weights_ && mode_ != "TF" ? (*weights_)[gram] : 1;
      if (!grams->at.try_emplace(node, Grams::Gram{outputs_[gram], weight}).second) {
        fail(ErrorKind::BadModel, "n-gram {} is in the pool twice", gram);
      }
      ++gram;
    });
    return grams;
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    const auto& grams = c.state<Grams>();
    std::fill_n(y.data<float>(), y.size(), 0.0f);
    if (x.size() == 0) return;
    std::vector<int64_t> items = items_of(grams, x);
    int64_t length = x.rank() == 0 ? 1 : x.dims().back(), width = y.dims().back();
    for (int64_t r = 0; r < x.size() / length; ++r) {
      count(c, grams, items.data() + r * length, length, y.data<float>() + r * width);
    }
  }

 private:
  static constexpr int64_t unknown = -1;  // of strings; numbers are counted from 0

  void check(const InferContext& c) const {
    if (mode_ != "TF" && mode_ != "IDF" && mode_ != "TFIDF") {
      c.reject("mode is '{}', expected 'TF', 'IDF' or 'TFIDF'", mode_);
    }
    if (shortest_ < 1 || longest_ < shortest_ || skips_ < 0) {
      c.reject("n-grams of {} to {} items with {} skips", shortest_, longest_, skips_);
    }
    if (ints_.has_value() == strings_.has_value()) {
      c.reject("{} of 'pool_int64s' and 'pool_strings' are given, expected one",
               ints_ ? "both" : "none");
    }
    size_t grams = 0;
    for_each_gram([&](int64_t, int64_t) { ++grams; });
    if (grams != outputs_.size() || grams == 0 || (weights_ && weights_->size() != grams)) {
      c.reject("{} n-grams in the pool, {} ngram_indexes and {} weights", grams, outputs_.size(),
               weights_ ? weights_->size() : grams);
    }
    for (int64_t i : outputs_) {
      if (i < 0 || i >= max_outputs) c.reject("ngram_indexes has {}", i);
    }
  }

  // Calls f(its place in the pool, its length) for all n-grams. Throws BadModel.
  template <typename F>
  void for_each_gram(const F& f) const {
    auto size = static_cast<int64_t>(ints_ ? ints_->size() : strings_->size());
    for (size_t k = 0; k < starts_.size(); ++k) {
      int64_t length = static_cast<int64_t>(k) + 1, begin = starts_[k],
              end = k + 1 < starts_.size() ? starts_[k + 1] : size;
      if (begin < 0 || end < begin || end > size || (end - begin) % length != 0) {
        fail(ErrorKind::BadModel, "n-grams of {} items at {} to {} of a pool of {}", length, begin,
             end, size);
      }
      for (int64_t at = begin; at < end; at += length) f(at, length);
    }
  }

  int64_t pool_item(Grams& grams, int64_t i) const {
    if (ints_) return (*ints_)[static_cast<size_t>(i)];
    auto number = static_cast<int64_t>(grams.numbers.size());
    return grams.numbers.try_emplace((*strings_)[static_cast<size_t>(i)], number).first->second;
  }

  std::vector<int64_t> items_of(const Grams& grams, const Tensor& x) const {
    if (!strings_) return to_int64s(x);
    std::vector<int64_t> items;
    for (const std::string& s : x.span<std::string>()) {
      auto it = grams.numbers.find(s);
      items.push_back(it == grams.numbers.end() ? unknown : it->second);
    }
    return items;
  }

  // All n-grams of a row whose items lie `distance` apart, for all distances; single items once.
  void count(const RunContext& c, const Grams& grams, const int64_t* row, int64_t length,
             float* out) const {
    int64_t shortest = shortest_;
    for (int64_t distance = 1; distance - 1 <= skips_; ++distance) {
      if (shortest > 1 && distance > (length - 1) / (shortest - 1)) return;
      c.control().check();
      for (int64_t begin = 0; begin < length; ++begin) {
        int64_t node = 0, items = 1;
        for (int64_t i = begin; i < length && items <= longest_; i += distance, ++items) {
          auto it = grams.next.find({node, row[i]});
          if (it == grams.next.end()) break;
          node = it->second;
          if (items >= shortest) found(grams, node, out);
        }
      }
      if (shortest == 1 && ++shortest > longest_) return;
    }
  }

  void found(const Grams& grams, int64_t node, float* out) const {
    auto gram = grams.at.find(node);
    if (gram == grams.at.end()) return;
    float& v = out[gram->second.output];
    v = mode_ == "IDF" ? gram->second.weight : v + gram->second.weight;
  }

  int64_t longest_ = 0, shortest_ = 0, skips_ = 0;
  std::string mode_;
  std::vector<int64_t> starts_, outputs_;
  std::optional<std::vector<int64_t>> ints_;
  std::optional<std::vector<std::string>> strings_;
  std::optional<std::vector<float>> weights_;
};

}  // namespace

void register_tf_idf_vectorizer(OpRegistry& r) {
  r.add<TfIdfVectorizer>({.name = "TfIdfVectorizer",
                          .doc = "how often n-grams of a pool are in rows of items",
                          .since = {9},
                          .inputs = {{"X", "T"}},
                          .outputs = {{"Y", "T1"}},
                          .types = {{"T", DTypeSet{DType::String, DType::Int32, DType::Int64}},
                                    {"T1", DType::Float32}},
                          .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
