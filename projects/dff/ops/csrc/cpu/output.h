// Memory for results.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdint>

namespace dff {

// glibc maps new memory for blocks of this size and reuses smaller blocks.
constexpr size_t kMappedBytes = 32 << 20;

// An empty tensor like `map`. Large results use huge pages if the system has
// them: touching new memory page by page takes longer than the warp itself.
inline at::Tensor empty_output(const at::Tensor& map, at::MemoryFormat format) {
  const at::Tensor out = at::empty_like(map, map.options(), format);
#ifdef MADV_HUGEPAGE
  constexpr uintptr_t kHugePage = 2 << 20;
  const auto begin = reinterpret_cast<uintptr_t>(out.data_ptr());
  const uintptr_t first = (begin + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t last = (begin + out.nbytes()) / kHugePage * kHugePage;
  if (out.nbytes() >= kMappedBytes && first < last) {
    // Only a hint: it has no effect without huge pages.
    madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  }
#endif
  return out;
}

}  // namespace dff
