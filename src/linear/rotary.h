// Rotary position embedding, as mx.fast.rope. In float inside; F32, F16 or BF16 outside.
#pragma once

#include <cstdint>

#include "linear/thread_pool.h"
#include "pippin/dtype.h"

namespace pippin {

// x and out are [batch, heads, length, size], the last axis contiguous; strides in elements. They may be the same
// array. Element pairs of the first `dims` elements turn by the angle (offset + t) * frequencies[i], i < dims / 2; the
// pairs are (i, i + dims / 2), or (2i, 2i + 1) if traditional. The rest is copied. `amplitude` multiplies what turns
// (yarn).
struct Rotary {
  DType dtype = DType::F32;
  int64_t batch = 1, heads = 1, length = 1, size = 0;
  const void* x = nullptr;
  int64_t x_batch_stride = 0, x_head_stride = 0, x_row_stride = 0;
  void* out = nullptr;
  int64_t out_batch_stride = 0, out_head_stride = 0, out_row_stride = 0;
  int64_t dims = 0;  // even, at most size
  bool traditional = false;
  const float* frequencies = nullptr;  // dims / 2 radians a position: mx.fast.rope's scale / freqs
  const int64_t* offsets = nullptr;    // one a batch entry; null: `offset` for all
  int64_t offset = 0;
  float amplitude = 1;
};
void rotate(ThreadPool& pool, const Rotary& rotary);

}  // namespace pippin
