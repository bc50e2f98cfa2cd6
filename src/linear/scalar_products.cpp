#include "linear/scalar_products.h"

#include <algorithm>
#include <array>
#include <vector>

#include "quantize/arithmetic.h"
#include "tensor/element.h"

namespace pippin {
namespace {

constexpr std::array<float, 8> e2m1_magnitudes{0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};

float value_at(DType dtype, const void* values, int64_t i) {
  float value = 0;
  for_dtype(dtype, [&]<DType D>() { value = Element<D>::load(read_at<typename Element<D>::Storage>(values, i)); });
  return value;
}

float value_of_code(const QuantFormat& format, uint32_t code) {
  if (format.mode == QuantMode::affine) return static_cast<float>(code);
  if (format.mode == QuantMode::mxfp8) return e4m3_to_float(static_cast<uint8_t>(code));
  const float magnitude = e2m1_magnitudes[code & 7];
  return (code & 8) != 0 ? -magnitude : magnitude;
}

float scale_at(const WeightView& w, int64_t group) {
  if (w.format->mode == QuantMode::affine) return value_at(w.dtype, w.scales, group);
  const auto byte = read_at<uint8_t>(w.scales, group);
  return w.format->mode == QuantMode::nvfp4 ? e4m3_to_float(byte) : e8m0_to_float(byte);
}

// Value times scale is exact in double, so the sum is rounded once.
void decode_row(const WeightView& w, int64_t row, float* out) {
  if (!w.format) {
    for (int64_t i = 0; i < w.columns; ++i) out[i] = value_at(w.dtype, w.values, row * w.columns + i);
    return;
  }
  const QuantFormat& format = *w.format;
  CodeReader codes(static_cast<const char*>(w.values) + row * w.columns * format.bits / 8, format.bits);
  for (int64_t i = 0; i < w.columns; ++i) {
    const int64_t group = (row * w.columns + i) / format.group_size;
    const double product = static_cast<double>(value_of_code(format, codes.take())) * scale_at(w, group);
    const double bias = format.mode == QuantMode::affine ? value_at(w.dtype, w.biases, group) : 0.0;
    out[i] = static_cast<float>(product + bias);
  }
}

float dot(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * b[i];
  return static_cast<float>(sum);
}

}  // namespace

ColumnOrder scalar_order(const WeightView& weight) {
  return {1, 1, weight.columns, 0};
}

void scalar_prepare(const ColumnOrder& order, const float* natural, float* out) {
  std::copy_n(natural, order.padded(), out);
}

void scalar_few(const FewRows& job) {
  const WeightView& weight = *job.rows.weight;
  std::vector<float> row(static_cast<size_t>(weight.columns));
  for (int64_t j = 0; j < job.rows.count; ++j) {
    decode_row(weight, job.rows.matrix * weight.rows + job.rows.row + j, row.data());
    for (size_t i = 0; i < job.x.size(); ++i) {
      job.out[static_cast<int64_t>(i) * job.out_stride + j] = dot(job.x[i], row.data(), weight.columns);
    }
  }
}

void scalar_decode(const WeightRows& rows, float* out, int64_t stride) {
  for (int64_t j = 0; j < rows.count; ++j) {
    decode_row(*rows.weight, rows.matrix * rows.weight->rows + rows.row + j, out + j * stride);
  }
}

void scalar_many(const ManyRows& job) {
  for (size_t i = 0; i < job.x.size(); ++i) {
    for (int64_t j = 0; j < job.panel_rows; ++j) {
      const float* row = job.panel + j * job.panel_stride;
      job.out[static_cast<int64_t>(i) * job.out_stride + j] = dot(job.x[i], row, job.depth);
    }
  }
}

}  // namespace pippin
