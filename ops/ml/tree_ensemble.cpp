// ai.onnx.ml: TreeEnsemble.
#include <algorithm>
#include <cmath>

#include "kernels/forest_op.h"
#include "tensor/tensor.h"

namespace onnxrun {

namespace {

using IntList = std::vector<int64_t>;

template <typename T>
T narrowed_weight(double v) {
  if constexpr (std::is_same_v<T, double>) return v;
  return static_cast<T>(static_cast<float>(v));
}

// Nodes and leaves are numbered apart: in the forest, leaves come after all nodes.
class TreeEnsemble final : public ForestOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("aggregate_function", aggregate_, "over the trees: 0 average, 1 sum, 2 min, 3 max");
    v.required("leaf_targetids", leaf_targets_, "what leaves count for");
    v.required("leaf_weights", leaf_weights_, "what leaves add");
    v.visit("membership_values", members_, "what features are looked up in, a NaN after each set");
    v.visit("n_targets", targets_, "numbers for each row");
    v.required("nodes_falseleafs", no_is_leaf_, "1: nodes_falsenodeids names a leaf");
    v.required("nodes_falsenodeids", no_, "where rows go that a comparison does not hold for");
    v.required("nodes_featureids", features_, "what is compared");
    v.visit("nodes_hitrates", hits_, "how often a node was met; not used");
    v.visit("nodes_missing_value_tracks_true", missing_, "1: NaN goes where the comparison holds");
    v.required("nodes_modes", modes_, "comparisons: 0 <=, 1 <, 2 >=, 3 >, 4 ==, 5 !=, 6 member");
    v.required("nodes_splits", splits_, "what features are compared with");
    v.required("nodes_trueleafs", yes_is_leaf_, "1: nodes_truenodeids names a leaf");
    v.required("nodes_truenodeids", yes_, "where rows go that a comparison holds for");
    v.visit("post_transform", transform_,
            "0 none, 1 softmax, 2 logistic, 3 softmax of what is not zero, 4 probit");
    v.required("tree_roots", roots_, "the first nodes of the trees");
  }

  void infer(InferContext& c) const override {
    Dim rows = check_rows(c);
    check_targets(c, targets());
    if (aggregate_ < 0 || aggregate_ > 3)
      c.reject("attribute 'aggregate_function' is {}", aggregate_);
    if (transform_ < 0 || transform_ > 4) c.reject("attribute 'post_transform' is {}", transform_);
    c.set_output(0, c.dtype(0), Shape{rows, Dim(targets())});
  }

 protected:
  std::unique_ptr<Forest> grow() const override {
    check_lengths();
    auto forest = std::make_unique<Forest>();
    forest->targets = static_cast<size_t>(targets());
    forest->aggregate = static_cast<Forest::Aggregate>(aggregate_);
    forest->sets = member_sets();
    add_nodes(*forest);
    add_leaves(*forest);
    if (roots_.empty()) fail(ErrorKind::BadModel, "attribute 'tree_roots' is empty");
    for (int64_t root : roots_) forest->roots.push_back(checked(root, yes_.size(), "root"));
    return forest;
  }

  void write(RunContext& c, const Forest& forest, int64_t row,
             Forest::Scores& scores) const override {
    finish_regression(forest, static_cast<ScoreTransform>(transform_), scores);
    Tensor& y = c.output(0);
    const auto begin = row * targets();
    for (int64_t t = 0; t < targets(); ++t) {
      double score = scores.values[static_cast<size_t>(t)];
      dispatch<float, double, float16>(
          y.dtype(), [&]<typename T>() { y.data<T>()[begin + t] = narrowed_weight<T>(score); });
    }
  }

 private:
  int64_t targets() const { return targets_.value_or(1); }

