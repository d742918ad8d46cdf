// Einsum.
#include <algorithm>
#include <map>
#include <set>

#include "graph/cost.h"
#include "kernels/composed.h"
#include "passes/gradient.h"

namespace onnxrun {

namespace {

// An equation's operands and result: a letter for each axis, and '.' for an ellipsis.
struct Equation {
  std::vector<std::string> terms;
  std::string result;
};

std::string read_term(const std::string& equation, const std::string& text) {
  std::string term;
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c == ' ') continue;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool dots = text.compare(i, 3, "...") == 0 && term.find('.') == std::string::npos;
    if (!letter && !dots) {
      fail(ErrorKind::BadModel, "equation '{}' is not understood at '{}'", equation,
           text.substr(i));
    }
    term += text[i];
    if (dots) i += 2;
  }
  return term;
}

Equation parse(const std::string& text) {
  Equation e;
  size_t arrow = text.find("->"), end = std::min(arrow, text.size());
  for (size_t at = 0; at <= end;) {
    size_t comma = std::min(text.find(',', at), end);
    e.terms.push_back(read_term(text, text.substr(at, comma - at)));
    at = comma + 1;
  }
  std::map<char, int> count;
  for (const std::string& term : e.terms) {
    for (char c : term) ++count[c];
  }
  if (arrow == std::string::npos) {
    // An ellipsis first, then what occurs once, in the order of the alphabet.
    for (const auto& [c, n] : count) {
      if (c == '.' || n == 1) e.result += c;
    }
    return e;
  }
  e.result = read_term(text, text.substr(arrow + 2));
  for (char c : e.result) {
    if (!count.count(c))
      fail(ErrorKind::BadModel, "'{}' of the result of '{}' is in no term", c, text);
    if (std::count(e.result.begin(), e.result.end(), c) > 1) {
      fail(ErrorKind::BadModel, "the result of '{}' has '{}' twice", text, c);
    }
  }
  return e;
}

// Labels of ellipsis axes, the last axis first.
char ellipsis_label(size_t from_end) {
  return static_cast<char>(-128 + static_cast<int>(from_end));
}

// With a label for each axis of an ellipsis of `count` axes.
std::string spread(const std::string& term, size_t count) {
  std::string result;
  for (char c : term) {
    if (c != '.') {
      result += c;
      continue;
    }
    for (size_t i = count; i-- > 0;) result += ellipsis_label(i);
  }
  return result;
}

// How many axes the ellipsis of `term` has in an operand of this rank.
size_t ellipsis_axes(const std::string& term, int64_t rank) {
  bool dots = term.find('.') != std::string::npos;
  auto letters = static_cast<int64_t>(term.size()) - int64_t{dots};
  if (rank < letters || (!dots && rank > letters)) {
    fail(ErrorKind::BadModel, "a term of {} letters{} is for an operand of rank {}", letters,
         dots ? " and an ellipsis" : "", rank);
  }
  return static_cast<size_t>(rank - letters);
}

bool has(const std::string& labels, char c) { return labels.find(c) != std::string::npos; }

// An operand on the way to the result.
struct Operand {
  ValueId value = no_value;
  std::string labels;
};

// Emits contractions, two operands at a time.
class Contraction {
 public:
  Contraction(const Emit& e, std::vector<Operand> operands, std::string result)
      : e_(e), operands_(std::move(operands)), result_(std::move(result)) {}

  ValueId run() {
    for (Operand& x : operands_) take_diagonals(x);
    drop_single_lengths();
    for (size_t i = 0; i < operands_.size(); ++i) sum_out(operands_[i], i, i);
    while (operands_.size() > 1) {
      Operand product = multiply(operands_[0], operands_[1]);
      operands_.erase(operands_.begin());
      operands_[0] = product;
    }
    return ordered(operands_[0], result_);
  }

 private:
  int64_t axis_of(const Operand& x, char c) const { return static_cast<int64_t>(x.labels.find(c)); }
  Dim length(const Operand& x, char c) const {
    return (*e_.b.type(x.value).shape)[static_cast<size_t>(axis_of(x, c))];
  }

