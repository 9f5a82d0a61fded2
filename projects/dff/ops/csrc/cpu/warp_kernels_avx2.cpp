// The warp with 32-byte vectors, for machines with AVX2.
#ifdef DFF_WITH_X86_KERNELS
#define DFF_VECTOR_BYTES 32
#define DFF_ISA isa_avx2

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), \
                             apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif

#include "cpu/warp_kernels.h"

DFF_DEFINE_WARP_KERNELS(warp_kernels_avx2)

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif  // DFF_WITH_X86_KERNELS
