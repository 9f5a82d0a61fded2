// The warp with 64-byte vectors, for machines with AVX-512.
#ifdef DFF_WITH_X86_KERNELS
#define DFF_VECTOR_BYTES 64
#define DFF_ISA isa_avx512

#if defined(__clang__)
#pragma clang attribute push(                                         \
    __attribute__((                                                   \
        target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#endif

#include "cpu/warp_kernels.h"

DFF_DEFINE_WARP_KERNELS(warp_kernels_avx512)

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif  // DFF_WITH_X86_KERNELS
