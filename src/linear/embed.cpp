#include <cstring>
#include <vector>

#include "linear/linear.h"
#include "quantize/quantize.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

// Affine rows come in the dtype of their scales; another dtype is a second rounding.
void dequantize_row(const WeightView& weight, int64_t row, DType out_dtype, void* out) {
  const QuantFormat& format = *weight.format;
  const bool is_affine = format.mode == QuantMode::affine;
  const DType direct = is_affine ? weight.dtype : out_dtype;
  const PackedRow packed = packed_row(format, weight.columns);
  const auto scale_bytes = is_affine ? static_cast<int64_t>(size_of(weight.dtype)) : 1;
  const auto* words = static_cast<const char*>(weight.values) + row * packed.words * 4;
  const auto* scales = static_cast<const char*>(weight.scales) + row * packed.groups * scale_bytes;
  const auto* biases = static_cast<const char*>(weight.biases) + (is_affine ? row * packed.groups * scale_bytes : 0);
  // The kernels want aligned words; files do not promise them.
  std::vector<uint32_t> aligned(static_cast<size_t>(packed.words));
  std::memcpy(aligned.data(), words, aligned.size() * 4);
  std::vector<char> between(direct == out_dtype ? 0 : static_cast<size_t>(weight.columns) * size_of(direct));
  void* first = direct == out_dtype ? out : between.data();
  dequantize_rows(format, weight.dtype, aligned.data(), scales, biases, 1, weight.columns, first, direct);
  if (direct != out_dtype) cast(direct, between.data(), out_dtype, out, weight.columns);
}

}  // namespace

void embed(const WeightView& weight, std::span<const int32_t> ids, DType out_dtype, void* out) {
  const auto row_bytes = static_cast<size_t>(weight.columns) * size_of(out_dtype);
  auto* to = static_cast<char*>(out);
  for (const int32_t id : ids) {
    if (id < 0 || id >= weight.rows) {
      std::memset(to, 0, row_bytes);
    } else if (weight.format) {
      dequantize_row(weight, id, out_dtype, to);
    } else {
      const auto* row =
          static_cast<const char*>(weight.values) + id * weight.columns * static_cast<int64_t>(size_of(weight.dtype));
      cast(weight.dtype, row, out_dtype, to, weight.columns);
    }
    to += row_bytes;
  }
}

}  // namespace pippin
