#include "kernels/byte_convolution.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "base/threads.h"
#include "kernels/byte_lines.h"
#include "kernels/im2col.h"
#include "kernels/scratch.h"
#include "kernels/wrapping.h"

namespace onnxrun {

namespace {

// Copying bytes into planes costs little beside what is done with them.
constexpr FlatWindows::Limits plane_limits{.elements = int64_t{1} << 22, .channels = 1 << 14};
// Words of columns that are laid out at a time, and how many columns and rows that may be.
constexpr int64_t piece_words = 1 << 14, fewest_columns = 128, most_columns = 1024;
constexpr int64_t most_rows = 64;
// Output channels of a group for which words are not worth making; where channels do not fill them,
// the terms of all for which they are not, either; the terms that words are looked for in.
constexpr int64_t few_channels = 2, few_terms = 1 << 10, most_terms = 1 << 12;
// Bytes of planes that are filled before any is read, which takes long where they were just
// written.
constexpr int64_t planes_together = 1 << 14;
// Multiplications that are worth a thread's waking.
constexpr double byte_grain = 1 << 20;

int64_t grain_of(double work_of_piece) {
  return std::max<int64_t>(1, static_cast<int64_t>(byte_grain / std::max(1.0, work_of_piece)));
}

// The part of a plane of outputs that columns [at, at + size) are.
template <typename T>
void place(const std::optional<FlatWindows>& flat, const T* from, int64_t at, int64_t size, T* y) {
  if (flat) {
    flat->unpack_output(from, at, size, y);
  } else {
    std::copy_n(from, size, y + at);
  }
}

// Of these, the columns of a piece and what is written behind them.
constexpr int64_t neighbour_columns = 1 << 12, row_columns = neighbour_columns + neighbour_slack;

struct Sums {
  int32_t* y;

  void take(const std::optional<FlatWindows>& flat, int64_t /*channel*/, int64_t plane, int64_t at,
            int64_t size, int32_t* sums, const SumCorrection& correction) const {
    correct_sums(correction, sums, size, sums);
    place(flat, sums, at, size, y + plane);
  }
  void take(const FlatWindows& flat, int64_t /*channel*/, int64_t plane, int64_t at, int64_t size,
            NeighbourSums& n) const {
    int32_t row[row_columns];
    sum_neighbours(n, at, size, row);
    flat.unpack_output(row, at, size, y + plane);
  }
};

struct Quantized {
  const ChannelResults& results;
  uint8_t* y;
  int64_t terms;

  // Adds the bias to `add` unless sums may be so large that it has to saturate.
  Requantization of_channel(int64_t channel, int32_t& add) const {
    Requantization r{.factor = results.factors[channel],
                     .bias = results.bias ? results.bias[channel] : 0,
                     .zero_point = results.zero_point,
                     .is_signed = results.is_signed};
    if (std::abs(int64_t{r.bias}) + terms * 255 * 255 <= std::numeric_limits<int32_t>::max()) {
      add = wrapping_plus(add, std::exchange(r.bias, 0));
    }
    return r;
  }

  void take(const std::optional<FlatWindows>& flat, int64_t channel, int64_t plane, int64_t at,
            int64_t size, const int32_t* sums, SumCorrection& correction) const {
    uint8_t row[most_columns];
    const Requantization r = of_channel(channel, correction.add);
    requantize(r, correction, sums, size, flat ? row : y + plane + at);
    if (flat) unpack_bytes(*flat, row, at, size, y + plane);
  }
  void take(const FlatWindows& flat, int64_t channel, int64_t plane, int64_t at, int64_t size,
            NeighbourSums& n) const {
    uint8_t row[row_columns];
    const Requantization r = of_channel(channel, n.add);
    if (r.bias == 0) {
      quantize_neighbours(n, r, at, size, row);
    } else {
      int32_t sums[row_columns];
      sum_neighbours(n, at, size, sums);
      requantize(r, {}, sums, size, row);
    }
    unpack_bytes(flat, row, at, size, y + plane);
  }
};

// Products of rows of weights with columns.
struct ByPanels {
  Dots dots;
  const int32_t* right;
  int64_t panels, words;

  void multiply(const int32_t* weights, int64_t rows, int32_t* sums, int64_t ld) const {
    multiply_words(dots, weights, rows, right, panels, words, sums, ld);
  }
  void sum_columns(int32_t* sums) const { onnxrun::sum_columns(dots, right, panels, words, sums); }
};

struct ByPlanes {
  Dots dots;
  const BytePlanes& layout;
  const int32_t* planes;
  int64_t panels;

