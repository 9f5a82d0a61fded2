// Arguments of the vectorised kernels: plain data of one image. Files compiled
// for different instruction sets include this, so it must not include templates
// that several of them could instantiate.
#pragma once

#include <cstdint>

#include "warp_taps.h"

namespace dff {

// Stored 16-bit floats; the kernels accumulate in float.
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

template <typename T>
struct RealOf {
  using type = float;
};
template <>
struct RealOf<double> {
  using type = double;
};
template <typename T>
using Real = typename RealOf<T>::type;

struct MapShape {
  int64_t channels;
  int64_t pixels;
  bool channels_last;
};

template <typename T>
struct ForwardTask {
  MapShape shape;
  const T* feat;
  const T* scale;  // or null
  T* out;
  const ReadTaps<Real<T>>* taps;  // one per pixel
};

template <typename T>
struct BackwardTask {
  MapShape shape;
  const T* grad;
  const T* feat;
  const T* scale;             // or null
  T* grad_feat;               // or null
  T* grad_scale;              // or null
  const Taps<Real<T>>* taps;  // one per pixel
};

// Kernels of one instruction set. They process `lanes` channels together.
template <typename T>
struct WarpKernels {
  int64_t lanes;
  // Channels [channel, channel + lanes) of a planar (NCHW) map;
  // scratch (pixels, lanes).
  void (*forward_planar)(const ForwardTask<T>&, int64_t channel,
                         Real<T>* scratch);
  // Pixels [begin, end) of a channels-last map.
  void (*forward_last)(const ForwardTask<T>&, int64_t begin, int64_t end);
  // Channels [begin, end) of a planar map, begin a multiple of lanes; scratch
  // (2, pixels, lanes). Adds the gradient of the flow to flow_sums (2, pixels)
  // unless it is null.
  void (*backward_planar)(const BackwardTask<T>&, int64_t begin, int64_t end,
                          Real<T>* scratch, Real<T>* flow_sums);
  // Gradients of scale and flow for pixels [begin, end) of a channels-last map;
  // grad_flow (2, pixels) or null.
  void (*backward_gather)(const BackwardTask<T>&, int64_t begin, int64_t end,
                          Real<T>* grad_flow);
  // Gradient of channels [begin, end) of channels-last features, begin a
  // multiple of lanes; scratch (pixels, end - begin rounded up to lanes).
  void (*backward_scatter)(const BackwardTask<T>&, int64_t begin, int64_t end,
                           Real<T>* scratch);
};

template <typename T>
const WarpKernels<T>& warp_kernels_default();
template <typename T>
const WarpKernels<T>& warp_kernels_avx2();
template <typename T>
const WarpKernels<T>& warp_kernels_avx512();

}  // namespace dff
