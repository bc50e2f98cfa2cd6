// Casts between dtypes as MLX's astype does them, and a scan for NaN and infinity.
//
// Threads: pure functions. ISA: as tensor/isa.h says; every one gives the bits of cast_reference.cpp.
#pragma once

#include <cstdint>

#include "pippin/dtype.h"
#include "tensor/small_float.h"

namespace pippin {

// Casts `count` elements; float to narrower float rounds to nearest, ties to even, overflow to infinity.
// Integers and BOOL convert as C does; what fits no integer gets x86's result instead of undefined behaviour. F8_E4M3,
// F8_E5M2 and F8_E8M0 sources decode to their values. No dtype but themselves casts to F8_E5M2 or F8_E8M0: zeros are
// written. in and out need no alignment and do not overlap.
void cast(DType from, const void* in, DType to, void* out, int64_t count);

// How many of `count` F16, BF16, F32 or F64 values are NaN or infinite; 0 for other dtypes.
int64_t count_nonfinite(DType dtype, const void* values, int64_t count);

}  // namespace pippin
