// Position of a pixel of an enlarged map between two cells of the map, along
// one side, as in torch's bilinear interpolation.
#pragma once

#include <cstdint>

#include "warp_taps.h"  // DFF_HOST_DEVICE

namespace dff {

template <typename Real>
struct SideTaps {
  int64_t first, second;
  Real first_weight, second_weight;
};

// Cells per pixel: pixel i is at (i + 0.5) * step - 0.5, or at i * step if the
// corners are aligned.
template <typename Real>
DFF_HOST_DEVICE Real upsample_step(int64_t cells, int64_t pixels,
                                   bool align_corners) {
  if (!align_corners)
    return static_cast<Real>(cells) / static_cast<Real>(pixels);
  return pixels > 1
             ? static_cast<Real>(cells - 1) / static_cast<Real>(pixels - 1)
             : Real(0);
}

template <typename Real>
DFF_HOST_DEVICE SideTaps<Real> upsample_taps(int64_t pixel, int64_t cells,
                                             Real step, bool align_corners) {
  Real place = align_corners
                   ? step * static_cast<Real>(pixel)
                   : step * (static_cast<Real>(pixel) + Real(0.5)) - Real(0.5);
  if (place < 0) place = 0;
  int64_t first = static_cast<int64_t>(place);
  if (first > cells - 1) first = cells - 1;
  const int64_t second = first + 1 < cells ? first + 1 : first;
  const Real second_weight = place - static_cast<Real>(first);
  return {first, second, Real(1) - second_weight, second_weight};
}

// Whether a value replaces the best one. As in torch's argmax, nan wins, and of
// equal values the first.
template <typename Real>
DFF_HOST_DEVICE bool leads(Real value, Real best) {
  return value > best || (value != value && best == best);
}

}  // namespace dff
