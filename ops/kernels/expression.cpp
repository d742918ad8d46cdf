#include "kernels/expression.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/threads.h"
#include "kernels/finite_numbers.h"
#include "kernels/ranges.h"
#include "kernels/scratch.h"

namespace onnxrun {

namespace {

// A register holds a block of numbers; it is small enough for many of them to stay in the
// first-level cache.
constexpr int64_t largest_register = 2048;

std::span<const int> operands(const Program::Call& call) {
  return std::span(call.operands).first(static_cast<size_t>(operands_of(call.function)));
}

template <typename Word>
void copy_words(const std::byte* from, int64_t step, int64_t count, std::byte* to) {
  const auto* x = reinterpret_cast<const Word*>(from);
  auto* y = reinterpret_cast<Word*>(to);
  if (step == 0) {
    std::fill_n(y, count, *x);
  } else {
    std::copy_n(x, count, y);
  }
}

void copy_row(const std::byte* from, int64_t step, int64_t width, int64_t count, std::byte* to) {
  if (width == 1) return copy_words<uint8_t>(from, step, count, to);
  if (width == 4) return copy_words<float>(from, step, count, to);
  copy_words<double>(from, step, count, to);
}

}  // namespace

std::vector<bool> truth_values(const Program& program) {
  std::vector<bool> truth(static_cast<size_t>(program.inputs) + program.calls.size(), false);
  for (size_t k = 0; k < program.calls.size(); ++k) {
    const Program::Call& call = program.calls[k];
    truth[static_cast<size_t>(program.inputs) + k] = gives_truth(call.function);
    if (call.function == ElementFunction::Where) {
      truth[static_cast<size_t>(call.operands[0])] = true;
    }
  }
  return truth;
}

struct Expression::Source {
  const void* data;
  bool repeated;
};

// What run_block() reads and writes.
struct Expression::Block {
  const void* const* inputs;
  void* const* outputs;
  std::byte* registers;
  int64_t at, size;
};

Expression::Expression(const Program& program, DType dtype, std::span<const int64_t> dims,
                       const std::vector<std::span<const int64_t>>& inputs)
    : program_(program),
      number_width_(bytes_of(dtype, 1)),
      size_(element_count(dims)),
      register_bytes_(size_ < largest_register / number_width_
                          ? (size_ * number_width_ + 63) / 64 * 64
                          : largest_register),
      truth_(truth_values(program)) {
  add_inputs(dims, inputs);
  std::vector<Place> places(truth_.size());
  for (size_t i = 0; i < inputs_.size(); ++i) places[i].index = static_cast<uint8_t>(i);
  place_outputs(program, places);
  place_registers(program, places);
  for (size_t k = 0; k < program.calls.size(); ++k) {
    const Program::Call& call = program.calls[k];
    Step step;
    step.function = dtype == DType::Float32 ? array_function<float>(call.function)
                                            : array_function<double>(call.function);
    for (int v : operands(call)) step.from[step.operands++] = places[static_cast<size_t>(v)];
    step.to = places[inputs_.size() + k];
    steps_.push_back(step);
  }
}

void Expression::add_inputs(std::span<const int64_t> dims,
                            const std::vector<std::span<const int64_t>>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    Input input;
    input.rows = BroadcastRows<1>(dims, {inputs[i]});
    input.count = element_count(inputs[i]);
    input.along = input.count == size_;
    input.single = !input.along && input.count == 1;
    input.width = truth_[i] ? 1 : number_width_;
    if (!input.along && !input.single) input.spread = registers_++;
    inputs_.push_back(std::move(input));
  }
}

// The call that reads a value last, -1 if none does.
std::vector<int> Expression::last_reads(const Program& program) const {
  std::vector<int> last(truth_.size(), -1);
  for (size_t k = 0; k < program.calls.size(); ++k) {
    for (int v : operands(program.calls[k])) last[static_cast<size_t>(v)] = static_cast<int>(k);
  }
  return last;
}

