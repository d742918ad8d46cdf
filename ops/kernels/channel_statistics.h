// Sums over the images of a channel.
#pragma once

#include <optional>

#include "base/shape.h"
#include "graph/op.h"
#include "kernels/moments.h"
#include "kernels/normalize.h"

namespace onnxrun {

// X as [images, channels, inside], and what batch normalisation sums of a channel of it.
struct ChannelState final : KernelState {
  int64_t images = 0, channels = 0, inside = 0;

  explicit ChannelState(const Dims& x)
      : images(x[0]),
        channels(x.size() > 1 ? x[1] : 1),
        inside(x.size() > 2 ? element_count(Dims(x.begin() + 2, x.end())) : 1) {}

  int64_t size() const { return element_count(Dims{images, inside}); }
  double count() const { return static_cast<double>(size()); }
  int64_t at(int64_t image, int64_t channel) const { return (image * channels + channel) * inside; }

  // Calls f(index, count) for every stretch of a channel.
  template <typename F>
  void for_each(int64_t channel, const F& f) const {
    for (int64_t n = 0; n < images; ++n) f(at(n, channel), inside);
  }

  template <typename C>
  double sum_of_elements(const C* x, int64_t channel) const {
    if (inside > 1) return sum_of(x + at(0, channel), stretches());
    return lane_sum<C>(images, [&](int64_t n) { return x[at(n, channel)]; });
  }

  template <typename C>
  Moments moments(const C* x, int64_t channel) const {
    Moments m;
    m.mean = sum_of_elements(x, channel) / count();
    const C centre = static_cast<C>(m.mean);
    m.variance = squares(x, channel, centre) / count();
    return m;
  }

  // What a gradient needs of a channel: x's moments, and the sums of dy and of dy (x - mean).
  struct Flow {
    Moments moments;
    double dy = 0, dy_x = 0;
  };
  template <typename C>
  Flow flow(const C* dy, const C* x, int64_t channel, const std::optional<Moments>& given) const {
    if (inside == 1) return flow_of_elements(dy, x, channel, given);
    const C *dy_row = dy + at(0, channel), *x_row = x + at(0, channel);
    Flow f;
    if (given) {
      f = {*given, sum_of(dy_row, stretches())};
    } else {
      const TwoSums sums = sums_of(dy_row, x_row, stretches());
      f.dy = sums.first;
      f.moments.mean = sums.second / count();
    }
    const C centre = static_cast<C>(f.moments.mean);
    const TwoSums centred = centred_sums(dy_row, x_row, stretches(), centre);
    f.dy_x = centred.first;
    if (!given) f.moments.variance = centred.second / count();
    return f;
  }

 private:
  Stretches stretches() const { return {images, channels * inside, inside}; }

  template <typename C>
  double squares(const C* x, int64_t channel, C centre) const {
    if (inside > 1) return sum_of_squares(x + at(0, channel), stretches(), centre);
    return lane_sum<C>(images, [&](int64_t n) {
      const C distance = x[at(n, channel)] - centre;
      return distance * distance;
    });
  }

  template <typename C>
  Flow flow_of_elements(const C* dy, const C* x, int64_t channel,
                        const std::optional<Moments>& given) const {
    Flow f{given ? *given : moments(x, channel), sum_of_elements(dy, channel)};
    const C centre = static_cast<C>(f.moments.mean);
    f.dy_x = lane_sum<C>(images, [&](int64_t n) {
      const int64_t i = at(n, channel);
      return dy[i] * (x[i] - centre);
    });
    return f;
  }
};

}  // namespace onnxrun
