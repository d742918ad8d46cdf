// The library as a program sees it: sessions.
#include "onnxrun/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
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

TEST(Session, ObservesItsNodes) {
  Session session(xor_model(), {.optimize = false});
  std::vector<std::string> outputs;
  session.observe([&](const Session::NodeRecord& r) {
    ASSERT_EQ(r.inputs.size(), r.input_names.size());
    ASSERT_EQ(r.outputs.size(), 1u);
    EXPECT_GE(r.seconds, 0);
    outputs.push_back(r.output_names[0]);
    if (r.op == "MatMul" && r.output_names[0] == "val_1") {
      EXPECT_EQ(r.input_names, (std::vector<std::string>{"x", "val_0"}));
      EXPECT_EQ(describe(*r.inputs[1]), "float[2,2]");
      EXPECT_EQ(describe(*r.outputs[0]), "float[2]");
    }
  });
  NamedValues inputs = {{"x", Tensor::of<float>({2}, {0, 1})}};
  session.run(inputs);
  EXPECT_EQ(outputs.size(), 9u);
  EXPECT_EQ(outputs.front(), "val_1");
  EXPECT_EQ(outputs.back(), "y");
  session.observe(nullptr);
  session.run(inputs);
  EXPECT_EQ(outputs.size(), 9u);
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

Tensor session_rows(int64_t n) {
  Tensor t(DType::Float32, {n, 2});
  std::fill_n(t.data<float>(), t.size(), 1.0f);
  return t;
}

// Memory that does not fit is an error in every run, until it is bound anew.
TEST(Session, KeepsABindingThatFails) {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{Dim::symbol("n"), 2}));
  GraphBuilder b(graph);
  ValueId y = b.add("Relu", {x}), z = b.add("Neg", {x});
  graph.value(y).name = "y";
  graph.value(z).name = "z";
  graph.outputs = {y, z};
  Session session(Model(std::make_shared<Graph>(graph)));
  Tensor four(DType::Float32, {4, 2}), other(DType::Float32, {4, 2});
  session.bind_input("x", session_rows(4));
  session.bind_output("y", four);
  session.bind_output("z", other);
  session.run();
  session.bind_input("x", session_rows(2));
  std::fill_n(four.data<float>(), four.size(), -7.0f);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THROW(session.run(), Error) << i;
    EXPECT_EQ(four.data<float>()[0], -7.0f);
  }
  Tensor two(DType::Float32, {2, 2}), second(DType::Float32, {2, 2});
  EXPECT_THROW(session.bind_output("y", four), Error);
  session.bind_output("y", two);
  session.bind_output("z", second);
  session.run();
  EXPECT_EQ(two.data<float>()[3], 1.0f);
  EXPECT_EQ(second.data<float>()[3], -1.0f);
}

// y = relu(x w), for rows of any number.
Session product_session(int threads) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{Dim::symbol("n"), 64}));
  Tensor w(DType::Float32, {64, 32});
  for (int64_t i = 0; i < w.size(); ++i) w.data<float>()[i] = static_cast<float>(i % 7) - 3;
  ValueId y = b.add("Relu", {b.add("MatMul", {x, graph.add_initializer("w", w)})});
  graph.value(y).name = "y";
  graph.outputs = {y};
  return Session(Model(std::make_shared<Graph>(graph)), {.threads = threads});
}

// A program that meets ever other shapes does not keep the inputs of those that it has met.
TEST(Session, LetsGoOfInputsOfOtherShapes) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  graph.outputs = {b.add("Relu", {graph.add_input("x", Type::tensor(DType::Float32))})};
  Session session(Model(std::make_shared<Graph>(graph)));
  Tensor two = Tensor::of<float>({2}, {-1, 1});
  for (int round = 0; round < 2; ++round) {
    Tensor y = session.run({{"x", two}})[0].second.tensor;
    EXPECT_TRUE(identical(y, Tensor::of<float>({2}, {0, 1})));
    EXPECT_FALSE(two.unique());
    session.run({{"x", Tensor(DType::Float32, {3})}});
    EXPECT_TRUE(two.unique());
  }
}

TEST(Session, RunsInManyThreadsAtOnce) {
  for (int threads : {1, 2}) {
    Session session = product_session(threads);
    auto input = [](int64_t n) {
      Tensor x(DType::Float32, {n, 64});
      for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] = static_cast<float>(i % 5);
      return x;
    };
    std::vector<Tensor> expected;
    for (int64_t n = 0; n < 8; ++n) {
      expected.push_back(session.run({{"x", input(n)}})[0].second.tensor.clone());
    }
    std::atomic<int> wrong = 0;
    std::vector<std::thread> callers;
    for (int t = 0; t < 8; ++t) {
      callers.emplace_back([&, t] {
        for (int i = 0; i < 50; ++i) {
          const int64_t n = (t + i) % 8;
          const Tensor y = session.run({{"x", input(n)}})[0].second.tensor;
          wrong += !identical(y, expected[static_cast<size_t>(n)]);
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(wrong, 0);
  }
}

TEST(Session, IsCancelledBetweenRuns) {
  Session session(xor_model());
  NamedValues inputs = {{"x", Tensor::of<float>({2}, {0, 1})}};
  session.run(inputs);
  session.cancel();
  try {
    session.run(inputs);
    ADD_FAILURE() << "the run was not cancelled";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Cancelled);
  }
  EXPECT_NO_THROW(session.run(inputs));
}

}  // namespace

}  // namespace onnxrun::testing
