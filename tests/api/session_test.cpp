// The library as a program sees it: sessions.
#include "onnxrun/session.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/corpus.h"

namespace onnxrun::testing {

namespace {

Model xor_model() { return Model::load(CorpusCase("s2_xor_bce_dyn").model_path()); }

TEST(Session, WritesIntoTheCallersMemory) {
  Session session(xor_model());
  Tensor x = Tensor::of<float>({2}, {0, 1}), y(DType::Float32, {1});
  session.bind_input("x", x);
  session.bind_output("y", y);
  session.run();
  float first = y.data<float>()[0];
  EXPECT_EQ(session.output("y").tensor.raw(), y.raw());
  // What is bound is read anew in every run.
  x.data<float>()[0] = 1;
  session.run();
  EXPECT_NE(y.data<float>()[0], first);
  EXPECT_EQ(session.run({{"x", Tensor::of<float>({2}, {0, 1})}})[0].second.tensor.data<float>()[0],
            first);
}

TEST(Session, GivesInnerValues) {
  Session session(xor_model(), {.outputs = {"y", "sigmoid"}});
  EXPECT_EQ(session.output_names(), (std::vector<std::string>{"y", "sigmoid"}));
  EXPECT_THROW(Session(xor_model(), {.outputs = {"nothing"}}), Error);
}

TEST(Session, HasNoOutputsBeforeARun) {
  Session session(xor_model());
  EXPECT_THROW(session.output("y"), Error);
  session.run({{"x", Tensor::of<float>({2}, {0, 1})}});
  EXPECT_EQ(session.output("y").tensor.size(), 1);
}

std::string message_of(Session& session, const NamedValues& inputs) {
  try {
    session.run(inputs);
    return "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::BadInput);
    return e.what();
  }
}

TEST(Session, SaysWhatDoesNotFit) {
  Session session(xor_model());
  Tensor three = Tensor::of<float>({3}, {0, 1, 2}), ints = Tensor::of<int64_t>({2}, {0, 1});
  EXPECT_NE(message_of(session, {{"x", three}}).find("float[3]"), std::string::npos);
  EXPECT_NE(message_of(session, {{"x", ints}}).find("int64[2]"), std::string::npos);
  EXPECT_NE(message_of(session, {{"z", three}}).find("'x'"), std::string::npos);
  EXPECT_NE(message_of(session, {}).find("'x'"), std::string::npos);
}

}  // namespace

}  // namespace onnxrun::testing
