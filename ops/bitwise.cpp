// BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot, BitShift.
#include "elementwise_binary.h"
#include "elementwise_unary.h"

namespace onnxrun {

namespace {

struct AndRule {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a & b);
  }
};

struct OrRule {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a | b);
  }
};

struct XorRule {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a ^ b);
  }
};

template <typename Rule>
class Bitwise final : public BinaryOp {
 public:
  void run(RunContext& c) const override {
    dispatch_int(c.output(0).dtype(), [&]<typename T>() {
      binary_loop(c.state<BinaryRows>().rows, c.input(0).data<T>(), c.input(1).data<T>(),
                  c.output(0).data<T>(), [](T a, T b) { return Rule::apply(a, b); });
    });
  }
};

struct NotRule {
  static constexpr DTypeSet types = dtypes::ints;
  template <typename T>
  T one(T x) const {
    return static_cast<T>(~x);
  }
};

class BitShift final : public BinaryOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.required("direction", direction_, "LEFT or RIGHT");
  }

  void infer(InferContext& c) const override {
    if (direction_ != "LEFT" && direction_ != "RIGHT") {
      c.reject("attribute 'direction' is '{}', expected 'LEFT' or 'RIGHT'", direction_);
    }
    BinaryOp::infer(c);
  }

  void run(RunContext& c) const override {
    const bool left = direction_ == "LEFT";
    dispatch_int(c.output(0).dtype(), [&]<typename T>() {
      binary_loop(c.state<BinaryRows>().rows, c.input(0).data<T>(), c.input(1).data<T>(),
                  c.output(0).data<T>(), [left](T a, T bits) { return shift(a, bits, left); });
    });
  }

 private:
  // Whatever is shifted out is lost; what comes in from the left is the sign.
  template <typename T>
  static T shift(T a, T bits, bool left) {
    const bool all = bits < 0 || static_cast<uint64_t>(bits) >= sizeof(T) * 8;
    if (left) return all ? T{0} : static_cast<T>(static_cast<uint64_t>(a) << bits);
    return all ? static_cast<T>(a < 0 ? -1 : 0) : static_cast<T>(a >> bits);
  }

  std::string direction_;
};

template <typename O>
void add_bitwise(OpRegistry& r, std::string_view name, std::string_view doc,
                 std::array<std::string_view, 3> names, std::vector<int> since) {
  r.add<O>({.name = name,
            .doc = doc,
            .since = std::move(since),
            .inputs = {{names[0], "T"}, {names[1], "T"}},
            .outputs = {{names[2], "T"}},
            .types = {{"T", dtypes::ints}},
            .gradient = GradientState::NotDifferentiable});
}

}  // namespace

void register_bitwise(OpRegistry& r) {
  const std::array<std::string_view, 3> abc = {"A", "B", "C"};
  add_bitwise<Bitwise<AndRule>>(r, "BitwiseAnd", "a and b, bit by bit", abc, {18});
  add_bitwise<Bitwise<OrRule>>(r, "BitwiseOr", "a or b, bit by bit", abc, {18});
  add_bitwise<Bitwise<XorRule>>(r, "BitwiseXor", "either a or b, bit by bit", abc, {18});
  add_unary<NotRule>(r, {"BitwiseNot", "every bit inverted", {18}});
  add_bitwise<BitShift>(r, "BitShift", "a shifted by b bits", {"X", "Y", "Z"}, {11, 28});
}

}  // namespace onnxrun
