// The readable definition of every mode's arithmetic, one value after the other.
//
// The SIMD kernels must give the same bits. They hand the groups that leave the tame range (NaN, infinity, overflow on
// the way) to these functions, so that only this code need know what happens then.
//
// Formulas: affine_quantize, affine_dequantize, fp_quantize and fp_dequantize of MLX: its Metal kernels, and what its
// CPU backend does. Operations round to the dtype that MLX computes in; none is contracted.
#pragma once

#include "quantize/kernels.h"

namespace pippin {

void reference_quantize(const QuantizeJob& job);
void reference_dequantize(const DequantizeJob& job);

// For one family of modes each; reference_quantize() and reference_dequantize() choose.
void reference_quantize_affine(const QuantizeJob& job);
void reference_quantize_floating(const QuantizeJob& job);
void reference_dequantize_affine(const DequantizeJob& job);
void reference_dequantize_floating(const DequantizeJob& job);

}  // namespace pippin
