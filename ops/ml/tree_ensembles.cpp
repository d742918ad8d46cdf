// ai.onnx.ml: TreeEnsembleClassifier, TreeEnsembleRegressor.
#include <algorithm>
#include <array>
#include <map>

#include "kernels/forest_op.h"
#include "ml/lists.h"
#include "tensor/tensor.h"

namespace onnxrun {

namespace {

using OptionalInts = std::optional<std::vector<int64_t>>;
using Floats = std::optional<std::vector<float>>;
using Strings = std::optional<std::vector<std::string>>;

// A list of numbers in float, or as a tensor in float or double.
std::vector<double> doubles_of(const Floats& floats, const std::optional<Tensor>& tensor) {
  if (tensor) return to_doubles(*tensor);
  return floats ? std::vector<double>(floats->begin(), floats->end()) : std::vector<double>();
}

// What both have in common but the names of their targets.
class TreeOp : public ForestOp {
 protected:
  virtual int64_t targets() const = 0;

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
    v.visit("post_transform", transform_, "NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO or PROBIT");
  }

  void visit_weights(AttributeVisitor& v, std::string_view ids, std::string_view nodes,
                     std::string_view trees, std::string_view weights, std::string_view tensor) {
    v.visit(ids, weight_targets_, "what the weights of leaves count for");
    v.visit(nodes, weight_nodes_, "the nodes of these weights");
    v.visit(trees, weight_trees_, "the trees of these nodes");
    v.visit(weights, weights_, "what leaves add");
    v.visit(tensor, weights_tensor_, "the same in double");
  }

  std::unique_ptr<Forest> grow() const override {
    auto forest = std::make_unique<Forest>();
    forest->targets = static_cast<size_t>(targets());
    forest->base = doubles_of(base_, base_tensor_);
    Places places = number_nodes();
    add_nodes(*forest, places);
    add_weights(*forest, places);
    forest->roots = roots(*forest);
    return forest;
  }

  Floats base_, weights_;
  std::optional<Tensor> base_tensor_, weights_tensor_;
  OptionalInts weight_targets_;
  std::string transform_ = "NONE";

 private:
  using Places = std::map<std::pair<int64_t, int64_t>, size_t>;  // (tree, node) -> index

  static Forest::Mode mode_of(const std::string& name) {
    constexpr std::array<std::string_view, 6> names = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                                       "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
    if (name == "LEAF") return Forest::Mode::Leaf;
    auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end()) fail(ErrorKind::BadModel, "a node of a tree has the mode '{}'", name);
    return static_cast<Forest::Mode>(it - names.begin());
  }

  Places number_nodes() const {
    size_t n = size_of(ids_);
    if (n == 0) fail(ErrorKind::BadModel, "attribute 'nodes_nodeids' is empty");
    check_length("nodes_treeids", size_of(trees_), n);
    check_length("nodes_featureids", size_of(features_), n);
    check_length("nodes_truenodeids", size_of(yes_), n);
    check_length("nodes_falsenodeids", size_of(no_), n);
    check_length("nodes_modes", size_of(modes_), n);
    if (size_of(missing_) > 0) check_length("nodes_missing_value_tracks_true", missing_->size(), n);
    Places places;
    for (size_t i = 0; i < n; ++i) {
      if (!places.try_emplace({(*trees_)[i], (*ids_)[i]}, i).second) {
        fail(ErrorKind::BadModel, "tree {} has two nodes {}", (*trees_)[i], (*ids_)[i]);
      }
    }
    return places;
  }

  void add_nodes(Forest& forest, const Places& places) const {
    std::vector<double> values = doubles_of(values_, values_tensor_);
    check_length("nodes_values", values.size(), ids_->size());
    for (size_t i = 0; i < ids_->size(); ++i) {
      Forest::Node node;
      node.mode = mode_of((*modes_)[i]);
      node.missing_is_true = size_of(missing_) > 0 && (*missing_)[i] != 0;
      if (node.mode != Forest::Mode::Leaf) {
        node.feature = (*features_)[i];
        if (node.feature < 0) fail(ErrorKind::BadModel, "a tree asks for feature {}", node.feature);
        node.value = values[i];
        node.yes = place(places, (*trees_)[i], (*yes_)[i]);
        node.no = place(places, (*trees_)[i], (*no_)[i]);
      }
      forest.nodes.push_back(node);
    }
  }

  static size_t place(const Places& places, int64_t tree, int64_t node) {
    auto it = places.find({tree, node});
    if (it == places.end()) fail(ErrorKind::BadModel, "tree {} has no node {}", tree, node);
    return it->second;
  }

