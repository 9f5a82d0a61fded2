// The vectorised warp. From a planar map we copy `lanes` channels to scratch
// (pixels, lanes), so every tap is one contiguous vector for any flow. In a
// channels-last map every tap is contiguous already.
// Each instruction set includes this once; see vector.h.
#pragma once

#include "cpu/tile.h"

namespace dff {
namespace DFF_ISA {

template <typename T>
alignas(64) static const T kZeros[kLanes<Real<T>>] = {};

// Eq. 1 for one pixel of a packed group; an unread tap reads a row of zeros.
template <typename R>
DFF_INLINE Vector<R> sample(const R* scratch, const ReadTaps<R>& taps) {
  Vector<R> sum;
#pragma GCC unroll 4
  for (int k = 0; k < kTaps; ++k) {
    const int64_t offset = taps.offset[k];
    const R* row = offset < 0 ? kZeros<R> : scratch + offset * kLanes<R>;
    sum =
        k == 0 ? taps.weight[k] * load(row) : sum + taps.weight[k] * load(row);
  }
  return sum;
}

template <typename T>
static void forward_planar(const ForwardTask<T>& task, int64_t channel,
                           Real<T>* scratch) {
  using R = Real<T>;
  constexpr int kCount = kLanes<R>;
  const MapShape& shape = task.shape;
  pack(task.feat, shape, channel, scratch);
  for (int64_t p = 0; p < shape.pixels; p += kCount) {
    Vector<R> rows[kCount] = {};
    const int pixels = clip_count(shape.pixels, p, kCount);
    for (int i = 0; i < pixels; ++i) {
      rows[i] = sample<R>(scratch, task.taps[p + i]);
    }
    transpose<R>(rows);
    const TilePlace place = place_tile(shape, channel, p, kCount);
    if (task.scale) multiply_tile(task.scale, place, rows);
    store_tile(task.out, place, rows);
  }
}

template <typename T>
static void forward_last(const ForwardTask<T>& task, int64_t begin,
                         int64_t end) {
  using R = Real<T>;
  constexpr int kCount = kLanes<R>;
  const int64_t channels = task.shape.channels;
  for (int64_t p = begin; p < end; ++p) {
    const ReadTaps<R>& taps = task.taps[p];
    for (int64_t c = 0; c < channels; c += kCount) {
      const int count = clip_count(channels, c, kCount);
      const int64_t place = p * channels + c;
      Vector<R> sum{};
#pragma GCC unroll 4
      for (int k = 0; k < kTaps; ++k) {
        const int64_t offset = taps.offset[k];
        const T* row =
            offset < 0 ? kZeros<T> : task.feat + offset * channels + c;
        const Vector<R> value = load_upto(row, count);
        sum = k == 0 ? taps.weight[k] * value : sum + taps.weight[k] * value;
      }
      if (task.scale) sum *= load_upto(task.scale + place, count);
      store_upto(task.out + place, sum, count);
    }
  }
}

}  // namespace DFF_ISA
}  // namespace dff