void Expression::place_outputs(const Program& program, std::vector<Place>& places) {
  const std::vector<int> last = last_reads(program);
  for (size_t o = 0; o < program.outputs.size(); ++o) {
    const auto value = static_cast<size_t>(program.outputs[o]);
    const int call = static_cast<int>(value) - program.inputs;
    places[value] = {Place::Kind::Output, static_cast<uint8_t>(o)};
    Output output;
    output.width = truth_[value] ? 1 : number_width_;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const bool fits = inputs_[i].along && inputs_[i].width == output.width;
      if (fits && last[i] > call) output.risks.push_back(static_cast<int>(i));
    }
    if (!output.risks.empty()) output.staging = registers_++;
    has_risks_ |= !output.risks.empty();
    outputs_.push_back(std::move(output));
  }
}

// Results that nobody else sees take turns in registers.
void Expression::place_registers(const Program& program, std::vector<Place>& places) {
  const std::vector<int> last = last_reads(program);
  std::vector<uint8_t> free;
  for (size_t k = 0; k < program.calls.size(); ++k) {
    Place& to = places[inputs_.size() + k];
    if (to.kind != Place::Kind::Output) {
      if (free.empty()) free.push_back(static_cast<uint8_t>(registers_++));
      to = {Place::Kind::Register, free.back()};
      free.pop_back();
    }
    for (size_t v = inputs_.size(); v < inputs_.size() + k; ++v) {
      if (places[v].kind == Place::Kind::Register && last[v] == static_cast<int>(k)) {
        free.push_back(places[v].index);
      }
    }
  }
}

void Expression::run(const void* const* inputs, void* const* outputs, std::byte* scratch) const {
  if (is_small()) return run_range({inputs, outputs, scratch, 0, 0}, size_);
  parallel_for(size_, elementwise_grain, [&](int64_t begin, int64_t end) {
    Scratch own(static_cast<size_t>(registers_ * register_bytes_));
    run_range({inputs, outputs, own.as<std::byte>(), begin, 0}, end);
  });
}

// From block.at to `end`.
void Expression::run_range(Block block, int64_t end) const {
  // One function that needs no register takes all at once.
  const bool is_whole = steps_.size() == 1 && registers_ == 0;
  const int64_t length = is_whole ? end - block.at : largest_register / number_width_;
  std::array<std::byte*, most_calls> to;  // NOLINT: as many are set as there are outputs
  for (; block.at < end; block.at += length) {
    block.size = std::min(length, end - block.at);
    find_targets(block, to.data());
    run_block(block, to.data());
    if (has_risks_) move_staged(block, to.data());
  }
}

std::optional<size_t> Expression::first_not_finite(const void* const* inputs) const {
  std::atomic<size_t> first = outputs_.size();
  parallel_for(size_, elementwise_grain, [&](int64_t begin, int64_t end) {
    Scratch own((static_cast<size_t>(registers_) + outputs_.size()) *
                static_cast<size_t>(register_bytes_));
    const auto found = first_not_finite({inputs, nullptr, own.as<std::byte>(), begin, 0}, end);
    size_t least = first.load(std::memory_order_relaxed);
    while (found && *found < least && !first.compare_exchange_weak(least, *found)) {
    }
  });
  return first < outputs_.size() ? std::optional(first.load()) : std::nullopt;
}

// Whether the ranges of inputs from block.at to `end` leave nothing else.
template <typename T>
bool Expression::stays_finite(const Block& block, int64_t end) const {
  std::array<Range<T>, most_inputs + most_calls> ranges;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (truth_[i]) continue;
    const auto* data = static_cast<const T*>(block.inputs[i]);
    const bool along = inputs_[i].along;
    if (!along && inputs_[i].count > end - block.at) return false;  // longer than the work it saves
    const auto range = along ? finite_range(data + block.at, end - block.at)
                             : finite_range(data, inputs_[i].count);
    if (!range) return false;
    ranges[i] = *range;
  }
  for (size_t k = 0; k < program_.calls.size(); ++k) {
    const Program::Call& call = program_.calls[k];
    std::array<Range<T>, 3> from;
    for (size_t o = 0; o < operands(call).size(); ++o) {
      from[o] = ranges[static_cast<size_t>(call.operands[o])];
    }
    const bool is_square = call.operands[0] == call.operands[1];
    const auto range =
        range_through<T>(call.function, std::span(from).first(operands(call).size()), is_square);
    if (!range) return false;
    ranges[inputs_.size() + k] = *range;
  }
  return true;
}