  void multiply(const int32_t* weights, int64_t rows, int32_t* sums, int64_t ld) const {
    multiply_planes(dots, weights, rows, planes, layout.at(), panels, layout.size(), sums, ld);
  }
  void sum_columns(int32_t* sums) const { multiply(layout.ones(), 1, sums, 0); }
};

}  // namespace

template <typename Result>
constexpr ByteConvolution::GroupKernel<Result> ByteConvolution::kernels[] = {
    {"pixels", [](const ByteConvolution& c) { return c.is_identity_; },
     [](const ByteConvolution& c, const Operands& o, Groups groups, const Result& result) {
       c.for_each_part(groups, [&](const Part& part) { c.run_pixels(o, part, result); });
     }},
    {"neighbouring bytes", [](const ByteConvolution& c) { return c.flat_ && c.has_few_channels(); },
     [](const ByteConvolution& c, const Operands& o, Groups groups, const Result& result) {
       c.run_neighbours(o, groups, result);
     }},
    {"planes of words", [](const ByteConvolution& c) { return c.flat_ && c.channels_fill_words(); },
     [](const ByteConvolution& c, const Operands& o, Groups groups, const Result& result) {
       c.for_each_part(groups, [&](const Part& part) { c.run_planes(o, part, result); });
     }},
    {"flat windows", [](const ByteConvolution& c) { return c.flat_.has_value(); },
     [](const ByteConvolution& c, const Operands& o, Groups groups, const Result& result) {
       c.for_each_part(groups, [&](const Part& part) { c.run_flat(o, part, result); });
     }},
    {"copied windows", always<ByteConvolution>,
     [](const ByteConvolution& c, const Operands& o, Groups groups, const Result& result) {
       c.for_each_part(groups, [&](const Part& part) { c.run_copied(o, part, result); });
     }},
};

ByteConvolution::ByteConvolution(ConvShape s, Dots dots, size_t way)
    : shape_(std::move(s)),
      terms_(shape_.weight_rows()),
      outputs_(shape_.window.output_size()),
      dots_(dots),
      is_identity_(shape_.window.is_identity()),
      way_(way) {
  if (!is_identity_) flat_ = FlatWindows::of(shape_.window, shape_.in_channels, plane_limits);
  while (!kernels<Sums>[way_].applies(*this)) ++way_;
  if (way_ == by_copies) flat_.reset();
  if (way_ == by_neighbours) {
    flat_ = neighbour_windows(shape_.window, shape_.in_channels, plane_limits, dots_);
    neighbours_.emplace(shape_.window, shape_.in_channels, *flat_, dots_);
  }
  if (way_ == by_planes) planes_.emplace(shape_.in_channels, *flat_, dots_);
  name_ = std::string(kernels<Sums>[way_].name) + " by " +
          (dots_ == Dots::Quads ? "8-bit" : "16-bit") + " dot products";
}

bool ByteConvolution::has_few_channels() const {
  if (terms() == 0 || terms() > most_terms) return false;
  return shape_.out_channels <= few_channels ||
         (shape_.out_channels * terms() <= few_terms && !channels_fill_words());
}

bool ByteConvolution::channels_fill_words() const {
  return BytePlanes::fit(shape_.in_channels, shape_.window.kernel_size(), shape_.out_channels,
                         dots_);
}

const WindowWords* ByteConvolution::window_words() const {
  if (neighbours_) return &*neighbours_;
  return planes_ ? &*planes_ : nullptr;
}

int64_t ByteConvolution::words() const {
  const WindowWords* in_planes = window_words();
  return in_planes ? in_planes->size() : words_of(dots_, terms());
}

int64_t ByteConvolution::weight_words() const { return channels() * (words() + 1); }

std::string ByteConvolution::weight_layout() const {
  if (neighbours_) return neighbours_->layout();
  return planes_ ? "channels of bytes in words" : "byte channels";
}

void ByteConvolution::pack_weights(const Bytes& w, int32_t* words_of_weights) const {
  int32_t* sums = words_of_weights + channels() * words();
  const WindowWords* in_planes = window_words();
  if (!in_planes) {
    return pack_left(dots_, w, terms(), channels(), terms(), words_of_weights, sums);
  }
  for (int64_t i = 0; i < channels(); ++i) {
    const Bytes weights{w.data + i * terms(), w.is_signed};
    sums[i] = in_planes->pack(weights, words_of_weights + i * words());
  }
}

SumCorrection ByteConvolution::correction(const Operands& o, int64_t channel) const {
  const int32_t zero_x =
      (o.x.is_signed ? static_cast<int8_t>(o.zero_x) : o.zero_x) + unsigned_shift(o.x.is_signed);
  const int32_t zero_w = o.zero_w.at(channel);
  const int32_t sum = o.weights[channels() * words() + channel];
  const int32_t all_zeros = wrapping_times(static_cast<int32_t>(terms()), zero_w);
  const int32_t rest = wrapping_plus(sum, wrapping_times(all_zeros, -1));
  return {.add = wrapping_times(rest, -zero_x), .column_factor = -zero_w};
}

template <typename Product, typename Result>
void ByteConvolution::take_sums(const Operands& o, const Part& part, int64_t begin, int64_t end,
                                const Product& product, const Result& result) const {
  const int64_t size = end - begin, ld = product.panels * panel_columns();
  const int64_t out = shape_.out_channels, m = std::min(out, most_rows);
  Scratch scratch(static_cast<size_t>(ld * (m + 1)) * sizeof(int32_t));
  auto *sums = scratch.as<int32_t>(), *column_sums = sums + ld * m;
  const bool any_zero = !o.zero_w.is_zero();
  if (any_zero) product.sum_columns(column_sums);
  for (int64_t row = 0; row < out; row += most_rows) {
    const int64_t count = std::min(most_rows, out - row), first = part.group * out + row;
    product.multiply(o.weights + first * words(), count, sums, ld);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t channel = first + i;
      SumCorrection correct = correction(o, channel);
      if (any_zero) correct.columns = column_sums;
      const int64_t plane = (part.image * channels() + channel) * outputs_;
      result.take(flat_, channel, plane, begin, size, sums + i * ld, correct);
    }
  }
}