  void check_lengths() const {
    size_t n = yes_.size();
    check_length("nodes_falsenodeids", no_.size(), n);
    check_length("nodes_trueleafs", yes_is_leaf_.size(), n);
    check_length("nodes_falseleafs", no_is_leaf_.size(), n);
    check_length("nodes_featureids", features_.size(), n);
    check_length("nodes_modes", static_cast<size_t>(modes_.size()), n);
    check_length("nodes_splits", static_cast<size_t>(splits_.size()), n);
    if (missing_ && !missing_->empty()) {
      check_length("nodes_missing_value_tracks_true", missing_->size(), n);
    }
    check_length("leaf_weights", static_cast<size_t>(leaf_weights_.size()), leaf_targets_.size());
  }

  static size_t checked(int64_t id, size_t count, std::string_view what) {
    if (id < 0 || static_cast<size_t>(id) >= count) {
      fail(ErrorKind::BadModel, "{} {} of a tree, but there are {}", what, id, count);
    }
    return static_cast<size_t>(id);
  }

  size_t child(int64_t id, bool leaf) const {
    if (!leaf) return checked(id, yes_.size(), "node");
    return yes_.size() + checked(id, leaf_targets_.size(), "leaf");
  }

  std::vector<std::vector<double>> member_sets() const {
    std::vector<std::vector<double>> sets;
    if (!members_) return sets;
    sets.emplace_back();
    for (double v : to_doubles(*members_)) {
      if (std::isnan(v)) {
        sets.emplace_back();
      } else {
        sets.back().push_back(v);
      }
    }
    for (std::vector<double>& set : sets) std::sort(set.begin(), set.end());
    return sets;
  }

  void add_nodes(Forest& forest) const {
    std::vector<double> splits = to_doubles(splits_);
    std::vector<int64_t> modes = to_int64s(modes_);
    size_t sets = 0;
    for (size_t i = 0; i < yes_.size(); ++i) {
      Forest::Node node;
      if (modes[i] < 0 || modes[i] > static_cast<int64_t>(Forest::Mode::Member)) {
        fail(ErrorKind::BadModel, "a node of a tree has the mode {}", modes[i]);
      }
      node.mode = static_cast<Forest::Mode>(modes[i]);
      node.missing_is_true = missing_ && !missing_->empty() && (*missing_)[i] != 0;
      node.feature = features_[i];
      if (node.feature < 0) fail(ErrorKind::BadModel, "a tree asks for feature {}", node.feature);
      node.value = splits[i];
      if (node.mode == Forest::Mode::Member) {
        node.set = checked(static_cast<int64_t>(sets++), forest.sets.size(), "membership set");
      }
      node.yes = child(yes_[i], yes_is_leaf_[i] != 0);
      node.no = child(no_[i], no_is_leaf_[i] != 0);
      forest.nodes.push_back(node);
    }
  }

  void add_leaves(Forest& forest) const {
    std::vector<double> weights = to_doubles(leaf_weights_);
    for (size_t i = 0; i < leaf_targets_.size(); ++i) {
      int64_t target = leaf_targets_[i];
      if (target < 0 || target >= targets()) {
        fail(ErrorKind::BadModel, "a weight of a leaf counts for {} of {}", target, targets());
      }
      forest.weights.push_back({target, weights[i]});
      forest.nodes.push_back({.yes = i, .no = i + 1});
    }
  }

  int64_t aggregate_ = 1, transform_ = 0;
  std::optional<int64_t> targets_;
  IntList leaf_targets_, no_is_leaf_, no_, features_, yes_is_leaf_, yes_, roots_;
  std::optional<IntList> missing_;
  Tensor leaf_weights_, modes_, splits_;
  std::optional<Tensor> members_, hits_;
};

}  // namespace

void register_ml_tree_ensemble(OpRegistry& r) {
  r.add<TreeEnsemble>({.name = "TreeEnsemble",
                       .domain = "ai.onnx.ml",
                       .doc = "numbers from the leaves of decision trees",
                       .since = {5},
                       .inputs = {{"X", "T"}},
                       .outputs = {{"Y", "T"}},
                       .types = {{"T", dtypes::f32_f64 | DTypeSet(DType::Float16)}},
                       .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
