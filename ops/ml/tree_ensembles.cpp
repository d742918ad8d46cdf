// ai.onnx.ml: TreeEnsembleClassifier, TreeEnsembleRegressor.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/threads.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/forest.h"
#include "tensor/tensor.h"

namespace onnxrun {

namespace {

using Ints = std::optional<std::vector<int64_t>>;
using Floats = std::optional<std::vector<float>>;
using Strings = std::optional<std::vector<std::string>>;

constexpr int64_t max_targets = int64_t{1} << 24;
constexpr int64_t rows_grain = 16;

// A list of numbers in float, or as a tensor in float or double.
std::vector<double> numbers(const Floats& floats, const std::optional<Tensor>& tensor) {
  if (tensor) return to_doubles(*tensor);
  return floats ? std::vector<double>(floats->begin(), floats->end()) : std::vector<double>();
}

size_t size_of(const Ints& list) { return list ? list->size() : 0; }

// Those rows of numbers that sum up to one, or lie between 0 and 1.
void transform(const std::string& how, std::vector<double>& scores) {
  if (how == "LOGISTIC") {
    for (double& s : scores) s = 1 / (1 + std::exp(-s));
  } else if (how == "SOFTMAX") {
    double largest = *std::max_element(scores.begin(), scores.end()), sum = 0;
    for (double& s : scores) sum += s = std::exp(s - largest);
    for (double& s : scores) s /= sum;
  }
}

// What both have in common; `prefix` is what they call their targets.
class TreeOp : public Op {
 public:
  std::unique_ptr<KernelState> prepare(PrepareContext&) const final {
    auto forest = std::make_unique<Forest>();
    add_nodes(*forest);
    forest->find_roots();
    forest->base = numbers(base_, base_tensor_);
    forest->aggregate = aggregate();
    if (!forest->base.empty() && forest->base.size() != static_cast<size_t>(targets())) {
      fail(ErrorKind::BadModel, "{} base values of {} targets", forest->base.size(), targets());
    }
    return forest;
  }

  void run(RunContext& c) const final {
    const Tensor& x = c.input(0);
    const auto& forest = c.state<Forest>();
    const int64_t rows = x.rank() == 1 ? 1 : x.dim(0), features = x.dims().back();
    if (features < forest.features()) {
      fail(ErrorKind::BadInput, "{}, but the trees ask for feature {}", x.type_text(),
           forest.features() - 1);
    }
    std::vector<double> all = to_doubles(x);
    parallel_for(rows, rows_grain, [&](int64_t begin, int64_t end) {
      std::vector<double> scores;
      for (int64_t r = begin; r < end; ++r) {
        c.control().check();
        scores.resize(static_cast<size_t>(targets()));
        forest.evaluate(all.data() + r * features, scores);
        write(c, r, scores);
      }
    });
  }

 protected:
  virtual int64_t targets() const = 0;
  virtual Forest::Aggregate aggregate() const { return Forest::Aggregate::Sum; }
  virtual void write(RunContext& c, int64_t row, std::vector<double>& scores) const = 0;

  void visit_nodes(AttributeVisitor& v) {
    v.visit("base_values", base_, "added to the results");
    v.visit("base_values_as_tensor", base_tensor_, "the same in double");
    v.visit("nodes_falsenodeids", no_, "where rows go that a comparison does not hold for");
    v.visit("nodes_featureids", features_, "what is compared");
    v.visit("nodes_hitrates", hits_, "how often a node was met; not used");
    v.visit("nodes_hitrates_as_tensor", hits_tensor_, "the same in double");
    v.visit("nodes_missing_value_tracks_true", missing_, "1: NaN goes where the comparison holds");
    v.visit("nodes_modes", modes_, "comparisons: BRANCH_LEQ, ..., or LEAF");
    v.visit("nodes_nodeids", ids_, "numbers of nodes in their trees");
    v.visit("nodes_treeids", trees_, "numbers of the nodes' trees");
    v.visit("nodes_truenodeids", yes_, "where rows go that a comparison holds for");
    v.visit("nodes_values", values_, "what features are compared with");
    v.visit("nodes_values_as_tensor", values_tensor_, "the same in double");
    v.visit("post_transform", transform_, "NONE, LOGISTIC or SOFTMAX");
  }

  void visit_weights(AttributeVisitor& v, std::string_view ids, std::string_view nodes,
                     std::string_view trees, std::string_view weights, std::string_view tensor) {
    v.visit(ids, weight_targets_, "what the weights of leaves count for");
    v.visit(nodes, weight_nodes_, "the nodes of these weights");
    v.visit(trees, weight_trees_, "the trees of these nodes");
    v.visit(weights, weights_, "what leaves add");
    v.visit(tensor, weights_tensor_, "the same in double");
  }

  Dim check_rows(const InferContext& c) const {
    if (transform_ != "NONE" && transform_ != "LOGISTIC" && transform_ != "SOFTMAX") {
      fail(ErrorKind::Unsupported, "attribute 'post_transform' is '{}'", transform_);
    }
    const Shape* x = c.shape(0);
    if (!x) return {};
    if (x->empty() || x->size() > 2) c.reject("{}, expected rows", c.describe_input(0));
    return x->size() == 1 ? Dim(1) : (*x)[0];
  }

