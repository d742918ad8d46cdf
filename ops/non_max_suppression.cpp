// NonMaxSuppression.
#include <algorithm>
#include <array>

#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/scalar.h"

namespace onnxrun {

namespace {

struct Box {
  float x0, y0, x1, y1;
  float area() const { return (x1 - x0) * (y1 - y0); }
};

// Whether the intersection is more than `threshold` of the union.
bool overlap(const Box& a, const Box& b, float threshold) {
  float width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  float height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (!(width > 0) || !(height > 0)) return false;
  float common = width * height, all = a.area() + b.area() - common;
  if (!(a.area() > 0) || !(b.area() > 0) || !(all > 0)) return false;
  return common / all > threshold;
}

class NonMaxSuppression final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("center_point_box", centres_, "boxes are centre, width, height; else two corners");
  }

  void infer(InferContext& c) const override {
    const Shape *boxes = c.shape(0), *scores = c.shape(1);
    bool good =
        !boxes || (boxes->size() == 3 && (!(*boxes)[2].is_known() || (*boxes)[2] == Dim(4)));
    if (!good) c.reject("{}, expected [batches, boxes, 4]", c.describe_input(0));
    if (scores && scores->size() != 3) {
      c.reject("{}, expected [batches, classes, boxes]", c.describe_input(1));
    }
    if (boxes && scores) {
      auto differ = [](const Dim& a, const Dim& b) {
        return a.is_known() && b.is_known() && !(a == b);
      };
      if (differ((*boxes)[0], (*scores)[0]) || differ((*boxes)[1], (*scores)[2])) {
        c.reject("{} do not fit {}", c.describe_input(1), c.describe_input(0));
      }
    }
    c.set_output(0, DType::Int64, Shape{Dim(), Dim(3)});
  }

  void run(RunContext& c) const override {
    const Tensor &boxes = c.input(0), &scores = c.input(1);
    int64_t most =
        c.has_input(2) ? scalar_of<int64_t>(c.input(2), "max_output_boxes_per_class") : 0;
    float threshold = c.has_input(3) ? scalar_of<float>(c.input(3), "iou_threshold") : 0;
    if (!(threshold >= 0 && threshold <= 1)) {
      fail(ErrorKind::BadInput, "iou_threshold is {}, expected 0 to 1", threshold);
    }
    float lowest = c.has_input(4) ? scalar_of<float>(c.input(4), "score_threshold") : 0;
    int64_t count = boxes.dim(1), classes = scores.dim(1);
    std::vector<std::array<int64_t, 3>> selected;
    for (int64_t batch = 0; batch < boxes.dim(0); ++batch) {
      std::vector<Box> all = read_boxes(boxes.data<float>() + batch * count * 4, count);
      for (int64_t k = 0; most > 0 && k < classes; ++k) {
        c.control().check();
        const float* score = scores.data<float>() + (batch * classes + k) * count;
        for (int64_t i : select(all, score, most, threshold, c.has_input(4) ? &lowest : nullptr)) {
          selected.push_back({batch, k, i});
        }
      }
    }
    Tensor& y = c.allocate(0, DType::Int64, {static_cast<int64_t>(selected.size()), 3});
    int64_t* out = y.data<int64_t>();
    for (const auto& row : selected) out = std::copy(row.begin(), row.end(), out);
  }

 private:
  std::vector<Box> read_boxes(const float* data, int64_t count) const {
    std::vector<Box> boxes;
    for (int64_t i = 0; i < count; ++i, data += 4) {
      if (centres_) {
        float w = data[2] / 2, h = data[3] / 2;
        boxes.push_back({data[0] - w, data[1] - h, data[0] + w, data[1] + h});
      } else {
        boxes.push_back({std::min(data[1], data[3]), std::min(data[0], data[2]),
                         std::max(data[1], data[3]), std::max(data[0], data[2])});
      }
    }
    return boxes;
  }

  static std::vector<int64_t> select(const std::vector<Box>& boxes, const float* score,
                                     int64_t most, float threshold, const float* lowest) {
    std::vector<int64_t> order, selected;
    for (int64_t i = 0; i < static_cast<int64_t>(boxes.size()); ++i) {
      // NaN is no score.
      if (lowest ? score[i] > *lowest : score[i] == score[i]) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return score[a] > score[b]; });
    for (int64_t i : order) {
      if (static_cast<int64_t>(selected.size()) >= most) break;
      bool hidden = std::any_of(selected.begin(), selected.end(), [&](int64_t s) {
        return overlap(boxes[static_cast<size_t>(i)], boxes[static_cast<size_t>(s)], threshold);
      });
      if (!hidden) selected.push_back(i);
    }
    return selected;
  }

  bool centres_ = false;
};

}  // namespace

void register_non_max_suppression(OpRegistry& r) {
  r.add<NonMaxSuppression>(
      {.name = "NonMaxSuppression",
       .doc = "the boxes of the best scores that do not overlap better ones too much",
       .since = {10, 11},
       .inputs = {{"boxes", "tensor(float)"},
                  {"scores", "tensor(float)"},
                  {"max_output_boxes_per_class", "tensor(int64)", Param::Kind::Optional},
                  {"iou_threshold", "tensor(float)", Param::Kind::Optional},
                  {"score_threshold", "tensor(float)", Param::Kind::Optional}},
       .outputs = {{"selected_indices", "tensor(int64)"}},
       .types = {{"tensor(float)", DType::Float32}, {"tensor(int64)", DType::Int64}},
       .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
