// Test only: the operators' own sources, their CUDA kernels as the CPU kernels
// of the library `dff_host_shim`.
#include <Python.h>
#include <torch/library.h>

#undef TORCH_LIBRARY
#undef TORCH_LIBRARY_IMPL
#define DFF_SHIM_LIBRARY(name, m)                                       \
  static void define_shim(torch::Library&);                             \
  static const torch::detail::TorchLibraryInit shim_library(            \
      torch::Library::DEF, &define_shim, #name, std::nullopt, __FILE__, \
      __LINE__);                                                        \
  static void define_shim(torch::Library& m)
#define TORCH_LIBRARY(name, m) DFF_SHIM_LIBRARY(dff_host_shim, m)
#define TORCH_LIBRARY_IMPL(name, key, m) \
  _TORCH_LIBRARY_IMPL(dff_host_shim, DFF_SHIM_KEY_##key, m, C10_UID)
#define DFF_SHIM_KEY_CUDA CPU
#define DFF_SHIM_KEY_AutocastCPU AutocastCPU
#define DFF_SHIM_KEY_AutocastCUDA AutocastCUDA

#include "cuda/feature_warp.cu"
#include "cuda/ps_roi_pool.cu"
#include "cuda/upsample_argmax.cu"
#include "ops.cpp"

namespace {

int64_t set_most_blocks(int64_t blocks) {
  return std::exchange(dff_host_shim::most_blocks, blocks);
}

std::tuple<int64_t, int64_t> last_launch() {
  return {dff_host_shim::blocks_asked, dff_host_shim::blocks_run};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(dff_host_shim, m) {
  m.def("set_most_blocks(int blocks) -> int", &set_most_blocks);
  m.def("last_launch() -> (int, int)", &last_launch);
}