  Floats base_, weights_;
  std::optional<Tensor> base_tensor_, weights_tensor_;
  Ints weight_targets_;
  std::string transform_ = "NONE";

 private:
  using Places = std::map<std::pair<int64_t, int64_t>, size_t>;  // (tree, node) -> index

  static Forest::Mode mode_of(const std::string& name) {
    constexpr std::array<std::string_view, 7> names = {
        "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "LEAF"};
    auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end()) fail(ErrorKind::BadModel, "a node of a tree has the mode '{}'", name);
    return static_cast<Forest::Mode>(it - names.begin());
  }

  void check_lists(const std::vector<double>& values) const {
    size_t n = size_of(ids_);
    for (size_t other :
         {size_of(trees_), size_of(features_), size_of(yes_), size_of(no_),
          modes_ ? modes_->size() : 0, values.size(), missing_ ? missing_->size() : n}) {
      if (other != n || n == 0) {
        fail(ErrorKind::BadModel, "trees have {} nodes, but {} elements in another list of them", n,
             other);
      }
    }
  }

  void add_nodes(Forest& forest) const {
    std::vector<double> values = numbers(values_, values_tensor_);
    check_lists(values);
    Places places;
    for (size_t i = 0; i < ids_->size(); ++i) {
      if (!places.try_emplace({(*trees_)[i], (*ids_)[i]}, i).second) {
        fail(ErrorKind::BadModel, "tree {} has two nodes {}", (*trees_)[i], (*ids_)[i]);
      }
    }
    for (size_t i = 0; i < ids_->size(); ++i) {
      Forest::Node node;
      node.mode = mode_of((*modes_)[i]);
      node.missing_is_true = missing_ && (*missing_)[i] != 0;
      if (node.mode != Forest::Mode::Leaf) {
        node.feature = (*features_)[i];
        if (node.feature < 0) fail(ErrorKind::BadModel, "a tree asks for feature {}", node.feature);
        node.value = values[i];
        node.yes = place(places, (*trees_)[i], (*yes_)[i]);
        node.no = place(places, (*trees_)[i], (*no_)[i]);
      }
      forest.nodes.push_back(node);
    }
    add_weights(forest, places);
  }

  static size_t place(const Places& places, int64_t tree, int64_t node) {
    auto it = places.find({tree, node});
    if (it == places.end()) fail(ErrorKind::BadModel, "tree {} has no node {}", tree, node);
    return it->second;
  }

  // The weights of one leaf lie side by side, in the order of the file.
  void add_weights(Forest& forest, const Places& places) const {
    std::vector<double> weights = numbers(weights_, weights_tensor_);
    size_t n = weights.size();
    if (size_of(weight_targets_) != n || size_of(weight_nodes_) != n ||
        size_of(weight_trees_) != n) {
      fail(ErrorKind::BadModel,
           "{} weights of leaves, but {} targets, {} nodes and {} trees of them", n,
           size_of(weight_targets_), size_of(weight_nodes_), size_of(weight_trees_));
    }
    std::map<size_t, std::vector<Forest::Weight>> by_leaf;
    for (size_t i = 0; i < n; ++i) {
      int64_t target = (*weight_targets_)[i];
      if (target < 0 || target >= targets()) {
        fail(ErrorKind::BadModel, "a weight of a leaf counts for {} of {}", target, targets());
      }
      by_leaf[place(places, (*weight_trees_)[i], (*weight_nodes_)[i])].push_back(
          {target, weights[i]});
    }
    forest.nonnegative =
        std::all_of(weights.begin(), weights.end(), [](double w) { return w >= 0; });
    if (n > 0 && std::count(weight_targets_->begin(), weight_targets_->end(),
                            weight_targets_->front()) == std::ssize(*weight_targets_)) {
      forest.only_target = weight_targets_->front();
    }
    for (const auto& [at, list] : by_leaf) {
      Forest::Node& node = forest.nodes[at];
      if (node.mode != Forest::Mode::Leaf) continue;
      node.yes = forest.weights.size();
      forest.weights.insert(forest.weights.end(), list.begin(), list.end());
      node.no = forest.weights.size();
    }
  }

  Ints no_, features_, missing_, ids_, trees_, yes_, weight_nodes_, weight_trees_;
  Floats hits_, values_;
  std::optional<Tensor> hits_tensor_, values_tensor_;
  Strings modes_;
};

class TreeEnsembleRegressor final : public TreeOp {
 public:
  void attributes(AttributeVisitor& v) override {
    visit_nodes(v);
    v.visit("aggregate_function", aggregate_, "SUM, AVERAGE, MIN or MAX over the trees");
    v.visit("n_targets", targets_, "numbers for each row");
    visit_weights(v, "target_ids", "target_nodeids", "target_treeids", "target_weights",
                  "target_weights_as_tensor");
  }

