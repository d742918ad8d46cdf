// Programs of element functions over broadcast arrays, run block by block so that what lies between
// two functions never leaves the first-level cache.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "kernels/array_functions.h"
#include "kernels/broadcast.h"

namespace onnxrun {

// A program as nodes have it. Its values are the inputs, then what each function gives; operands
// and outputs are their numbers.
struct Program {
  struct Call {
    ElementFunction function;
    std::array<int, 3> operands;  // as many as the function has
  };
  int inputs = 0;
  std::vector<Call> calls;
  std::vector<int> outputs;  // each what another call gives
};

// Of each value, whether it is a truth value: what comparisons give, and inputs that Where reads
// first.
std::vector<bool> truth_values(const Program& program);

// A program for operands of given shapes. Immutable.
class Expression {
 public:
  static constexpr size_t most_inputs = 16, most_calls = 32;

  // Inputs broadcast to `dims`, which is the shape of every output. `dtype`, that of numbers, is
  // Float32 or Float64.
  Expression(const Program& program, DType dtype, std::span<const int64_t> dims,
             const std::vector<std::span<const int64_t>>& inputs);

  // Bytes of working memory, aligned to 64, that a run wants.
  int64_t scratch() const { return is_small() ? registers_ * register_bytes_ : 0; }

  // Reads and writes whole tensors; an output may lie on an input of its own shape and type. Large
  // ones use the threads of the caller's ThreadScope.
  void run(const void* const* inputs, void* const* outputs, std::byte* scratch) const;

  // The first output in which run() would leave a number that is not finite.
  std::optional<size_t> first_not_finite(const void* const* inputs) const;

 private:
  // Where a call finds an operand or leaves its result.
  struct Place {
    enum class Kind : uint8_t { Input, Register, Output };
    Kind kind = Kind::Input;
    uint8_t index = 0;
  };
  struct Step {
    ArrayFunction function = nullptr;
    uint8_t operands = 0;
    std::array<Place, 3> from;
    Place to;
  };
  struct Input {
    BroadcastRows<1> rows;
    // All of it lies as the outputs do, or is one element.
    bool along = false, single = false;
    int64_t count = 0;
    int64_t width = 0;  // bytes of an element
    int spread = 0;     // the register for what is neither
  };
  struct Output {
    int64_t width = 0;
    int staging = -1;        // the register for one that may lie on an input that is read later
    std::vector<int> risks;  // those inputs
  };
  struct Block;
  struct Source;

  std::vector<int> last_reads(const Program& program) const;
  void place_outputs(const Program& program, std::vector<Place>& places);
  void place_registers(const Program& program, std::vector<Place>& places);
  void add_inputs(std::span<const int64_t> dims,
                  const std::vector<std::span<const int64_t>>& inputs);
  bool is_small() const { return size_ <= elementwise_grain; }
  void run_range(Block block, int64_t end) const;
  void find_sources(const Block& block, Source* from) const;
  void find_targets(const Block& block, std::byte** to) const;
  void run_block(const Block& block, std::byte* const* to) const;
  void move_staged(const Block& block, std::byte* const* to) const;
  template <typename T>
  bool stays_finite(const Block& block, int64_t end) const;
  std::optional<size_t> first_not_finite(Block block, int64_t end) const;

  Program program_;
  int64_t number_width_;
  int64_t size_;
  int64_t register_bytes_;
  std::vector<bool> truth_;  // of the program's values
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
  std::vector<Step> steps_;
  int registers_ = 0;
  bool has_risks_ = false;
};

}  // namespace onnxrun
