// Quantizes and dequantizes rows of a matrix with the bits that MLX gives.
//
// Threads: all functions are pure and may run on any number of threads. No allocation of more than a few KB.
// ISA: Google Highway picks the instruction set at run time; every one gives the scalar path's bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize/mode.h"

namespace pippin {

// Sizes of one packed row. columns must be a multiple of the group size.
struct PackedRow {
  int64_t words;   // U32 words: columns * bits / 32
  int64_t groups;  // scales (and biases) a row
};
PackedRow packed_row(const QuantFormat& format, int64_t columns);

// Quantizes `rows` x `columns` contiguous values of `dtype` (F32, F16 or BF16).
//   packed  rows * words U32, MLX's layout (a little-endian bit stream along the row)
//   scales  rows * groups of `dtype` (affine) or of U8
//   biases  rows * groups of `dtype` (affine), else not touched and may be null
// Follows mx.quantize: affine_quantize / fp_quantize of the Metal kernels, or the CPU backend's, by `rounding`.
void quantize_rows(const QuantFormat& format, Rounding rounding, DType dtype, const void* values, int64_t rows,
                   int64_t columns, uint32_t* packed, void* scales, void* biases);

// The inverse, as mx.dequantize: writes rows * columns values of `out_dtype`.
// Affine scales and biases have `scale_dtype` (F32, F16, BF16), and out_dtype must equal it; other modes have U8
// scales.
void dequantize_rows(const QuantFormat& format, DType scale_dtype, const uint32_t* packed, const void* scales,
                     const void* biases, int64_t rows, int64_t columns, void* out, DType out_dtype);

// The instruction set the kernels use here: "AVX3" (AVX-512), "AVX2", "NEON" or "SCALAR". PIPPIN_ISA forces one by name
// where this machine has it; see tensor/isa.h.
const char* kernel_isa();

}  // namespace pippin
