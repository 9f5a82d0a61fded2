// Square tiles (lanes channels x lanes pixels) of a planar (NCHW) map. A tile
// is loaded as rows of pixels. Transposed in registers, its rows are channels.
#pragma once

#include <utility>

#include "cpu/vector.h"

namespace dff {
namespace DFF_ISA {

#if defined(__clang__)
#define DFF_SHUFFLE(R, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define DFF_SHUFFLE(R, a, b, ...) \
  __builtin_shuffle(a, b, typename VectorOf<R>::Index{__VA_ARGS__})
#endif

// Swaps the off-diagonal blocks of size `kSize` of rows a and b = a + kSize.
template <typename R, int kSize, int... kLane>
DFF_INLINE void swap_blocks(Vector<R>& a, Vector<R>& b,
                            std::integer_sequence<int, kLane...>) {
  constexpr int kCount = sizeof...(kLane);
  const Vector<R> low =
      DFF_SHUFFLE(R, a, b, (kLane & kSize ? kCount + kLane - kSize : kLane)...);
  const Vector<R> high =
      DFF_SHUFFLE(R, a, b, (kLane & kSize ? kCount + kLane : kLane + kSize)...);
  a = low;
  b = high;
}

template <typename R, int kSize = 1>
DFF_INLINE void transpose(Vector<R> (&rows)[kLanes<R>]) {
  if constexpr (kSize < kLanes<R>) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<R>; ++i) {
      if (!(i & kSize)) {
        swap_blocks<R, kSize>(rows[i], rows[i + kSize],
                              std::make_integer_sequence<int, kLanes<R>>{});
      }
    }
    transpose<R, 2 * kSize>(rows);
  }
}

// Position of a tile, and how much of it is inside the map.
struct TilePlace {
  int64_t base, stride;
  int channels, pixels;
};

DFF_INLINE int clip_count(int64_t size, int64_t begin, int lanes) {
  return static_cast<int>(size - begin < lanes ? size - begin : lanes);
}

DFF_INLINE TilePlace place_tile(const MapShape& shape, int64_t channel,
                                int64_t pixel, int lanes) {
  return {channel * shape.pixels + pixel, shape.pixels,
          clip_count(shape.channels, channel, lanes),
          clip_count(shape.pixels, pixel, lanes)};
}

template <typename T, typename R = Real<T>>
DFF_INLINE void load_tile(const T* map, const TilePlace& place,
                          Vector<R> (&rows)[kLanes<R>]) {
  map += place.base;
  if (place.channels == kLanes<R> && place.pixels == kLanes<R>) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<R>; ++i) rows[i] = load(map + i * place.stride);
    return;
  }
  for (int i = 0; i < kLanes<R>; ++i) {
    rows[i] = i < place.channels
                  ? load_some(map + i * place.stride, place.pixels)
                  : Vector<R>{};
  }
}

template <typename T, typename R = Real<T>>
DFF_INLINE void store_tile(T* map, const TilePlace& place,
                           const Vector<R> (&rows)[kLanes<R>]) {
  map += place.base;
  if (place.channels == kLanes<R> && place.pixels == kLanes<R>) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<R>; ++i) store(map + i * place.stride, rows[i]);
    return;
  }
  for (int i = 0; i < place.channels; ++i) {
    store_some(map + i * place.stride, rows[i], place.pixels);
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

// Copies channels [channel, channel + lanes) of a map to scratch (pixels,
// lanes).
template <typename T, typename R = Real<T>>
static void pack(const T* map, const MapShape& shape, int64_t channel,
                 R* scratch) {
  constexpr int kCount = kLanes<R>;
  for (int64_t p = 0; p < shape.pixels; p += kCount) {
    Vector<R> rows[kCount];
    load_tile(map, place_tile(shape, channel, p, kCount), rows);
    transpose<R>(rows);
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
    transpose<R>(rows);
    store_tile(map, place_tile(shape, channel, p, kCount), rows);
  }
}

}  // namespace DFF_ISA
}  // namespace dff
