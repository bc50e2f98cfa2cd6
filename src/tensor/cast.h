// Casts between dtypes as MLX's astype does them, and a scan for NaN and infinity.
//
// Threads: pure functions.
#pragma once

#include <cstdint>

#include "pippin/dtype.h"

namespace pippin {

// Casts `count` elements; float to narrower float rounds to nearest, ties to even, overflow to infinity.
// Integers and BOOL convert as C does. F8_E4M3 and F8_E5M2 sources decode to their values. in and out do not overlap.
void cast(DType from, const void* in, DType to, void* out, int64_t count);

// How many of `count` F16, BF16, F32 or F64 values are NaN or infinite; 0 for other dtypes.
int64_t count_nonfinite(DType dtype, const void* values, int64_t count);

// One value of a BF16, F16 or FP8 bit pattern, and back (nearest, ties to even).
float bf16_to_float(uint16_t bits);
uint16_t float_to_bf16(float value);
float f16_to_float(uint16_t bits);
uint16_t float_to_f16(float value);
float e4m3_to_float(uint8_t bits);
uint8_t float_to_e4m3(float value);  // as MLX: saturates at 448, NaN keeps its sign bit
float e5m2_to_float(uint8_t bits);
float e8m0_to_float(uint8_t bits);

}  // namespace pippin
