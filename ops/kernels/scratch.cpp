#include "kernels/scratch.h"

#include <memory>
#include <new>
#include <vector>

#include "base/work.h"

namespace onnxrun {

namespace {

constexpr std::align_val_t alignment{64};

// What is smaller is little beside what threads and programs take in any case.
constexpr size_t counted_bytes = size_t{1} << 20;

// The address sanitizer finds an overrun only where memory is as large as was asked for.
#ifdef __SANITIZE_ADDRESS__
constexpr bool exact_size = true;
#else
constexpr bool exact_size = false;
#endif

struct Free {
  void operator()(void* p) const { ::operator delete(p, alignment); }
};

struct Block {
  std::unique_ptr<void, Free> memory;
  size_t bytes = 0;
};

// blocks[0, used) belong to living scratches.
struct Stack {
  std::vector<Block> blocks;
  size_t used = 0;
};

Stack& stack() {
  thread_local Stack s;
  return s;
}

}  // namespace

Scratch::Scratch(size_t bytes) {
  if (bytes >= counted_bytes) {
    taken_ = take_memory(static_cast<int64_t>(bytes), "a kernel's working memory");
  }
  Stack& s = stack();
  if (s.used == s.blocks.size()) s.blocks.emplace_back();
  Block& block = s.blocks[s.used];
  if (block.bytes < bytes || exact_size) {
    block.bytes = 0;
    block.memory.reset();
    block.memory.reset(::operator new(bytes, alignment));
    block.bytes = bytes;
  }
  ++s.used;
  data_ = block.memory.get();
}

Scratch::~Scratch() { --stack().used; }

}  // namespace onnxrun
