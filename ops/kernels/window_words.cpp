#include "kernels/window_words.h"

#include <cstring>
#include <utility>

namespace onnxrun {

WindowWords::WindowWords(Dots dots, Layout layout)
    : dots_(dots), layout_(std::move(layout)), ones_(layout_.at.size()) {
  const std::vector<uint8_t> all_ones(layout_.places.size(), 1);
  pack({all_ones.data(), true}, ones_.data());
}

int32_t WindowWords::pack(const Bytes& w, int32_t* words) const {
  std::memset(words, 0, layout_.at.size() * sizeof(int32_t));
  const auto shift = static_cast<uint8_t>(signed_shift(w.is_signed));
  const size_t bytes = sizeof(int32_t) / static_cast<size_t>(dots_);
  auto* to = reinterpret_cast<uint8_t*>(words);
  const uint8_t* from = w.data;
  int32_t sum = 0;
  for (int64_t place : layout_.places) {
    const int16_t v = static_cast<int8_t>(*from++ ^ shift);
    std::memcpy(to + static_cast<size_t>(place) * bytes, &v, bytes);
    sum += v;
  }
  return sum;
}

}  // namespace onnxrun
