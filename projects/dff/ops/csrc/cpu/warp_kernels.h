// The table of kernels of one instruction set. Each instruction set includes
// this once; see vector.h.
#pragma once

#include "cpu/warp_backward.h"
#include "cpu/warp_forward.h"

namespace dff {
namespace DFF_ISA {

template <typename T>
const WarpKernels<T>& get_warp_kernels() {
  static const WarpKernels<T> kernels{kLanes<Real<T>>,    forward_planar<T>,
                                      forward_last<T>,    backward_planar<T>,
                                      backward_gather<T>, backward_scatter<T>};
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
