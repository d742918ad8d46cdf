#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

OpRun einsum(const std::string& equation, const std::vector<Dims>& dims) {
  OpRun run{"Einsum", {}, {{"equation", equation}}};
  for (const Dims& d : dims) {
    run.inputs.push_back(random_tensor(d, static_cast<uint32_t>(run.inputs.size() + 1)));
  }
  return run;
}

TEST(Einsum, KernelDecompositionAndGradients) {
  struct Case {
    const char* equation;
    std::vector<Dims> dims;
  };
  for (const Case& c : std::vector<Case>{{"ij,jk->ik", {{2, 3}, {3, 4}}},
                                         {"ij,jk", {{2, 3}, {3, 4}}},
                                         {"ba,cb", {{2, 3}, {4, 2}}},
                                         {"bij,bjk->bik", {{2, 3, 2}, {2, 2, 3}}},
                                         {"bhqd,bhkd->bhqk", {{2, 2, 3, 2}, {2, 2, 4, 2}}},
                                         {"i,j->ij", {{3}, {2}}},
                                         {"i,i->", {{3}, {3}}},
                                         {"ij->ji", {{2, 3}}},
                                         {"ij->", {{2, 3}}},
                                         {"ij->j", {{2, 3}}},
                                         {"ii->i", {{3, 3}}},
                                         {"ii", {{3, 3}}},
                                         {"iji->j", {{2, 3, 2}}},
                                         {"aab,b->a", {{2, 2, 3}, {3}}},
                                         {"...ij,...jk->...ik", {{2, 3, 2}, {2, 4}}},
                                         {"...ij->...ji", {{2, 3, 2}}},
                                         {"...ii->...i", {{2, 3, 3}}},
                                         {"i...,i->...", {{3, 2, 2}, {3}}},
                                         {"i...,...->i...", {{3, 2}, {4, 2}}},
                                         {"ab,bc,cd->ad", {{2, 3}, {3, 2}, {2, 4}}},
                                         {"abc,cd,be->ade", {{2, 3, 2}, {2, 2}, {3, 2}}},
                                         {"ij,jk->ik", {{2, 1}, {3, 4}}},
                                         {"ij,ij->ij", {{1, 3}, {2, 3}}},
                                         {"ij,jk->ik", {{2, 0}, {0, 4}}},
                                         {"ij,kl->", {{2, 2}, {3, 1}}}}) {
    SCOPED_TRACE(c.equation);
    OpRun run = einsum(c.equation, c.dims);
    expect_decomposes(run, 1e-12, std::vector<size_t>{});
    check_gradient(run, {.second_order = true});
  }
}

TEST(Einsum, SymbolicLengths) {
  expect_decomposes(einsum("bhqd,bhkd->bhqk", {{2, 2, 3, 2}, {2, 2, 4, 2}}), 1e-12);
  expect_decomposes(einsum("ij,jk->ki", {{2, 3}, {3, 4}}), 1e-12);
}

TEST(Einsum, SmallIntegersWrapAround) {
  Tensor x = Tensor::of<int8_t>({1, 2}, {100, 100}), y = Tensor::of<int8_t>({2, 1}, {1, 2});
  EXPECT_TRUE(identical(run_op({"Einsum", {x, y}, {{"equation", std::string("ij,jk->ik")}}})[0],
                        Tensor::of<int8_t>({1, 1}, {44})));
}

TEST(Einsum, Rejects) {
  expect_error(einsum("ij,jk->ik", {{2, 3}}), "has 2 operands, 1 are given");
  expect_error(einsum("ij,jk->ik", {{2, 3}, {4, 2}}), "an axis has 3 elements");
  expect_error(einsum("ij->i", {{2, 3, 4}}), "2 letters is for an operand of rank 3");
  expect_error(einsum("...ij->i", {{2}}), "is for an operand of rank 1");
  expect_error(einsum("ij->k", {{2, 3}}), "is in no term");
  expect_error(einsum("ij->ii", {{2, 3}}), "has 'i' twice");
  expect_error(einsum("i1->i", {{2, 3}}), "is not understood at '1'");
  expect_error(einsum("i->i->i", {{2}}), "is not understood");
}

}  // namespace

}  // namespace onnxrun::testing
