#include "linear/normalization.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "linear/float_kernels.h"
#include "linear/layer_products.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr int64_t values_a_piece = 8192;

std::vector<float> floats_of(DType dtype, const void* values, int64_t count, float if_null) {
  std::vector<float> floats(static_cast<size_t>(count), if_null);
  if (values != nullptr) cast(dtype, values, DType::F32, floats.data(), count);
  return floats;
}

// Calls norm(row number, row) for each row as floats, and stores what it leaves there.
template <typename Norm>
void for_rows(ThreadPool& pool, const NormRows& rows, const Norm& norm) {
  const int64_t grain = std::max<int64_t>(1, values_a_piece / std::max<int64_t>(1, rows.size));
  pool.parallel_for(rows.count, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(rows.size));
    for (int64_t i = begin; i < end; ++i) {
      cast(rows.dtype, at_element(rows.x, i * rows.x_stride, rows.dtype), DType::F32, row.data(), rows.size);
      norm(i, row.data());
      cast(DType::F32, row.data(), rows.dtype, at_element(rows.out, i * rows.out_stride, rows.dtype), rows.size);
    }
  });
}

std::vector<float> rms_weight(const NormRows& rows, const void* weight, float offset) {
  std::vector<float> floats = floats_of(rows.dtype, weight, rows.size, 1.0f);
  if (weight != nullptr) {
    for (float& value : floats) value += offset;
  }
  return floats;
}

void norm_by_square(const FloatKernels& kernels, float* row, const std::vector<float>& weight, float epsilon) {
  const auto size = static_cast<int64_t>(weight.size());
  const float mean = kernels.sum_of_squares(row, 0.0f, size) / static_cast<float>(size);
  const float factor = 1.0f / std::sqrt(mean + epsilon);
  for (size_t j = 0; j < weight.size(); ++j) row[j] = row[j] * factor * weight[j];
}

}  // namespace

void rms_norm(ThreadPool& pool, const NormRows& rows, const void* weight, float epsilon, float weight_offset) {
  const FloatKernels& kernels = chosen_float_kernels();
  const std::vector<float> factors = rms_weight(rows, weight, weight_offset);
  for_rows(pool, rows, [&](int64_t, float* row) { norm_by_square(kernels, row, factors, epsilon); });
}

void layer_norm(ThreadPool& pool, const NormRows& rows, const void* weight, const void* bias, float epsilon) {
  const FloatKernels& kernels = chosen_float_kernels();
  const std::vector<float> factors = floats_of(rows.dtype, weight, rows.size, 1.0f);
  const std::vector<float> addends = floats_of(rows.dtype, bias, rows.size, 0.0f);
  const auto size = static_cast<float>(rows.size);
  for_rows(pool, rows, [&](int64_t, float* row) {
    const float mean = kernels.sum(row, rows.size) / size;
    const float variance = kernels.sum_of_squares(row, mean, rows.size) / size;
    const float factor = 1.0f / std::sqrt(variance + epsilon);
    for (size_t j = 0; j < factors.size(); ++j) row[j] = (row[j] - mean) * factor * factors[j] + addends[j];
  });
}

void add_rms_norm(ThreadPool& pool, const NormRows& rows, const void* y, void* sum, const void* weight, float epsilon,
                  float weight_offset) {
  const FloatKernels& kernels = chosen_float_kernels();
  const std::vector<float> factors = rms_weight(rows, weight, weight_offset);
  for_rows(pool, rows, [&](int64_t i, float* row) {
    std::vector<float> addend(factors.size());
    cast(rows.dtype, at_element(y, i * rows.x_stride, rows.dtype), DType::F32, addend.data(), rows.size);
    for (size_t j = 0; j < addend.size(); ++j) row[j] += addend[j];
    void* rounded = at_element(sum, i * rows.x_stride, rows.dtype);
    cast(DType::F32, row, rows.dtype, rounded, rows.size);
    cast(rows.dtype, rounded, DType::F32, row, rows.size);
    norm_by_square(kernels, row, factors, epsilon);
  });
}

}  // namespace pippin