template <typename Result>
void ByteConvolution::run_columns(const Operands& o, const Columns& c, const Part& part,
                                  const Result& result) const {
  const int64_t width = panel_columns(), size = c.end - c.begin, panels = panels_of(size);
  Scratch scratch(static_cast<size_t>(panels * width * words()) * sizeof(int32_t));
  auto* right = scratch.as<int32_t>();
  for (int64_t p = 0; p < panels; ++p) {
    const int64_t there = c.readable_behind ? width : std::min(width, size - p * width);
    pack_right(dots_, c.rows, c.offset + p * width, o.x.is_signed, terms(), there,
               right + p * width * words());
  }
  take_sums(o, part, c.begin, c.end, ByPanels{dots_, right, panels, words()}, result);
}

template <typename Result>
void ByteConvolution::run_planes(const Operands& o, const Part& part, const Result& result) const {
  Scratch scratch(static_cast<size_t>(planes_->words()) * sizeof(int32_t));
  auto* planes = scratch.as<int32_t>();
  const Bytes x{o.x.data + shape_.x_at(part.image, part.group), o.x.is_signed};
  planes_->fill(*flat_, x, o.zero_x, planes);
  for_each_piece([&](int64_t begin, int64_t end) {
    const ByPlanes product{dots_, *planes_, planes + begin, panels_of(end - begin)};
    take_sums(o, part, begin, end, product, result);
  });
}

int64_t ByteConvolution::piece() const {
  if (neighbours_) return neighbour_columns;
  const int64_t fitting = piece_words / std::max<int64_t>(1, words()) / FlatWindows::slack;
  return std::clamp(fitting * FlatWindows::slack, fewest_columns, most_columns);
}

template <typename F>
void ByteConvolution::for_each_piece(const F& f) const {
  const int64_t size = piece(), pieces = ceil_of(columns(), size);
  if (pieces == 1) return f(0, columns());
  const int64_t grain = grain_of(shape_.group_work() / static_cast<double>(pieces));
  parallel_for(pieces, grain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) f(i * size, std::min(columns(), (i + 1) * size));
  });
}

template <typename F>
void ByteConvolution::for_each_part(Groups groups, const F& f) const {
  for (int64_t i = groups.begin; i < groups.end; ++i) {
    f(Part{i / shape_.groups, i % shape_.groups});
  }
}

