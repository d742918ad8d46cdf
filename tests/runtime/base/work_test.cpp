// What a thread works for goes along to the threads of its loops.
#include "base/work.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "base/error.h"
#include "base/threads.h"
#include "tensor/tensor.h"

namespace onnxrun {
namespace {

struct Counted {
  static void check(const void* object) {
    const auto& self = *static_cast<const Counted*>(object);
    if (self.left.fetch_sub(1) <= 0) fail(ErrorKind::Timeout, "enough");
  }
  mutable std::atomic<int> left = 10;
};

TEST(Work, EndsParallelLoopsInside) {
  for (int threads : {1, 3}) {
    Counted counted;
    Work work{.check = Counted::check, .object = &counted};
    WorkScope scope(&work);
    ThreadScope width(threads);
    std::atomic<int> pieces = 0;
    try {
      parallel_for(1'000'000, 1, [&](int64_t, int64_t) { ++pieces; });
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::Timeout);
    }
    EXPECT_EQ(pieces, 10) << threads;
  }
}

TEST(Work, IsThatOfTheCallerInEveryThread) {
  Work work{};
  WorkScope scope(&work);
  ThreadScope width(4);
  std::atomic<int> others = 0;
  parallel_for(64, 1, [&](int64_t, int64_t) {
    if (current_work() != &work) ++others;
  });
  EXPECT_EQ(others, 0);
}

TEST(MemoryAccount, CountsTensorsWhileTheyLive) {
  auto account = std::make_shared<MemoryAccount>(10'000);
  std::optional<Tensor> kept;
  {
    Work work{.memory = account.get()};
    WorkScope scope(&work);
    kept = Tensor(DType::Float32, {1000});
    Tensor gone(DType::UInt8, {100});
    EXPECT_EQ(account->used(), 4100);
    Tensor view = kept->view({10, 100});
    EXPECT_EQ(account->used(), 4100);
    EXPECT_THROW(Tensor(DType::Float64, {1000}), Error);
    EXPECT_EQ(account->used(), 4100);
    EXPECT_THROW(Tensor(DType::String, {1000}), Error);
    EXPECT_NO_THROW(Tensor(DType::String, {100}));
  }
  // Those that outlive the work, too; others are nobody's.
  Tensor uncounted(DType::Float64, {100'000});
  EXPECT_EQ(account->used(), 4000);
  kept.reset();
  EXPECT_EQ(account->used(), 0);
}

TEST(Work, LimitsTheSizeOfATensor) {
  Work work{.max_tensor = 1000};
  WorkScope scope(&work);
  EXPECT_NO_THROW(Tensor(DType::Float32, {250}));
  try {
    Tensor large(DType::Float32, {251});
    ADD_FAILURE() << "no error: " << large.bytes();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Limit);
    EXPECT_EQ(e.message(), "a tensor of 1004 bytes, 1000 are allowed");
  }
}

}  // namespace
}  // namespace onnxrun
