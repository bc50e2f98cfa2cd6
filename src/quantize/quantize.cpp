#include "quantize/quantize.h"

#include "quantize/kernels.h"

namespace pippin {

PackedRow packed_row(const QuantFormat& format, int64_t columns) {
  return {columns / 32 * format.bits + columns % 32 * format.bits / 32, columns / format.group_size};
}

void quantize_rows(const QuantFormat& format, Rounding rounding, DType dtype, const void* values, int64_t rows,
                   int64_t columns, uint32_t* packed, void* scales, void* biases) {
  const int64_t groups = rows * (columns / format.group_size);
  chosen_quantize_kernels().quantize({format, rounding, dtype, values, groups, packed, scales, biases});
}

void dequantize_rows(const QuantFormat& format, DType scale_dtype, const uint32_t* packed, const void* scales,
                     const void* biases, int64_t rows, int64_t columns, void* out, DType out_dtype) {
  const int64_t groups = rows * (columns / format.group_size);
  chosen_quantize_kernels().dequantize({format, scale_dtype, packed, scales, biases, groups, out, out_dtype});
}

const char* kernel_isa() {
  return chosen_quantize_kernels().isa;
}

}  // namespace pippin
