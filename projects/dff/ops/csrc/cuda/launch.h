// Launches a kernel whose threads loop over `items` pieces of work with a
// stride, so any grid covers them all.
#pragma once

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

namespace dff {

constexpr int64_t kThreads = 256;
constexpr int64_t kMostBlocks = 1 << 20;

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(int64_t, Parameters...), int64_t items,
            Arguments... arguments) {
  if (items == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(
      std::min((items + kThreads - 1) / kThreads, kMostBlocks)));
  config.blockDim = dim3(static_cast<unsigned>(kThreads));
  config.stream = c10::cuda::getCurrentCUDAStream();
  C10_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, items,
                                    static_cast<Parameters>(arguments)...));
}

__device__ __forceinline__ int64_t first_item() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ int64_t item_step() {
  return static_cast<int64_t>(gridDim.x) * blockDim.x;
}

}  // namespace dff
