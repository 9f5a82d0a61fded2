// The gradients of the warp (paper Eq. 4). Where gradients are scattered, each
// thread has its own channels, so no two threads write to one place.
// Each instruction set includes this once; see vector.h.
#pragma once

#include "cpu/tile.h"

namespace dff {
namespace DFF_ISA {

// Value and derivatives (Eq. 1, 4) of one pixel in one group of channels.
template <typename R>
struct Sample {
  Vector<R> value{}, dx{}, dy{};
};

template <typename S, typename R = Real<S>>
DFF_INLINE Sample<R> sample_all(const S* rows, int64_t stride,
                                const Taps<R>& taps, int count) {
  Sample<R> sum;
#pragma GCC unroll 4
  for (int k = 0; k < kTaps; ++k) {
    if (taps.offset[k] < 0) continue;
    const Vector<R> row = load_upto(rows + taps.offset[k] * stride, count);
    if (taps.weight(k) != 0) sum.value += taps.weight(k) * row;
    if (taps.weight_dx(k) != 0) sum.dx += taps.weight_dx(k) * row;
    if (taps.weight_dy(k) != 0) sum.dy += taps.weight_dy(k) * row;
  }
  return sum;
}

// Adds weight x grad to the taps of one pixel.
template <typename R>
DFF_INLINE void scatter(R* sums, int64_t stride, const Taps<R>& taps,
                        Vector<R> grad) {
#pragma GCC unroll 4
  for (int k = 0; k < kTaps; ++k) {
    if (taps.offset[k] < 0 || taps.weight(k) == 0) continue;
    R* row = sums + taps.offset[k] * stride;
    store(row, load(row) + taps.weight(k) * grad);
  }
}

// Adds the sums over the lanes of each row to `count` entries of sums.
template <typename R>
DFF_INLINE void add_row_sums(Vector<R> (&rows)[kLanes<R>], R* sums, int count) {
  transpose<R>(rows);
  Vector<R> total = load_some(sums, count);
  for (int i = 0; i < kLanes<R>; ++i) total += rows[i];
  store_some(sums, total, count);
}

// One tile of a packed group of channels; sums and flow_sums may be null.
template <typename T>
static void backward_planar_tile(const BackwardTask<T>& task, int64_t channel,
                                 int64_t p, const Real<T>* packed,
                                 Real<T>* sums, Real<T>* flow_sums) {
  using R = Real<T>;
  constexpr int kCount = kLanes<R>;
  const MapShape& shape = task.shape;
  const TilePlace place = place_tile(shape, channel, p, kCount);
  const int pixels = clip_count(shape.pixels, p, kCount);
  Vector<R> grad[kCount], value[kCount] = {}, dx[kCount] = {}, dy[kCount] = {};
  load_tile(task.grad, place, grad);
  if (task.scale) multiply_tile(task.scale, place, grad);
  transpose<R>(grad);
  for (int i = 0; i < pixels; ++i) {
    const Taps<R>& taps = task.taps[p + i];
    if (task.grad_scale || flow_sums) {
      const Sample<R> sample = sample_all(packed, kCount, taps, kCount);
      value[i] = sample.value;
      dx[i] = sample.dx * grad[i];
      dy[i] = sample.dy * grad[i];
    }
    if (sums) scatter<R>(sums, kCount, taps, grad[i]);
  }
  if (task.grad_scale) {
    transpose<R>(value);
    multiply_tile(task.grad, place, value);
    store_tile(task.grad_scale, place, value);
  }
  if (flow_sums) {
    add_row_sums<R>(dx, flow_sums + p, pixels);
    add_row_sums<R>(dy, flow_sums + shape.pixels + p, pixels);
  }
}

template <typename T>
static void backward_planar(const BackwardTask<T>& task, int64_t begin,
                            int64_t end, Real<T>* scratch, Real<T>* flow_sums) {
  using R = Real<T>;
  constexpr int kCount = kLanes<R>;
  const MapShape& shape = task.shape;
  R* sums = task.grad_feat ? scratch : nullptr;
  R* packed = scratch + shape.pixels * kCount;
  for (int64_t c = begin; c < end; c += kCount) {
    if (task.grad_scale || flow_sums) pack(task.feat, shape, c, packed);
    if (sums) std::memset(sums, 0, shape.pixels * kCount * sizeof(R));
    for (int64_t p = 0; p < shape.pixels; p += kCount) {
      backward_planar_tile(task, c, p, packed, sums, flow_sums);
    }
    if (sums) unpack(sums, shape, c, task.grad_feat);
  }
}

// Gradients of scale and flow for pixels [begin, end) of a channels-last map.
template <typename T>
static void backward_gather(const BackwardTask<T>& task, int64_t begin,
                            int64_t end, Real<T>* grad_flow) {
  using R = Real<T>;
  const int64_t channels = task.shape.channels;
  for (int64_t p = begin; p < end; ++p) {
    const Taps<R> taps = task.taps[p];
    Vector<R> dx{}, dy{};
    for (int64_t c = 0; c < channels; c += kLanes<R>) {
      const int count = clip_count(channels, c, kLanes<R>);
      const int64_t place = p * channels + c;
      const Vector<R> grad = load_upto(task.grad + place, count);
      const Sample<R> sample = sample_all(task.feat + c, channels, taps, count);
      if (task.grad_scale) {
        store_upto(task.grad_scale + place, grad * sample.value, count);
      }
      const Vector<R> scaled =
          task.scale ? grad * load_upto(task.scale + place, count) : grad;
      dx += sample.dx * scaled;
      dy += sample.dy * scaled;
    }
    if (!grad_flow) continue;
    R sum_x = 0, sum_y = 0;
    for (int i = 0; i < kLanes<R>; ++i) {
      sum_x += dx[i];
      sum_y += dy[i];
    }
    grad_flow[p] = sum_x;
    grad_flow[task.shape.pixels + p] = sum_y;
  }
}

// Gradient of channels [begin, end) of channels-last features. The sums have
// their own memory: pixels are often a power of two apart, so adding in place
// would use few lines of the cache.
template <typename T>
static void backward_scatter(const BackwardTask<T>& task, int64_t begin,
                             int64_t end, Real<T>* sums) {
  using R = Real<T>;
  constexpr int kCount = kLanes<R>;
  const int64_t pixels = task.shape.pixels, channels = task.shape.channels;
  const int64_t width = (end - begin + kCount - 1) / kCount * kCount;
  std::memset(sums, 0, pixels * width * sizeof(R));
  for (int64_t p = 0; p < pixels; ++p) {
    const Taps<R> taps = task.taps[p];
    for (int64_t c = begin; c < end; c += kCount) {
      const int count = clip_count(end, c, kCount);
      const int64_t place = p * channels + c;
      Vector<R> grad = load_upto(task.grad + place, count);
      if (task.scale) grad *= load_upto(task.scale + place, count);
      scatter<R>(sums + c - begin, width, taps, grad);
    }
  }
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = begin; c < end; c += kCount) {
      store_upto(task.grad_feat + p * channels + c,
                 load(sums + p * width + c - begin),
                 clip_count(end, c, kCount));
    }
  }
}

}  // namespace DFF_ISA
}  // namespace dff
