#include "graph/packed_constants.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/work.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "onnxrun/session.h"

namespace onnxrun {
namespace {

class PackedConstantsTest : public ::testing::Test {
 protected:
  Tensor get(const Tensor& constant, const std::string& layout) {
    return all_.get(constant, layout, [&] {
      ++made_;
      return Tensor::of<float>({1}, {static_cast<float>(made_)});
    });
  }

  PackedConstants all_;
  int made_ = 0;
};

TEST_F(PackedConstantsTest, AreMadeOnceForALayout) {
  const Tensor w = Tensor::of<float>({2}, {1, 2}), other = Tensor::of<float>({2}, {1, 2});
  const Tensor first = get(w, "rows"), again = get(w, "rows");
  EXPECT_EQ(made_, 1);
  EXPECT_EQ(again.raw(), first.raw());
  EXPECT_NE(get(w, "columns").raw(), first.raw());
  EXPECT_NE(get(other, "rows").raw(), first.raw());
  EXPECT_EQ(made_, 3);
}

TEST_F(PackedConstantsTest, LiveAsLongAsSomebodyHoldsThem) {
  const Tensor w = Tensor::of<float>({2}, {1, 2});
  Tensor held = get(w, "rows");
  get(w, "columns");
  EXPECT_EQ(get(w, "rows").data<float>()[0], 1);
  held = {};
  EXPECT_EQ(get(w, "rows").data<float>()[0], 3);
}

// Its memory could become another constant's.
TEST_F(PackedConstantsTest, TheConstantLivesAsLong) {
  auto alive = std::make_shared<float>(1.0f);
  std::weak_ptr<float> watched = alive;
  Tensor w = Tensor::wrap(alive.get(), DType::Float32, {1}, alive);
  Tensor held = get(w, "rows");
  w = {};
  alive.reset();
  EXPECT_FALSE(watched.expired());
  held = {};
  EXPECT_TRUE(watched.expired());
}

// Bytes that a session takes for `x`, in as many columns as `lengths` say.
int64_t bytes_for_lengths(const Graph& graph, const Shape& shape, int64_t lengths) {
  auto account = std::make_shared<MemoryAccount>(INT64_MAX);
  Work work{.memory = account.get()};
  WorkScope scope(&work);
  Session session(Model(std::make_shared<Graph>(graph)));
  for (int64_t n = 0; n < lengths; ++n) {
    Dims dims;
    for (const Dim& d : shape) dims.push_back(d.is_known() ? d.value() : 8 + n);
    session.run({{"x", Tensor(DType::Float32, dims)}});
  }
  return account->used();
}

// Ten more plans take less than two more copies of the weights.
TEST(PackedConstants, AreSharedByPlansOfOtherShapes) {
  const Shape image{1, 64, 8, Dim::symbol("n")}, steps{Dim::symbol("n"), 1, 16};
  Graph convolution(builtin_ops()), recurrence(builtin_ops());
  ValueId x = convolution.add_input("x", Type::tensor(DType::Float32, image));
  convolution.outputs = {GraphBuilder(convolution)
                             .add("Conv", {x, convolution.add_initializer(
                                                  "w", Tensor(DType::Float32, {64, 64, 3, 3}))})};
  x = recurrence.add_input("x", Type::tensor(DType::Float32, steps));
  recurrence.outputs = {
      GraphBuilder(recurrence)
          .add("LSTM",
               {x, recurrence.add_initializer("w", Tensor(DType::Float32, {1, 512, 16})),
                recurrence.add_initializer("r", Tensor(DType::Float32, {1, 512, 128}))},
               {{"hidden_size", int64_t{128}}})};
  EXPECT_LT(bytes_for_lengths(convolution, image, 11) - bytes_for_lengths(convolution, image, 1),
            int64_t{2} * 64 * 64 * 9 * 4);
  EXPECT_LT(bytes_for_lengths(recurrence, steps, 11) - bytes_for_lengths(recurrence, steps, 1),
            int64_t{2} * 512 * 128 * 4);
}

}  // namespace
}  // namespace onnxrun