  void take_diagonals(Operand& x) {
    for (size_t i = 0; i < x.labels.size();) {
      size_t again = x.labels.find(x.labels[i], i + 1);
      if (again == std::string::npos) {
        ++i;
        continue;
      }
      auto a = static_cast<int64_t>(i), b = static_cast<int64_t>(again);
      auto rank = static_cast<int64_t>(x.labels.size());
      ValueId places = e_.range(e_.dim(x.value, a));
      auto along = [&](int64_t axis) {
        std::vector<int64_t> others;
        for (int64_t k = 0; k < rank; ++k) {
          if (k != axis) others.push_back(k);
        }
        return e_.b.unsqueeze(places, others);
      };
      ValueId on = e_.equal(along(a), along(b));
      ValueId kept = e_.where(on, x.value, e_.scalar(0, x.value));
      x.value = e_.b.reduce_sum(kept, {b}, false);
      x.labels.erase(again, 1);
    }
  }

  // An axis of length 1 is repeated for one that is longer: it goes.
  void drop_single_lengths() {
    for (Operand& x : operands_) {
      for (size_t i = 0; i < x.labels.size();) {
        char c = x.labels[i];
        bool longer = std::any_of(operands_.begin(), operands_.end(), [&](const Operand& other) {
          return has(other.labels, c) && !(length(other, c) == Dim(1));
        });
        if (!longer || !(length(x, c) == Dim(1))) {
          ++i;
          continue;
        }
        x.value = e_.b.squeeze(x.value, {static_cast<int64_t>(i)});
        x.labels.erase(i, 1);
      }
    }
  }

  // Whether the result or an operand other than i and j has the label.
  bool wanted(char c, size_t i, size_t j) const {
    if (has(result_, c)) return true;
    for (size_t k = 0; k < operands_.size(); ++k) {
      if (k != i && k != j && has(operands_[k].labels, c)) return true;
    }
    return false;
  }

  void sum_out(Operand& x, size_t i, size_t j) const {
    std::vector<int64_t> axes;
    std::string kept;
    for (size_t k = 0; k < x.labels.size(); ++k) {
      if (wanted(x.labels[k], i, j)) {
        kept += x.labels[k];
      } else {
        axes.push_back(static_cast<int64_t>(k));
      }
    }
    if (!axes.empty()) x = {e_.b.reduce_sum(x.value, axes, false), kept};
  }

  ValueId ordered(const Operand& x, const std::string& labels) const {
    std::vector<int64_t> perm;
    for (char c : labels) perm.push_back(axis_of(x, c));
    bool same = labels == x.labels;
    return same ? x.value : e_.b.transpose(x.value, perm);
  }

  Operand multiply(const Operand& a, const Operand& b) const {
    std::string batch, own_a, own_b, inner;
    for (char c : a.labels) {
      if (!has(b.labels, c)) {
        own_a += c;
      } else {
        (wanted(c, 0, 1) ? batch : inner) += c;
      }
    }
    for (char c : b.labels) {
      if (!has(a.labels, c)) own_b += c;
    }
    if (inner.empty()) return outer_product(a, b, batch, own_a, own_b);
    auto shaped = [&](const Operand& x, const std::string& first, const std::string& second) {
      ValueId v = ordered(x, batch + first + second);
      if (first.size() == 1 && second.size() == 1) return v;
      return e_.b.reshape(v, e_.concat({lengths(x, batch), e_.product(lengths(x, first)),
                                        e_.product(lengths(x, second))}));
    };
    ValueId y = e_.matmul(shaped(a, own_a, inner), shaped(b, inner, own_b));
    if (own_a.size() != 1 || own_b.size() != 1) {
      y = e_.b.reshape(y, e_.concat({lengths(a, batch), lengths(a, own_a), lengths(b, own_b)}));
    }
    return {y, batch + own_a + own_b};
  }

  Operand outer_product(const Operand& a, const Operand& b, const std::string& batch,
                        const std::string& own_a, const std::string& own_b) const {
    ValueId left = ordered(a, batch + own_a), right = ordered(b, batch + own_b);
    std::vector<int64_t> behind, between;
    auto start = static_cast<int64_t>(batch.size());
    for (size_t i = 0; i < own_b.size(); ++i) {
      behind.push_back(start + static_cast<int64_t>(own_a.size() + i));
    }
    for (size_t i = 0; i < own_a.size(); ++i) between.push_back(start + static_cast<int64_t>(i));
    if (!behind.empty()) left = e_.b.unsqueeze(left, behind);
    if (!between.empty()) right = e_.b.unsqueeze(right, between);
    return {e_.mul(left, right), batch + own_a + own_b};
  }

