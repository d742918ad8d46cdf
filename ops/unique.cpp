// Unique.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "axis_rows.h"
#include "kernels/data_movement.h"

namespace onnxrun {

namespace {

// -1, 0 or 1; NaN is equal to itself and larger than all others, as in numpy.
template <typename T>
int compare(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    int real = compare(a.real(), b.real());
    return real != 0 ? real : compare(a.imag(), b.imag());
  } else if constexpr (!std::is_same_v<T, ComputeType<T>>) {
    return compare(static_cast<float>(a), static_cast<float>(b));
  } else {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(a) || std::isnan(b)) return int{std::isnan(a)} - int{std::isnan(b)};
    }
    return a < b ? -1 : int{b < a};
  }
}

// Whole numbers in the order of compare(), equal ones for equal elements.
template <typename T>
uint64_t key_of(T x) {
  if constexpr (!std::is_same_v<T, ComputeType<T>>) {
    return key_of(static_cast<float>(x));
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(x)) return UINT64_MAX;
    const double wide = x == 0 ? 0.0 : static_cast<double>(x);  // no -0
    const auto bits = std::bit_cast<uint64_t>(wide);
    constexpr uint64_t sign = uint64_t{1} << 63;
    return (bits & sign) != 0 ? ~bits : bits | sign;
  } else if constexpr (std::is_signed_v<T>) {
    return static_cast<uint64_t>(int64_t{x}) ^ uint64_t { 1 } << 63;
  } else {
    return uint64_t{x};
  }
}

struct KeyedPlace {
  uint64_t key = 0;
  int64_t place = 0;
};

// In the order of their keys, equal ones as they come: byte by byte from the least, but for bytes
// in which all keys agree.
void sort_keys(std::vector<KeyedPlace>& list) {
  constexpr size_t bytes = sizeof(uint64_t), values = 256;
  std::array<std::array<size_t, values>, bytes> counts{};
  for (const KeyedPlace& k : list) {
    for (size_t b = 0; b < bytes; ++b) ++counts[b][k.key >> 8 * b & 0xff];
  }
  std::vector<KeyedPlace> other(list.size());
  for (size_t b = 0; b < bytes; ++b) {
    std::array<size_t, values>& start = counts[b];
    if (start[list.front().key >> 8 * b & 0xff] == list.size()) continue;
    std::exclusive_scan(start.begin(), start.end(), start.begin(), size_t{0});
    for (const KeyedPlace& k : list) other[start[k.key >> 8 * b & 0xff]++] = k;
    list.swap(other);
  }
}

// The places of elements in their order, equal ones as they come.
template <typename T>
std::vector<int64_t> order_of_elements(const T* x, int64_t count) {
  std::vector<KeyedPlace> list(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) list[static_cast<size_t>(i)] = {key_of(x[i]), i};
  if (count > 0) sort_keys(list);
  std::vector<int64_t> order;
  order.reserve(list.size());
  for (const KeyedPlace& k : list) order.push_back(k.place);
  return order;
}

template <typename T>
constexpr bool has_key =
    !std::is_same_v<T, std::string> && !std::is_same_v<T, std::complex<float>> &&
    !std::is_same_v<T, std::complex<double>>;

// Slices along an axis (or elements) in groups of equal ones.
struct Groups {
  std::vector<int64_t> first;   // of each group, its first slice
  std::vector<int64_t> group;   // of each slice
  std::vector<int64_t> counts;  // of each group
};

