// The readable definition of cast() and count_nonfinite(): one element after the other, no vector instructions.
// The SIMD kernels are held to it, and it serves every pair of dtypes that they do not know.
#pragma once

#include <cstdint>

#include "pippin/dtype.h"

namespace pippin {

void reference_cast(DType from, const void* in, DType to, void* out, int64_t count);
int64_t reference_count_nonfinite(DType dtype, const void* values, int64_t count);

}  // namespace pippin