  // The weights of one leaf lie side by side, in the order of the file. Old converters give nodes
  // that are no leaves weights, too, which count for nothing.
  void add_weights(Forest& forest, const Places& places) const {
    std::vector<double> weights = doubles_of(weights_, weights_tensor_);
    size_t n = weights.size();
    if (size_of(weight_targets_) != n || size_of(weight_nodes_) != n ||
        size_of(weight_trees_) != n) {
      fail(ErrorKind::BadModel,
           "{} weights of leaves, but {} targets, {} nodes and {} trees of them", n,
           size_of(weight_targets_), size_of(weight_nodes_), size_of(weight_trees_));
    }
    std::map<size_t, std::vector<Forest::Weight>> by_leaf;
    forest.one_target = n > 0;
    for (size_t i = 0; i < n; ++i) {
      forest.nonnegative = forest.nonnegative && weights[i] >= 0;
      forest.one_target = forest.one_target && (*weight_targets_)[i] == weight_targets_->front();
      int64_t target = (*weight_targets_)[i];
      if (target < 0 || target >= targets()) {
        fail(ErrorKind::BadModel, "a weight of a leaf counts for {} of {}", target, targets());
      }
      size_t at = place(places, (*weight_trees_)[i], (*weight_nodes_)[i]);
      by_leaf[at].push_back({target, weights[i]});
    }
    for (const auto& [at, list] : by_leaf) {
      Forest::Node& node = forest.nodes[at];
      if (node.mode != Forest::Mode::Leaf) continue;
      node.yes = forest.weights.size();
      forest.weights.insert(forest.weights.end(), list.begin(), list.end());
      node.no = forest.weights.size();
    }
  }

  // One of each tree, in the order of the file.
  std::vector<size_t> roots(const Forest& forest) const {
    std::vector<size_t> roots = forest.parentless();
    std::map<int64_t, size_t> known;
    for (size_t root : roots) {
      if (!known.try_emplace((*trees_)[root], root).second) {
        fail(ErrorKind::BadModel, "no way leads to node {} of tree {}", (*ids_)[root],
             (*trees_)[root]);
      }
    }
    return roots;
  }

  OptionalInts no_, features_, missing_, ids_, trees_, yes_, weight_nodes_, weight_trees_;
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
    score_transform(transform_);
    check_targets(c, targets());
    size_t base = doubles_of(base_, base_tensor_).size();
    if (base > 0) check_length("base_values", base, static_cast<size_t>(targets()));
    c.set_output(0, DType::Float32, Shape{rows, Dim(targets())});
  }

 protected:
  int64_t targets() const override { return targets_.value_or(1); }

  std::unique_ptr<Forest> grow() const override {
    std::unique_ptr<Forest> forest = TreeOp::grow();
    forest->aggregate = aggregate();
    return forest;
  }

  void write(RunContext& c, const Forest& forest, int64_t row,
             Forest::Scores& scores) const override {
    finish_regression(forest, score_transform(transform_), scores);
    float* y = c.output(0).data<float>() + row * targets();
    for (size_t i = 0; i < scores.values.size(); ++i) y[i] = static_cast<float>(scores.values[i]);
  }

 private:
  Forest::Aggregate aggregate() const {
    constexpr std::array<std::string_view, 4> names = {"AVERAGE", "SUM", "MIN", "MAX"};
    auto it = std::find(names.begin(), names.end(), aggregate_);
    if (it == names.end()) {
      fail(ErrorKind::BadModel, "attribute 'aggregate_function' is '{}'", aggregate_);
    }
    return static_cast<Forest::Aggregate>(it - names.begin());
  }

  std::string aggregate_ = "SUM";
  std::optional<int64_t> targets_;
};