  void infer(InferContext& c) const override {
    Dim rows = check_rows(c);
    aggregate();
    if (targets() < 1 || targets() > max_targets) {
      c.reject("attribute 'n_targets' is {}", targets());
    }
    c.set_output(0, DType::Float32, Shape{rows, Dim(targets())});
  }

 protected:
  int64_t targets() const override { return targets_.value_or(1); }

  Forest::Aggregate aggregate() const override {
    constexpr std::array<std::string_view, 4> names = {"AVERAGE", "SUM", "MIN", "MAX"};
    auto it = std::find(names.begin(), names.end(), aggregate_);
    if (it == names.end()) {
      fail(ErrorKind::BadModel, "attribute 'aggregate_function' is '{}'", aggregate_);
    }
    return static_cast<Forest::Aggregate>(it - names.begin());
  }

  void write(RunContext& c, int64_t row, std::vector<double>& scores) const override {
    transform(transform_, scores);
    float* y = c.output(0).data<float>() + row * targets();
    for (size_t i = 0; i < scores.size(); ++i) y[i] = static_cast<float>(scores[i]);
  }

 private:
  std::string aggregate_ = "SUM";
  std::optional<int64_t> targets_;
};

// If all weights count for one of two classes, the other gets what is left: of 1 where all weights
// are positive, else of 0, and the sign decides.
class TreeEnsembleClassifier final : public TreeOp {
 public:
  void attributes(AttributeVisitor& v) override {
    visit_nodes(v);
    visit_weights(v, "class_ids", "class_nodeids", "class_treeids", "class_weights",
                  "class_weights_as_tensor");
    v.visit("classlabels_int64s", ints_, "the classes");
    v.visit("classlabels_strings", strings_, "the classes");
  }

  void infer(InferContext& c) const override {
    Dim rows = check_rows(c);
    if (ints_.has_value() == strings_.has_value() || targets() < 2) {
      c.reject("{} integers and {} strings are the classes' names", size_of(ints_),
               strings_ ? strings_->size() : 0);
    }
    c.set_output(0, ints_ ? DType::Int64 : DType::String, Shape{rows});
    c.set_output(1, DType::Float32, Shape{rows, Dim(targets())});
  }

 protected:
  int64_t targets() const override {
    return static_cast<int64_t>(ints_ ? ints_->size() : strings_ ? strings_->size() : 0);
  }

  void write(RunContext& c, int64_t row, std::vector<double>& scores) const override {
    const auto& forest = c.state<Forest>();
    size_t best = 0;
    if (targets() == 2 && forest.only_target) {
      best = split(forest, scores);
    } else {
      best = static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
      transform(transform_, scores);
    }
    name(c, row, best);
    if (!c.has_output(1)) return;
    float* z = c.output(1).data<float>() + row * targets();
    for (size_t i = 0; i < scores.size(); ++i) z[i] = static_cast<float>(scores[i]);
  }

 private:
  void name(RunContext& c, int64_t row, size_t best) const {
    if (!c.has_output(0)) return;
    if (ints_) {
      c.output(0).data<int64_t>()[row] = (*ints_)[best];
    } else {
      c.output(0).data<std::string>()[row] = (*strings_)[best];
    }
  }

  size_t split(const Forest& forest, std::vector<double>& scores) const {
    double score = scores[static_cast<size_t>(*forest.only_target)];
    scores = {forest.nonnegative ? 1 - score : -score, score};
    if (!forest.nonnegative && transform_ == "LOGISTIC") transform(transform_, scores);
    return score > (forest.nonnegative ? 0.5 : 0) ? 1 : 0;
  }

  Ints ints_;
  Strings strings_;
};

OpSpec tree_spec(std::string_view name, std::string_view doc) {
  return {.name = name,
          .domain = "ai.onnx.ml",
          .doc = doc,
          .since = {1, 3, 5},
          .gradient = GradientState::NotDifferentiable};
}

constexpr DTypeSet rows_of = dtypes::f32_f64 | DTypeSet{DType::Int32, DType::Int64};

}  // namespace

void register_ml_tree_ensembles(OpRegistry& r) {
  OpSpec regressor =
      tree_spec("TreeEnsembleRegressor", "numbers from the leaves of decision trees");
  regressor.inputs = {{"X", "T"}};
  regressor.outputs = {{"Y", "tensor(float)"}};
  regressor.types = {{"T", rows_of}, {"tensor(float)", DType::Float32}};
  r.add<TreeEnsembleRegressor>(std::move(regressor));
  OpSpec classifier =
      tree_spec("TreeEnsembleClassifier", "classes from the leaves of decision trees");
  classifier.inputs = {{"X", "T1"}};
  classifier.outputs = {{"Y", "T2"}, {"Z", "tensor(float)"}};
  classifier.types = {{"T1", rows_of},
                      {"T2", DTypeSet{DType::Int64, DType::String}},
                      {"tensor(float)", DType::Float32}};
  r.add<TreeEnsembleClassifier>(std::move(classifier));
}

}  // namespace onnxrun
