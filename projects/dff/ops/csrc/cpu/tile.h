// Square tiles of lanes pixels x lanes channels, and their transposition.
// A planar map has its pixels side by side in memory, a channels-last map its
// channels; a transposed tile turns one into the other in registers.
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

// Where a tile lies in a map: `outer` runs of `inner` neighbours in memory.
struct TilePlace {
  int64_t base, stride;
  int outer, inner;
};

DFF_INLINE int clip_count(int64_t size, int64_t begin, int lanes) {
  return static_cast<int>(size - begin < lanes ? size - begin : lanes);
}

DFF_INLINE TilePlace place_tile(const MapShape& shape, int64_t channel,
                                int64_t pixel, int lanes) {
  const int channels = clip_count(shape.channels, channel, lanes);
  const int pixels = clip_count(shape.pixels, pixel, lanes);
  if (shape.channels_last) {
    return {pixel * shape.channels + channel, shape.channels, pixels, channels};
  }
  return {channel * shape.pixels + pixel, shape.pixels, channels, pixels};
}

template <typename T, typename R = Real<T>>
DFF_INLINE void load_tile(const T* map, const TilePlace& place,
                          Vector<R> (&rows)[kLanes<R>]) {
  map += place.base;
  if (place.outer == kLanes<R> && place.inner == kLanes<R>) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<R>; ++i) rows[i] = load(map + i * place.stride);
    return;
  }
  for (int i = 0; i < kLanes<R>; ++i) {
    rows[i] = i < place.outer ? load_some(map + i * place.stride, place.inner)
                              : Vector<R>{};
  }
}

template <typename T, typename R = Real<T>>
DFF_INLINE void store_tile(T* map, const TilePlace& place,
                           const Vector<R> (&rows)[kLanes<R>]) {
  map += place.base;
  if (place.outer == kLanes<R> && place.inner == kLanes<R>) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<R>; ++i) store(map + i * place.stride, rows[i]);
    return;
  }
  for (int i = 0; i < place.outer; ++i) {
    store_some(map + i * place.stride, rows[i], place.inner);
  }
}

}  // namespace DFF_ISA
}  // namespace dff