// The standard does not say how two classes share the weights of one; this is ONNX Runtime's way.
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
    score_transform(transform_);
    if ((size_of(ints_) > 0) == (size_of(strings_) > 0) || size_of(strings_) == 1) {
      c.reject("{} integers and {} strings are the classes' names", size_of(ints_),
               size_of(strings_));
    }
    size_t base = doubles_of(base_, base_tensor_).size();
    if (base > 1 || (base == 1 && targets() > 2)) {
      check_length("base_values", base, static_cast<size_t>(targets()));
    }
    c.set_output(0, size_of(ints_) > 0 ? DType::Int64 : DType::String, Shape{rows});
    c.set_output(1, DType::Float32, Shape{rows, Dim(targets())});
  }

 protected:
  int64_t targets() const override {
    return static_cast<int64_t>(std::max(size_of(ints_), size_of(strings_)));
  }

  void write(RunContext& c, const Forest& forest, int64_t row,
             Forest::Scores& scores) const override {
    int64_t n = targets();
    int64_t label = n == 1   ? one_class(forest, scores)
                    : n == 2 ? two_classes(forest, scores)
                             : many_classes(forest, scores);
    if (c.has_output(0) && size_of(ints_) > 0) {
      c.output(0).data<int64_t>()[row] = label;
    } else if (c.has_output(0)) {
      c.output(0).data<std::string>()[row] = (*strings_)[static_cast<size_t>(label)];
    }
    if (!c.has_output(1)) return;
    float* z = c.output(1).data<float>() + row * n;
    for (size_t i = 0; i < scores.values.size(); ++i) z[i] = static_cast<float>(scores.values[i]);
  }

 private:
  // Functions that turn sums into scores return the class, a number that is known, or the place
  // among the strings.
  int64_t label(size_t place) const {
    return size_of(ints_) > 0 ? (*ints_)[place] : static_cast<int64_t>(place);
  }

  int64_t one_class(const Forest& forest, Forest::Scores& scores) const {
    double& score = scores.values[0];
    if (!forest.base.empty()) score += forest.base[0];
    int64_t known = score > 0 ? 1 : 0;
    transform_scores(for_count(score_transform(transform_), 1), scores.values);
    return known;
  }

  int64_t many_classes(const Forest& forest, Forest::Scores& scores) const {
    for (size_t k = 0; k < forest.base.size(); ++k) {
      scores.values[k] += forest.base[k];
      scores.met[k] = 1;
    }
    std::optional<size_t> best;
    for (size_t k = 0; k < scores.values.size(); ++k) {
      if (scores.met[k] && (!best || scores.values[k] > scores.values[*best])) best = k;
    }
    if (!best) fail(ErrorKind::BadModel, "the leaves of a row have no weights");
    transform_scores(score_transform(transform_), scores.values);
    return label(*best);
  }

  int64_t two_classes(const Forest& forest, Forest::Scores& scores) const {
    double &first = scores.values[0], &second = scores.values[1];
    const bool both = scores.met[1] != 0;
    if (forest.base.size() == 2 && both) {
      second = forest.base[1] + first;
      first = -second;
    } else if (forest.base.size() == 2) {
      second += forest.base[1];
      first += forest.base[0];
    } else if (forest.base.size() == 1) {
      first += forest.base[0];
    }
    const double decides = both ? second : scores.met[0] ? first : 0;
    const bool of_one = forest.one_target && forest.nonnegative;
    const bool yes = decides > (of_one ? 0.5 : 0);
    if (both || forest.base.size() == 2) {
      for (size_t k = 0; k < 2; ++k) {
        if (!scores.met[k]) scores.values[k] = 0;
      }
      transform_scores(score_transform(transform_), scores.values);
    } else {
      share(scores, of_one, forest.one_target || forest.base.empty());
    }
    if (forest.one_target) return label(yes ? 1 : 0);
    return yes ? 1 : 0;
  }

  // The second class had no weight: what is left of one, or the opposite.
  void share(Forest::Scores& scores, bool of_one, bool defined) const {
    double score = scores.values[0];
    ScoreTransform transform = score_transform(transform_);
    if (!defined || transform == ScoreTransform::Probit) {
      fail(ErrorKind::Unsupported,
           "a row whose leaves have no weight for the second class, with {}",
           defined ? "PROBIT" : "one base value");
    }
    scores.values = {of_one ? 1 - score : -score, score};
    if (transform != ScoreTransform::Logistic) return;
    scores.values = {-score, score};
    transform_scores(transform, scores.values);
  }

  OptionalInts ints_;
  Strings strings_;
};

OpSpec tree_spec(std::string_view name, std::string_view doc) {
  return {.name = name,
          .domain = "ai.onnx.ml",
          .doc = doc,
          .since = {1, 3, 5},
          .gradient = GradientState::NotDifferentiable};
}

constexpr DTypeSet tree_feature_types = dtypes::f32_f64 | dtypes::index;

}  // namespace

void register_ml_tree_ensembles(OpRegistry& r) {
  OpSpec regressor =
      tree_spec("TreeEnsembleRegressor", "numbers from the leaves of decision trees");
  regressor.inputs = {{"X", "T"}};
  regressor.outputs = {{"Y", "tensor(float)"}};
  regressor.types = {{"T", tree_feature_types}, {"tensor(float)", DType::Float32}};
  r.add<TreeEnsembleRegressor>(std::move(regressor));
  OpSpec classifier =
      tree_spec("TreeEnsembleClassifier", "classes from the leaves of decision trees");
  classifier.inputs = {{"X", "T1"}};
  classifier.outputs = {{"Y", "T2"}, {"Z", "tensor(float)"}};
  classifier.types = {{"T1", tree_feature_types},
                      {"T2", DTypeSet{DType::Int64, DType::String}},
                      {"tensor(float)", DType::Float32}};
  r.add<TreeEnsembleClassifier>(std::move(classifier));
}

}  // namespace onnxrun
