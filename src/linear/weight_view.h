// A weight as it lies in memory: dense values, or MLX's packed form.
#pragma once

#include <cstdint>
#include <optional>

#include "pippin/dtype.h"
#include "pippin/error.h"
#include "quantize/mode.h"

namespace pippin {

// One matrix of rows x columns, or several of the same shape one after the other (experts, heads). Everything is
// contiguous; nothing need be aligned. The view owns nothing.
//
// A quantized value is code * scale + bias (affine) or value(code) * scale, with no rounding on the way; MLX rounds
// dequantized weights to the model's dtype in some of its kernels and not in others.
struct WeightView {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t matrices = 1;
  std::optional<QuantFormat> format;   // none: dense
  DType dtype = DType::BF16;           // of dense values, or of affine scales and biases: F32, F16 or BF16
  const void* values = nullptr;        // dense values, or packed U32 words: rows * columns * bits / 32 a matrix
  const void* scales = nullptr;        // one a group: of `dtype` (affine) or U8 (E8M0; E4M3 in nvfp4)
  const void* biases = nullptr;        // affine: one a group
  const float* multipliers = nullptr;  // null, or one factor a matrix (nvfp4's global scale, over 448 * 6)
};

// Whether the fields go together: sizes positive, pointers there, a dtype and a format that the kernels know, columns a
// whole number of groups (tag unsupported). The pointers' extent is the caller's word. The functions below rely on
// this; call it when a layer is made.
Status check(const WeightView& weight);

// Bytes of one matrix, its scales and biases included; what a matrix-vector product reads.
int64_t bytes_of(const WeightView& weight);

}  // namespace pippin