  // A list of the lengths of these axes.
  ValueId lengths(const Operand& x, const std::string& labels) const {
    std::vector<int64_t> axes;
    for (char c : labels) axes.push_back(axis_of(x, c));
    return e_("Gather", {e_.b.shape_of(x.value), e_.b.ints(axes)});
  }

  const Emit& e_;
  std::vector<Operand> operands_;
  std::string result_;
};

class Einsum final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.required("equation", equation_, "letters of each operand's axes, and of the result's");
  }

  // As many products of all operands as the labels have combinations.
  Count operations(const CostContext& c) const override {
    const Equation eq = parse(equation_);
    std::map<char, Count> lengths;
    for (size_t i = 0; i < eq.terms.size(); ++i) {
      if (!c.input(i).shape) return std::nullopt;
      const int64_t rank = c.input(i).rank();
      const std::string labels = spread(eq.terms[i], ellipsis_axes(eq.terms[i], rank));
      for (size_t k = 0; k < labels.size(); ++k) {
        auto [it, first] = lengths.emplace(labels[k], 1);
        // An axis of 1 is repeated as often as others want it.
        if (it->second.value() == 1) it->second = c.length(i, static_cast<int64_t>(k));
      }
    }
    Count products = std::max<int64_t>(2, static_cast<int64_t>(eq.terms.size()));
    for (const auto& [label, length] : lengths) products = products * length;
    return products;
  }

  void infer(InferContext& c) const override {
    Equation eq = parse(equation_);
    if (eq.terms.size() != c.num_inputs()) {
      c.reject("equation '{}' has {} operands, {} are given", equation_, eq.terms.size(),
               c.num_inputs());
    }
    std::map<char, Dim> lengths;
    size_t ellipsis = 0;
    bool known = true;
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      if (!c.shape(i)) {
        known = false;
        continue;
      }
      size_t axes = ellipsis_axes(eq.terms[i], c.rank(i));
      if (has(eq.terms[i], '.')) ellipsis = std::max(ellipsis, axes);
      std::string labels = spread(eq.terms[i], axes);
      for (size_t k = 0; k < labels.size(); ++k) {
        auto [it, first] = lengths.emplace(labels[k], (*c.shape(i))[k]);
        if (!first) it->second = joined(c, i, it->second, (*c.shape(i))[k]);
      }
    }
    if (!known) return c.set_output(0, c.dtype(0));
    if (ellipsis > 64) c.reject("an ellipsis of {} axes", ellipsis);
    Shape shape;
    for (char label : spread(eq.result, ellipsis)) shape.push_back(lengths.at(label));
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    Equation eq = parse(equation_);
    DType type = d.dtype(d.input(0)), wide = wide_type(type);
    std::vector<Operand> operands;
    size_t ellipsis = 0;
    for (size_t i = 0; i < eq.terms.size(); ++i) {
      int64_t rank = e.b.rank(d.input(i));
      if (rank < 0) fail(ErrorKind::Unsupported, "the rank of operand {} is not known", i);
      size_t axes = ellipsis_axes(eq.terms[i], rank);
      if (has(eq.terms[i], '.')) ellipsis = std::max(ellipsis, axes);
      operands.push_back({e.b.cast(d.input(i), wide), spread(eq.terms[i], axes)});
    }
    Contraction contraction(e, std::move(operands), spread(eq.result, ellipsis));
    d.set(0, e.b.cast(contraction.run(), type));
  }

  // The operator is linear in each operand: the cotangent takes its place, and operand and result
  // change sides.
  void gradient(GradientContext& g) const override {
    Equation eq = parse(equation_);
    for (size_t i = 0; i < eq.terms.size(); ++i) {
      if (g.wants(i)) g.set(i, gradient_of(g, eq, i));
    }
  }

 private:
  static Dim joined(const InferContext& c, size_t i, const Dim& a, const Dim& b) {
    if (a == b || b == Dim(1)) return a;
    if (a == Dim(1)) return b;
    if (a.is_known() && b.is_known()) {
      c.reject("an axis has {} elements, but {}", a.to_string(), c.describe_input(i));
    }
    return a.is_known() ? a : b;
  }

  // A type that sums and products of `type` exist in, and wrap around alike.
  static DType wide_type(DType type) {
    if (is_float(type) || bits_of(type) >= 32) return type;
    return is_signed_integer(type) ? DType::Int32 : DType::UInt32;
  }

  static char fresh(std::string& used) {
    for (char c = 'a'; c <= 'z'; ++c) {
      if (!has(used, c)) return used += c, c;
    }
    for (char c = 'A'; c <= 'Z'; ++c) {
      if (!has(used, c)) return used += c, c;
    }
    fail(ErrorKind::Unsupported, "the gradient needs more than 52 letters");
  }

  static std::string written(const std::string& term) {
    size_t dots = term.find('.');
    return dots == std::string::npos ? term : term.substr(0, dots) + "..." + term.substr(dots + 1);
  }

  // Whether axis k of operand i may be longer than where another operand has its letter.
  static bool may_be_longer(const GradientContext& g, const Equation& eq, size_t i, size_t k) {
    char c = eq.terms[i][k];
    if (c == '.') return true;
    auto length = [&](size_t operand, size_t at) {
      const Type& type = g.type(g.input(operand));
      return type.shape && !has(eq.terms[operand], '.') ? (*type.shape)[at] : Dim();
    };
    for (size_t other = 0; other < eq.terms.size(); ++other) {
      size_t at = eq.terms[other].find(c);
      if (other == i || at == std::string::npos) continue;
      if (length(other, at) == length(i, k)) return false;
    }
    return true;
  }

  ValueId gradient_of(GradientContext& g, const Equation& eq, size_t i) const {
    Emit e(g.builder());
    ValueId x = g.input(i);
    const std::string& own = eq.terms[i];
    std::vector<ValueId> inputs = {g.grad(0)};
    std::string left = written(eq.result), used = eq.result, all_names;
    for (const std::string& term : eq.terms) all_names += term;
    for (size_t k = 0; k < eq.terms.size(); ++k) {
      if (k == i) continue;
      inputs.push_back(g.input(k));
      left += "," + written(eq.terms[k]);
      used += eq.terms[k];
    }
    // A repeated letter gets another name, tied to the first by an identity matrix.
    std::string target;
    bool lonely = false;
    for (size_t k = 0; k < own.size(); ++k) {
      char c = own[k];
      if (has(target, c)) {
        char other = fresh(all_names);
        size_t dots = own.find('.');
        bool from_end = dots != std::string::npos && dots < k;
        int64_t axis = static_cast<int64_t>(k) - (from_end ? static_cast<int64_t>(own.size()) : 0);
        ValueId n = e.dim(x, axis);
        inputs.push_back(e("EyeLike", {e.fill(0, g.dtype(x), e.concat({n, n}))}));
        left += std::string(",") + c + other;
        c = other;
      } else {
        lonely = lonely || !has(used, c) || (!has(eq.result, c) && may_be_longer(g, eq, i, k));
      }
      target += c;
    }
    if (lonely) {
      inputs.push_back(e("Expand", {e.scalar(1, x), e.b.shape_of(x)}));
      left += "," + written(target);
    }
    auto einsum = [&](std::vector<ValueId> of, const std::string& equation) {
      return e("Einsum", std::move(of), {{"equation", equation}});
    };
    if (!has(target, '.') || target[0] == '.') {
      return einsum(std::move(inputs), left + "->" + written(target));
    }
    // Axes that an ellipsis was repeated over are summed where they are the first ones.
    std::string letters = target;
    letters.erase(letters.find('.'), 1);
    ValueId first = einsum(std::move(inputs), left + "->..." + letters);
    ValueId like = einsum({x}, written(target) + "->..." + letters);
    return einsum({sum_to(e.b, first, like)}, "..." + letters + "->" + written(target));
  }

  std::string equation_;
};

}  // namespace

void register_einsum(OpRegistry& r) {
  r.add<Einsum>({.name = "Einsum",
                 .doc = "sums of products over axes that an equation names",
                 .since = {12, 28},
                 .inputs = {{"Inputs", "T", Param::Kind::Variadic, InputRole::Weight}},
                 .outputs = {{"Output", "T"}},
                 .types = {{"T", dtypes::numeric}},
                 .kind = OpKind::Product,
                 .gradient = GradientState::Rule,
                 .decomposes = true});
}

}  // namespace onnxrun