template <typename Result>
void ByteConvolution::run_pixels(const Operands& o, const Part& part, const Result& result) const {
  const uint8_t* x = o.x.data + shape_.x_at(part.image, part.group);
  Scratch pointers(static_cast<size_t>(shape_.in_channels) * sizeof(const uint8_t*));
  auto* rows = pointers.as<const uint8_t*>();
  for (int64_t c = 0; c < shape_.in_channels; ++c) rows[c] = x + c * shape_.window.input_size();
  for_each_piece([&](int64_t begin, int64_t end) {
    run_columns(o, {rows, begin, begin, end, false}, part, result);
  });
}

template <typename Result>
void ByteConvolution::run_neighbours(const Operands& o, Groups groups, const Result& result) const {
  const int64_t in = shape_.in_channels, size = in * flat_->plane_size();
  const int64_t together =
      std::clamp<int64_t>(planes_together / size, 1, groups.end - groups.begin);
  Scratch scratch(static_cast<size_t>(together * size + plane_slack));
  auto* planes = scratch.as<uint8_t>();
  for (int64_t first = groups.begin; first < groups.end; first += together) {
    const Groups some{first, std::min(groups.end, first + together)};
    const Bytes x{o.x.data + shape_.x_at(0, first), o.x.is_signed};
    pack_planes(*flat_, x, (some.end - first) * in, o.zero_x, planes);
    const uint8_t* from = planes;
    for_each_part(some, [&](const Part& part) {
      sum_neighbours_of(o, part, from, result);
      from += size;
    });
  }
}

template <typename Result>
void ByteConvolution::sum_neighbours_of(const Operands& o, const Part& part, const uint8_t* planes,
                                        const Result& result) const {
  for_each_piece([&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < shape_.out_channels; ++i) {
      const int64_t channel = part.group * shape_.out_channels + i;
      const SumCorrection c = correction(o, channel);
      const int64_t plane = (part.image * channels() + channel) * outputs_;
      NeighbourSums sums{*neighbours_, planes, o.weights + channel * words(), c.add,
                         c.column_factor};
      result.take(*flat_, channel, plane, begin, end - begin, sums);
    }
  });
}

template <typename Result>
void ByteConvolution::run_flat(const Operands& o, const Part& part, const Result& result) const {
  const int64_t plane = flat_->plane_size();
  Scratch scratch(static_cast<size_t>(shape_.in_channels * plane + FlatWindows::slack));
  auto* planes = scratch.as<uint8_t>();
  flat_->pack_input(o.x.data + shape_.x_at(part.image, part.group), shape_.in_channels, planes,
                    o.zero_x);
  Scratch pointers(static_cast<size_t>(terms()) * sizeof(const uint8_t*));
  auto* rows = pointers.as<const uint8_t*>();
  int64_t row = 0;
  for (int64_t c = 0; c < shape_.in_channels; ++c) {
    for (int64_t offset : flat_->offsets()) rows[row++] = planes + c * plane + offset;
  }
  for_each_piece([&](int64_t begin, int64_t end) {
    run_columns(o, {rows, begin, begin, end, true}, part, result);
  });
}

template <typename Result>
void ByteConvolution::run_copied(const Operands& o, const Part& part, const Result& result) const {
  const uint8_t* x = o.x.data + shape_.x_at(part.image, part.group);
  for_each_piece([&](int64_t begin, int64_t end) {
    const int64_t ld = end - begin;
    Scratch scratch(static_cast<size_t>(terms() * ld));
    auto* windows = scratch.as<uint8_t>();
    im2col(shape_.window, x, shape_.in_channels, begin, end, windows, ld, o.zero_x);
    Scratch pointers(static_cast<size_t>(terms()) * sizeof(const uint8_t*));
    auto* rows = pointers.as<const uint8_t*>();
    for (int64_t p = 0; p < terms(); ++p) rows[p] = windows + p * ld;
    run_columns(o, {rows, 0, begin, end, false}, part, result);
  });
}

template <typename Result>
void ByteConvolution::run(const Operands& o, const Result& result) const {
  if (outputs_ == 0 || shape_.out_channels == 0) return;
  const int64_t grain = grain_of(shape_.group_work());
  const auto& kernel = kernels<Result>[way_];
  parallel_for(shape_.batch * shape_.groups, grain, [&](int64_t begin, int64_t end) {
    kernel.run(*this, o, {begin, end}, result);
  });
}

void ByteConvolution::sums(const Operands& o, int32_t* y) const { run(o, Sums{y}); }

void ByteConvolution::quantized(const Operands& o, const ChannelResults& results,
                                uint8_t* y) const {
  run(o, Quantized{results, y, terms()});
}

}  // namespace onnxrun
