#include <algorithm>

#include "base/error.h"
#include "plan/plan.h"

namespace onnxrun {

static int64_t align64(int64_t bytes) {
  if (bytes > INT64_MAX - 64) fail(ErrorKind::Limit, "a buffer of {} bytes is too large", bytes);
  return (bytes + 63) / 64 * 64;
}

int64_t place_buffers(std::vector<Buffer>& buffers) {
  std::vector<Buffer*> order;
  for (Buffer& b : buffers) {
    if (b.kind == Buffer::Kind::Arena) order.push_back(&b);
  }
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
    if (at > INT64_MAX - size) fail(ErrorKind::Limit, "the arena does not fit 64 bits");
    total = std::max(total, at + size);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), b,
                         [](const Buffer* x, const Buffer* y) { return x->offset < y->offset; }),
        b);
  }
  return total;
}

}  // namespace onnxrun
