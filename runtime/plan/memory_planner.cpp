#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "base/error.h"
#include "plan/plan.h"

namespace onnxrun {

namespace {

// Placing by size compares each buffer with all others; from here on that takes too long.
constexpr size_t max_compared = 4096;

int64_t align64(int64_t bytes) {
  if (bytes > INT64_MAX - 64) fail(ErrorKind::Limit, "a buffer of {} bytes is too large", bytes);
  return (bytes + 63) / 64 * 64;
}

int64_t end_of(int64_t at, int64_t size) {
  if (at > INT64_MAX - size) fail(ErrorKind::Limit, "the arena does not fit 64 bits");
  return at + size;
}

int64_t place_by_size(std::vector<Buffer*> order) {
  std::stable_sort(order.begin(), order.end(),
                   [](const Buffer* a, const Buffer* b) { return a->bytes > b->bytes; });
  std::vector<const Buffer*> placed;  // by offset
  int64_t total = 0;
  for (Buffer* b : order) {
    int64_t size = align64(b->bytes), at = 0;
    for (const Buffer* other : placed) {
      bool meet = other->first <= b->last && b->first <= other->last;
      if (!meet) continue;
      if (other->offset - at >= size) break;
      at = std::max(at, other->offset + align64(other->bytes));
    }
    b->offset = at;
    total = std::max(total, end_of(at, size));
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), b,
                         [](const Buffer* x, const Buffer* y) { return x->offset < y->offset; }),
        b);
  }
  return total;
}

// Memory from 0 to end() with holes that are free.
class Holes {
 public:
  int64_t end() const { return end_; }

  // The lowest of the smallest holes that are large enough; a hole at the end grows.
  int64_t take(int64_t size) {
    auto fit = by_size_.lower_bound({size, 0});
    if (fit != by_size_.end()) {
      auto [length, at] = *fit;
      remove(at, length);
      if (length > size) add(at + size, length - size);
      return at;
    }
    int64_t at = end_;
    if (!by_offset_.empty()) {
      auto [last, length] = *by_offset_.rbegin();
      if (last + length == end_) {
        remove(last, length);
        at = last;
      }
    }
    end_ = end_of(at, size);
    return at;
  }

  void give(int64_t at, int64_t size) {
    if (size == 0) return;
    auto next = by_offset_.lower_bound(at);
    if (next != by_offset_.end() && next->first == at + size) {
      int64_t length = next->second;
      remove(at + size, length);
      size += length;
    }
    next = by_offset_.lower_bound(at);
    if (next != by_offset_.begin()) {
      auto [before, length] = *std::prev(next);
      if (before + length == at) {
        remove(before, length);
        at = before;
        size += length;
      }
    }
    add(at, size);
  }

 private:
  void add(int64_t at, int64_t length) {
    by_offset_[at] = length;
    by_size_.insert({length, at});
  }
  void remove(int64_t at, int64_t length) {
    by_offset_.erase(at);
    by_size_.erase({length, at});
  }

  int64_t end_ = 0;
  std::map<int64_t, int64_t> by_offset_;
  std::set<std::pair<int64_t, int64_t>> by_size_;
};

// As the steps would take and give back memory.
int64_t place_in_time(std::vector<Buffer*> order) {
  std::stable_sort(order.begin(), order.end(),
                   [](const Buffer* a, const Buffer* b) { return a->first < b->first; });
  auto ends_later = [](const Buffer* a, const Buffer* b) { return a->last > b->last; };
  std::priority_queue<Buffer*, std::vector<Buffer*>, decltype(ends_later)> live(ends_later);
  Holes holes;
  for (Buffer* b : order) {
    while (!live.empty() && live.top()->last < b->first) {
      holes.give(live.top()->offset, align64(live.top()->bytes));
      live.pop();
    }
    b->offset = holes.take(align64(b->bytes));
    live.push(b);
  }
  return holes.end();
}

}  // namespace

int64_t place_buffers(std::vector<Buffer>& buffers) {
  std::vector<Buffer*> order;
  for (Buffer& b : buffers) {
    if (b.kind == Buffer::Kind::Arena) order.push_back(&b);
  }
  return order.size() > max_compared ? place_in_time(std::move(order))
                                     : place_by_size(std::move(order));
}

}  // namespace onnxrun
