// The warp with 16-byte vectors, which every x86-64 and aarch64 machine has.
#define DFF_VECTOR_BYTES 16
#define DFF_ISA isa_default

#include "cpu/warp_kernels.h"

DFF_DEFINE_WARP_KERNELS(warp_kernels_default)
