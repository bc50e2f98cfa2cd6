// Norms over the last axis. In float inside; F32, F16 or BF16 outside, all arrays of one dtype.
#pragma once

#include <cstdint>

#include "linear/thread_pool.h"
#include "pippin/dtype.h"

namespace pippin {

// `count` rows of `size` contiguous elements each; strides in elements between rows. x and out may be the same.
struct NormRows {
  DType dtype = DType::F32;
  const void* x = nullptr;
  int64_t x_stride = 0;
  void* out = nullptr;
  int64_t out_stride = 0;
  int64_t count = 0;
  int64_t size = 0;
};

// out = x / sqrt(mean(x^2) + epsilon) * weight, rounded once. weight: `size` elements of the dtype, or null: ones.
// `weight_offset` is added to the weight in float (1 for Gemma's).
void rms_norm(ThreadPool& pool, const NormRows& rows, const void* weight, float epsilon, float weight_offset = 0);

// out = (x - mean) / sqrt(variance + epsilon) * weight + bias; weight and bias may be null.
void layer_norm(ThreadPool& pool, const NormRows& rows, const void* weight, const void* bias, float epsilon);

// x + y for the residual stream, rounded to the dtype into `sum`, then rms_norm of the rounded sum into rows.out;
// rows.x is x. y and sum have x's stride. sum may be x or y.
void add_rms_norm(ThreadPool& pool, const NormRows& rows, const void* y, void* sum, const void* weight, float epsilon,
                  float weight_offset = 0);

}  // namespace pippin
