#include "base/work.h"

#include <utility>

#include "base/error.h"

namespace onnxrun {

namespace {

thread_local const Work* current = nullptr;

}  // namespace

void MemoryAccount::take(int64_t bytes, std::string_view what) {
  int64_t before = used_.fetch_add(bytes, std::memory_order_relaxed);
  if (bytes <= limit_ - before) return;
  give_back(bytes);
  fail(ErrorKind::Limit, "{} needs {} bytes; {} are in use and {} allowed", what, bytes, before,
       limit_);
}

const Work* current_work() { return current; }

WorkScope::WorkScope(const Work* work) : previous_(current) { current = work; }
WorkScope::~WorkScope() { current = previous_; }

int64_t memory_left() { return current && current->memory ? current->memory->left() : INT64_MAX; }

void check_tensor_size(int64_t bytes) {
  if (!current || bytes <= current->max_tensor) return;
  fail(ErrorKind::Limit, "a tensor of {} bytes, {} are allowed", bytes, current->max_tensor);
}

namespace {

struct Taken {
  Taken(std::shared_ptr<MemoryAccount> account, int64_t count)
      : from(std::move(account)), bytes(count) {}
  ~Taken() { from->give_back(bytes); }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

  std::shared_ptr<MemoryAccount> from;
  int64_t bytes;
};

}  // namespace

std::shared_ptr<void> take_memory(int64_t bytes, std::string_view what) {
  if (!current || !current->memory) return nullptr;
  current->memory->take(bytes, what);
  try {
    return std::make_shared<Taken>(current->memory->shared_from_this(), bytes);
  } catch (...) {
    current->memory->give_back(bytes);
    throw;
  }
}

}  // namespace onnxrun
