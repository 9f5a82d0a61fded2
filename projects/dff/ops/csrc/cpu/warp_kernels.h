// The vectorised warp. A group of `lanes` channels is copied to scratch with
// its channels side by side, so that every tap is one contiguous vector
// whatever the flow, and the scatter of the backward pass has no two writers.
// Included once for each instruction set; see vector.h.
#pragma once

#include "cpu/tile.h"

namespace dff {
namespace DFF_ISA {

template <typename T>
alignas(64) static const T kZeros[kLanes<Real<T>>] = {};

// Channels [channel, channel + lanes) of a map as scratch (pixels, lanes).
template <typename T, typename R = Real<T>>
static void pack(const T* map, const MapShape& shape, int64_t channel,
                 R* scratch) {
  constexpr int kCount = kLanes<R>;
  for (int64_t p = 0; p < shape.pixels; p += kCount) {
    Vector<R> rows[kCount];
    load_tile(map, place_tile(shape, channel, p, kCount), rows);
    if (!shape.channels_last) transpose<R>(rows);
    const int pixels = clip_count(shape.pixels, p, kCount);
    for (int i = 0; i < pixels; ++i) store(scratch + (p + i) * kCount, rows[i]);
  }
}

template <typename T, typename R = Real<T>>
static void unpack(const R* scratch, const MapShape& shape, int64_t channel,
                   T* map) {
  constexpr int kCount = kLanes<R>;
  for (int64_t p = 0; p < shape.pixels; p += kCount) {
    Vector<R> rows[kCount] = {};
    const int pixels = clip_count(shape.pixels, p, kCount);
    for (int i = 0; i < pixels; ++i) rows[i] = load(scratch + (p + i) * kCount);
    if (!shape.channels_last) transpose<R>(rows);
    store_tile(map, place_tile(shape, channel, p, kCount), rows);
  }
}

template <typename T, typename R = Real<T>>
DFF_INLINE void multiply_tile(const T* map, const TilePlace& place,
                              Vector<R> (&rows)[kLanes<R>]) {
  Vector<R> factor[kLanes<R>];
  load_tile(map, place, factor);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<R>; ++i) rows[i] *= factor[i];
}

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
        const Vector<R> value =
            count == kCount ? load(row) : load_some(row, count);
        sum = k == 0 ? taps.weight[k] * value : sum + taps.weight[k] * value;
      }
      if (count == kCount) {
        if (task.scale) sum *= load(task.scale + place);
        store(task.out + place, sum);
      } else {
        if (task.scale) sum *= load_some(task.scale + place, count);
        store_some(task.out + place, sum, count);
      }
    }
  }
}

// Value and derivatives (Eq. 1, 4) of one pixel of a packed group.
template <typename R>
struct PixelTile {
  Vector<R> value[kLanes<R>] = {};
  Vector<R> dx[kLanes<R>] = {};
  Vector<R> dy[kLanes<R>] = {};
};

template <typename R>
DFF_INLINE void sample_all(const R* scratch, const Taps<R>& taps, int i,
                           PixelTile<R>& tile) {
  Vector<R> value{}, dx{}, dy{};
#pragma GCC unroll 4
  for (int k = 0; k < kTaps; ++k) {
    if (taps.offset[k] < 0) continue;
    const Vector<R> row = load(scratch + taps.offset[k] * kLanes<R>);
    if (taps.weight(k) != 0) value += taps.weight(k) * row;
    if (taps.weight_dx(k) != 0) dx += taps.weight_dx(k) * row;
    if (taps.weight_dy(k) != 0) dy += taps.weight_dy(k) * row;
  }
  tile.value[i] = value;
  tile.dx[i] = dx;
  tile.dy[i] = dy;
}