template <typename T>
Groups find_groups(const T* x, const AxisSplit& s, bool sorted) {
  auto order_of = [&](int64_t i, int64_t j) {
    for (int64_t o = 0; o < s.outer; ++o) {
      const T* a = x + (o * s.length + i) * s.inner;
      const T* b = x + (o * s.length + j) * s.inner;
      for (int64_t k = 0; k < s.inner; ++k) {
        if (int result = compare<T>(a[k], b[k])) return result;
      }
    }
    return 0;
  };
  auto order_of_slices = [&] {
    if constexpr (has_key<T>) {
      if (s.outer == 1 && s.inner == 1) return order_of_elements(x, s.length);
    }
    std::vector<int64_t> places(static_cast<size_t>(s.length));
    std::iota(places.begin(), places.end(), 0);
    std::stable_sort(places.begin(), places.end(),
                     [&](int64_t i, int64_t j) { return order_of(i, j) < 0; });
    return places;
  };
  const std::vector<int64_t> order = order_of_slices();
  Groups g;
  g.group.resize(order.size());
  for (size_t k = 0; k < order.size(); ++k) {
    if (k == 0 || order_of(order[k - 1], order[k]) != 0) {
      g.first.push_back(order[k]);
      g.counts.push_back(0);
    }
    ++g.counts.back();
    g.group[static_cast<size_t>(order[k])] = static_cast<int64_t>(g.first.size()) - 1;
  }
  if (sorted) return g;
  std::vector<int64_t> by_first(g.first.size()), place(g.first.size());
  std::iota(by_first.begin(), by_first.end(), 0);
  std::sort(by_first.begin(), by_first.end(), [&](int64_t i, int64_t j) {
    return g.first[static_cast<size_t>(i)] < g.first[static_cast<size_t>(j)];
  });
  Groups result;
  for (size_t k = 0; k < by_first.size(); ++k) {
    auto from = static_cast<size_t>(by_first[k]);
    place[from] = static_cast<int64_t>(k);
    result.first.push_back(g.first[from]);
    result.counts.push_back(g.counts[from]);
  }
  for (int64_t i : g.group) result.group.push_back(place[static_cast<size_t>(i)]);
  return result;
}

class Unique final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "axis whose slices are compared; elements without");
    v.visit("sorted", sorted_, "in ascending order, else as they first come");
  }

  void infer(InferContext& c) const override {
    if (axis_) check_axis(c, *axis_);
    std::optional<Shape> shape;
    if (!axis_) {
      shape = Shape{Dim()};
    } else if (c.shape(0)) {
      shape = *c.shape(0);
      (*shape)[static_cast<size_t>(normalize_axis(*axis_, c.rank(0)))] = Dim();
    }
    c.set_output(0, c.dtype(0), std::move(shape));
    for (size_t i = 1; i <= 3; ++i) c.set_output(i, DType::Int64, Shape{Dim()});
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Dims dims = axis_ ? x.dims() : Dims{x.size()};
    auto axis =
        static_cast<size_t>(normalize_axis(axis_.value_or(0), static_cast<int64_t>(dims.size())));
    const AxisSplit s(dims, static_cast<int64_t>(axis));
    Groups groups;
    dispatch<float, double, int64_t, int32_t, float16, bfloat16, uint8_t, int8_t, uint16_t, int16_t,
             uint32_t, uint64_t, bool, std::string, std::complex<float>, std::complex<double>>(
        x.dtype(), [&]<typename T>() { groups = find_groups(x.data<T>(), s, sorted_); });
    auto count = static_cast<int64_t>(groups.first.size());
    dims[axis] = count;
    if (c.has_output(0)) {
      Tensor& y = c.allocate(0, x.dtype(), dims);
      dispatch_storage(x.dtype(), [&]<typename T>() {
        for (int64_t r = 0; r < s.outer * count; ++r) {
          int64_t at = r / count * s.length + groups.first[static_cast<size_t>(r % count)];
          std::copy_n(storage<T>(x) + at * s.inner, s.inner, storage<T>(y) + r * s.inner);
        }
      });
    }
    auto put = [&](size_t i, const std::vector<int64_t>& values) {
      if (!c.has_output(i)) return;
      Tensor& t = c.allocate(i, DType::Int64, {static_cast<int64_t>(values.size())});
      std::copy(values.begin(), values.end(), t.data<int64_t>());
    };
    put(1, groups.first);
    put(2, groups.group);
    put(3, groups.counts);
  }

 private:
  std::optional<int64_t> axis_;
  bool sorted_ = true;
};

}  // namespace

void register_unique(OpRegistry& r) {
  r.add<Unique>({.name = "Unique",
                 .doc = "the different elements, or slices, with places and counts",
                 .since = {11, 28},
                 .inputs = {{"X", "T"}},
                 .outputs = {{"Y", "T"},
                             {"indices", "tensor(int64)", Param::Kind::Optional},
                             {"inverse_indices", "tensor(int64)", Param::Kind::Optional},
                             {"counts", "tensor(int64)", Param::Kind::Optional}},
                 .types = {{"T", dtypes::basic}, {"tensor(int64)", DType::Int64}},
                 .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
