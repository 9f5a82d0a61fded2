// Test only: the part of CUDA's runtime that the kernels use, for a host
// compiler. A launch runs its grid and block as two loops, one thread after the
// other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3() = default;
  explicit dim3(unsigned size) : x(size) {}
};

using cudaStream_t = void*;
using cudaError_t = int;

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};

inline dim3 gridDim, blockDim, blockIdx, threadIdx;

namespace dff_host_shim {

// The limits of every device since compute capability 3.0.
constexpr unsigned kMostThreads = 1024;
constexpr unsigned kMostBlocks = (1u << 31) - 1;
// A smaller grid than asked for, to show that the kernels stride over their
// work.
inline int64_t most_blocks = kMostBlocks;
inline int64_t blocks_run = 0;
inline int64_t blocks_asked = 0;

}  // namespace dff_host_shim

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config,
                               void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  namespace shim = dff_host_shim;
  const dim3 grid = config->gridDim, block = config->blockDim;
  if (grid.x == 0 || grid.x > shim::kMostBlocks || grid.y != 1 || grid.z != 1 ||
      block.x == 0 || block.x > shim::kMostThreads || block.y != 1 ||
      block.z != 1) {
    throw std::runtime_error("invalid configuration of a launch");
  }
  gridDim =
      dim3(static_cast<unsigned>(std::min<int64_t>(grid.x, shim::most_blocks)));
  blockDim = block;
  shim::blocks_asked = grid.x;
  shim::blocks_run = gridDim.x;
  for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) {
    for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x) {
      kernel(static_cast<Parameters>(arguments)...);
    }
  }
  return 0;
}

template <typename Real>
Real atomicAdd(Real* sum, Real value) {
  const Real old = *sum;
  *sum += value;
  return old;
}