// From block.at to `end`; outputs go to registers behind all others.
std::optional<size_t> Expression::first_not_finite(Block block, int64_t end) const {
  if (number_width_ == 4 ? stays_finite<float>(block, end) : stays_finite<double>(block, end)) {
    return std::nullopt;
  }
  std::array<std::byte*, most_calls> to;  // NOLINT: as many are set as there are outputs
  for (size_t o = 0; o < outputs_.size(); ++o) {
    to[o] = block.registers + (registers_ + static_cast<int>(o)) * register_bytes_;
  }
  size_t first = outputs_.size();
  const int64_t length = largest_register / number_width_;
  for (; block.at < end; block.at += length) {
    block.size = std::min(length, end - block.at);
    run_block(block, to.data());
    for (size_t o = 0; o < first; ++o) {
      if (outputs_[o].width != number_width_) continue;
      const bool finite = number_width_ == 4
                              ? are_finite(reinterpret_cast<const float*>(to[o]), block.size)
                              : are_finite(reinterpret_cast<const double*>(to[o]), block.size);
      if (!finite) first = o;
    }
  }
  return first < outputs_.size() ? std::optional(first) : std::nullopt;
}

// Where this block's elements of each input lie.
void Expression::find_sources(const Block& block, Source* from) const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Input& input = inputs_[i];
    const auto* data = static_cast<const std::byte*>(block.inputs[i]);
    if (input.along || input.single) {
      from[i] = {data + (input.along ? block.at * input.width : 0), input.single};
      continue;
    }
    const int64_t step = input.rows.step(0);
    std::byte* to = block.registers + input.spread * register_bytes_;
    from[i] = {to, false};
    auto take = [&](int64_t, const std::array<int64_t, 1>& offset, int64_t count) {
      const std::byte* row = data + offset[0] * input.width;
      if (count == block.size) {
        from[i] = {row, step == 0};
        return;
      }
      copy_row(row, step, input.width, count, to);
      to += count * input.width;
    };
    input.rows.for_range(block.at, block.at + block.size, take);
  }
}

// Where this block of each output goes.
void Expression::find_targets(const Block& block, std::byte** to) const {
  for (size_t o = 0; o < outputs_.size(); ++o) {
    const Output& output = outputs_[o];
    const bool risky =
        has_risks_ && std::any_of(output.risks.begin(), output.risks.end(), [&](int i) {
          return block.inputs[static_cast<size_t>(i)] == block.outputs[o];
        });
    to[o] = risky ? block.registers + output.staging * register_bytes_
                  : static_cast<std::byte*>(block.outputs[o]) + block.at * output.width;
  }
}

void Expression::run_block(const Block& block, std::byte* const* to) const {
  std::array<Source, most_inputs> from;  // NOLINT: as many are set as there are
  find_sources(block, from.data());
  auto memory = [&](const Place& place) {
    return place.kind == Place::Kind::Output ? to[place.index]
                                             : block.registers + place.index * register_bytes_;
  };
  for (const Step& step : steps_) {
    std::array<const void*, 3> operands;  // NOLINT
    unsigned repeated = 0;
    for (unsigned k = 0; k < step.operands; ++k) {
      const Place& place = step.from[k];
      if (place.kind == Place::Kind::Input) {
        operands[k] = from[place.index].data;
        repeated |= static_cast<unsigned>(from[place.index].repeated) << k;
      } else {
        operands[k] = memory(place);
      }
    }
    step.function(operands.data(), repeated, memory(step.to), block.size);
  }
}

// What could not be written where it belongs while inputs lay there.
void Expression::move_staged(const Block& block, std::byte* const* to) const {
  for (size_t o = 0; o < outputs_.size(); ++o) {
    std::byte* target = static_cast<std::byte*>(block.outputs[o]) + block.at * outputs_[o].width;
    if (to[o] == target) continue;
    std::memcpy(target, to[o], static_cast<size_t>(block.size * outputs_[o].width));
  }
}

}  // namespace onnxrun
