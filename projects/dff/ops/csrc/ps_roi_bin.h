// Bins of position-sensitive RoI pooling with R-FCN's rounding, shared by CPU
// and CUDA. A bin covers the pixels [x0, x1) x [y0, y1) of the map.
#pragma once

#include <cmath>
#include <cstdint>

#include "warp_taps.h"

namespace dff {

// Smallest extent of a RoI in pixels of the map, from the released code.
constexpr double kSmallestExtent = 0.1;

struct Bin {
  int64_t x0, x1, y0, y1;

  DFF_HOST_DEVICE int64_t area() const {
    return x1 > x0 && y1 > y0 ? (x1 - x0) * (y1 - y0) : 0;
  }
};

// a * b + c with two roundings: a fused operation would move borders that lie
// exactly on a pixel.
DFF_HOST_DEVICE float multiply_add(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fadd_rn(__fmul_rn(a, b), c);
#else
  return a * b + c;
#endif
}

DFF_HOST_DEVICE double multiply_add(double a, double b, double c) {
#if defined(__CUDA_ARCH__)
  return __dadd_rn(__dmul_rn(a, b), c);
#else
  return a * b + c;
#endif
}

// A border as a pixel in [0, size]; nan is 0.
template <typename Real>
DFF_HOST_DEVICE int64_t clip_border(Real border, int64_t size) {
  if (!(border > 0)) return 0;
  return border < static_cast<Real>(size) ? static_cast<int64_t>(border) : size;
}

// Borders of bin `index` along one axis: [first, last] in image pixels, rounded
// half away from zero, `last` included.
template <typename Real>
DFF_HOST_DEVICE void bin_borders(Real first, Real last, Real scale, int index,
                                 int bins, int64_t size, int64_t* begin,
                                 int64_t* end) {
  const Real start = std::round(first) * scale;
  const Real stop = (std::round(last) + 1) * scale;
  const Real smallest = static_cast<Real>(kSmallestExtent);
  const Real extent = stop - start > smallest ? stop - start : smallest;
  const Real step = extent / bins;
  *begin = clip_border(
      std::floor(multiply_add(static_cast<Real>(index), step, start)), size);
  *end = clip_border(
      std::ceil(multiply_add(static_cast<Real>(index + 1), step, start)), size);
}

// Bin (row, column) of roi = (batch index, x1, y1, x2, y2).
template <typename Real>
DFF_HOST_DEVICE Bin bin_at(const Real* roi, Real scale, int row, int column,
                           int bins, int64_t width, int64_t height) {
  Bin bin;
  bin_borders(roi[1], roi[3], scale, column, bins, width, &bin.x0, &bin.x1);
  bin_borders(roi[2], roi[4], scale, row, bins, height, &bin.y0, &bin.y1);
  return bin;
}

}  // namespace dff