// Adds weight x grad to the taps of one pixel in scratch (pixels, lanes).
template <typename R>
DFF_INLINE void scatter(R* scratch, const Taps<R>& taps, Vector<R> grad) {
#pragma GCC unroll 4
  for (int k = 0; k < kTaps; ++k) {
    if (taps.offset[k] < 0 || taps.weight(k) == 0) continue;
    R* row = scratch + taps.offset[k] * kLanes<R>;
    store(row, load(row) + taps.weight(k) * grad);
  }
}

// Adds the sum over the channels of slope x grad to `count` entries of sums.
template <typename R>
DFF_INLINE void reduce(Vector<R> (&slope)[kLanes<R>],
                       const Vector<R> (&grad)[kLanes<R>], R* sums, int count) {
  for (int i = 0; i < kLanes<R>; ++i) slope[i] *= grad[i];
  transpose<R>(slope);
  Vector<R> total = load_some(sums, count);
  for (int i = 0; i < kLanes<R>; ++i) total += slope[i];
  store_some(sums, total, count);
}

template <typename T>
static void backward_tile(const BackwardTask<T>& task, int64_t channel,
                          int64_t p, Real<T>* scratch, Real<T>* flow_sums) {
  using R = Real<T>;
  constexpr int kCount = kLanes<R>;
  const MapShape& shape = task.shape;
  const TilePlace place = place_tile(shape, channel, p, kCount);
  const int pixels = clip_count(shape.pixels, p, kCount);
  const bool is_sampled = task.grad_scale || flow_sums;
  R* grad_scratch = scratch + shape.pixels * kCount;
  Vector<R> grad[kCount];  // of the warped features, a vector a pixel
  load_tile(task.grad, place, grad);
  if (task.scale) multiply_tile(task.scale, place, grad);
  if (!shape.channels_last) transpose<R>(grad);
  PixelTile<R> tile;
  for (int i = 0; i < pixels; ++i) {
    const Taps<R>& taps = task.taps[p + i];
    if (is_sampled) sample_all<R>(scratch, taps, i, tile);
    if (task.grad_feat) scatter<R>(grad_scratch, taps, grad[i]);
  }
  if (task.grad_scale) {
    if (!shape.channels_last) transpose<R>(tile.value);
    multiply_tile(task.grad, place, tile.value);
    store_tile(task.grad_scale, place, tile.value);
  }
  if (flow_sums) {
    reduce<R>(tile.dx, grad, flow_sums + p, pixels);
    reduce<R>(tile.dy, grad, flow_sums + shape.pixels + p, pixels);
  }
}

template <typename T>
static void backward(const BackwardTask<T>& task, int64_t channel,
                     Real<T>* scratch, Real<T>* flow_sums) {
  using R = Real<T>;
  const MapShape& shape = task.shape;
  R* grad_scratch = scratch + shape.pixels * kLanes<R>;
  if (task.grad_scale || flow_sums) pack(task.feat, shape, channel, scratch);
  if (task.grad_feat) {
    std::memset(grad_scratch, 0, shape.pixels * kLanes<R> * sizeof(R));
  }
  for (int64_t p = 0; p < shape.pixels; p += kLanes<R>) {
    backward_tile(task, channel, p, scratch, flow_sums);
  }
  if (task.grad_feat) unpack(grad_scratch, shape, channel, task.grad_feat);
}

template <typename T>
const WarpKernels<T>& get_warp_kernels() {
  static const WarpKernels<T> kernels{kLanes<Real<T>>, forward_planar<T>,
                                      forward_last<T>, backward<T>};
  return kernels;
}

}  // namespace DFF_ISA
}  // namespace dff

#define DFF_DEFINE_WARP_KERNELS(NAME)                     \
  namespace dff {                                         \
  template <typename T>                                   \
  const WarpKernels<T>& NAME() {                          \
    return DFF_ISA::get_warp_kernels<T>();                \
  }                                                       \
  template const WarpKernels<float>& NAME<float>();       \
  template const WarpKernels<double>& NAME<double>();     \
  template const WarpKernels<Half>& NAME<Half>();         \
  template const WarpKernels<BFloat16>& NAME<BFloat16>(); \
  }
