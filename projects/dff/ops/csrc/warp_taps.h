// Taps and weights of the bilinear kernel (paper Eq. 2), shared by CPU and
// CUDA. dff/ops/feature_warp.py defines the coordinates.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define DFF_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define DFF_HOST_DEVICE inline __attribute__((always_inline))
#endif

namespace dff {

constexpr int kTaps = 4;
constexpr int64_t kOutside = -1;

// The four pixels around a point, in the order (y0, x0), (y0, x1), (y1, x0),
// (y1, x1). A tap counts if it is inside the map and its coefficient is not
// zero. Other taps are not read, so an inf there does not spread.
template <typename Real>
struct Taps {
  int64_t offset[kTaps];  // y * width + x, or kOutside
  Real fx, fy;            // position between x0 and x1, y0 and y1, in [0, 1]

  DFF_HOST_DEVICE Real weight_x(int k) const { return k & 1 ? fx : 1 - fx; }
  DFF_HOST_DEVICE Real weight_y(int k) const { return k & 2 ? fy : 1 - fy; }
  // G(q, p + dp) of Eq. 2 and its derivatives by dx and dy (Eq. 4).
  DFF_HOST_DEVICE Real weight(int k) const { return weight_x(k) * weight_y(k); }
  DFF_HOST_DEVICE Real weight_dx(int k) const {
    return k & 1 ? weight_y(k) : -weight_y(k);
  }
  DFF_HOST_DEVICE Real weight_dy(int k) const {
    return k & 2 ? weight_x(k) : -weight_x(k);
  }
};

// The taps of the value (Eq. 1) with their weights. For an unread tap the
// kernels add weight x 0: +0 for the first and -0 for the others, because
// adding -0 leaves every sum unchanged, -0 included.
template <typename Real>
struct ReadTaps {
  int64_t offset[kTaps];  // kOutside if the tap is not read
  Real weight[kTaps];
};

template <typename Real>
DFF_HOST_DEVICE ReadTaps<Real> read_taps(const Taps<Real>& taps) {
  ReadTaps<Real> read;
  for (int k = 0; k < kTaps; ++k) {
    const bool is_read = taps.offset[k] != kOutside && taps.weight(k) != 0;
    read.offset[k] = is_read ? taps.offset[k] : kOutside;
    read.weight[k] = is_read ? taps.weight(k) : Real(k == 0 ? 0.0 : -0.0);
  }
  return read;
}

// Taps of the point (x + dx, y + dy). We add the integer part of the flow to
// the integer position, so zero flow is exact at any map size. A point more
// than one pixel outside, or nan or inf, has no taps.
template <typename Real>
DFF_HOST_DEVICE Taps<Real> taps_at(int64_t x, int64_t y, Real dx, Real dy,
                                   int64_t width, int64_t height) {
  Taps<Real> taps{{kOutside, kOutside, kOutside, kOutside}, 0, 0};
  const Real limit_x = static_cast<Real>(width) + 1;
  const Real limit_y = static_cast<Real>(height) + 1;
  if (!(dx > -limit_x && dx < limit_x && dy > -limit_y && dy < limit_y)) {
    return taps;
  }
  const Real floor_x = std::floor(dx), floor_y = std::floor(dy);
  const int64_t x0 = x + static_cast<int64_t>(floor_x);
  const int64_t y0 = y + static_cast<int64_t>(floor_y);
  taps.fx = dx - floor_x;
  taps.fy = dy - floor_y;
  for (int k = 0; k < kTaps; ++k) {
    const int64_t tap_x = x0 + (k & 1), tap_y = y0 + (k >> 1);
    if (tap_x >= 0 && tap_x < width && tap_y >= 0 && tap_y < height) {
      taps.offset[k] = tap_y * width + tap_x;
    }
  }
  return taps;
}

}  // namespace dff
