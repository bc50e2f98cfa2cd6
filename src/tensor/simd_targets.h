// Which instruction sets Highway compiles kernels for. To be included before any of Highway's headers.
//
// Left out: sets below AVX2, which lack fused multiply-add and half floats, and AVX3_DL and SVE, which bring these
// kernels nothing. Machines without a set run the reference.
#pragma once

#define HWY_DISABLED_TARGETS (HWY_SSE4 | HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
