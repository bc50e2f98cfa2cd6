// Linear layers on the CPU: products of activations with dense or packed weights, read as they lie in memory.
//
// Dtypes: activations are F32, F16 or BF16, in and out. Everything between is float: each result is a sum of float
// products in a fixed order, rounded once to the dtype. Against exact arithmetic a result y = sum(x_i * w_i) is off by
// at most (k / 64 + 16) * 2^-24 * sum(|x_i * w_i|), and by half a unit of the dtype; affine layers with offset codes
// lose up to twice that.
// Determinism: the same machine gives the same bits for the same call, whatever the number of threads. Another
// instruction set, or another number of rows m in one call, may sum in another order.
// Contract: sizes are not negative, every WeightView has passed check(), inputs do not overlap outputs. Nothing throws
// but std::bad_alloc (scratch: about 4 * m * k bytes, and 1 MB a thread).
#pragma once

#include <cstdint>
#include <span>

#include "linear/thread_pool.h"
#include "linear/weight_view.h"

namespace pippin {

// m rows of k contiguous elements; row i begins at i * stride elements.
struct InputRows {
  DType dtype = DType::F32;
  const void* data = nullptr;
  int64_t count = 0;
  int64_t columns = 0;
  int64_t stride = 0;
};

// A layer and where its result goes: m rows of weight.rows elements of the input's dtype.
struct LinearOutput {
  WeightView weight;
  const void* bias = nullptr;  // null, or weight.rows elements (a matrix) of bias_dtype, added before rounding
  DType bias_dtype = DType::F32;
  void* data = nullptr;
  int64_t stride = 0;  // elements from row to row
};

// y[i, :] = W x[i, :] + bias for each output: the layers that read the same input (q, k, v; gate, up) in one call.
// One matrix each, columns == x.columns.
void linear(ThreadPool& pool, const InputRows& x, std::span<const LinearOutput> outputs);

// One layer.
void linear(ThreadPool& pool, const InputRows& x, const LinearOutput& output);

// Layers of experts: for token t and choice j, output row r = t * choices + j is W[experts[r]] x' + bias[experts[r]],
// where x' is x's row t, or its row r if x_per_choice. The bias has a row for each matrix. An index that names no
// matrix gives a row of zeros.
struct ExpertChoice {
  const int32_t* experts = nullptr;  // tokens * choices
  int64_t tokens = 0;
  int64_t choices = 0;
  bool x_per_choice = false;  // x has tokens * choices rows, else tokens
};
void switch_linear(ThreadPool& pool, const InputRows& x, const ExpertChoice& choice,
                   std::span<const LinearOutput> outputs);

// A batch of products, one matrix each: y[b, h] = x[b, h] W[h]^T (transposed) or x[b, h] W[h] (not), for b < batch and
// h < weight.matrices. Strides in elements; rows are contiguous.
//   transposed      x is m x columns, y is m x rows
//   not transposed  x is m x rows,    y is m x columns
struct MultiLinear {
  WeightView weight;
  bool transposed = true;
  DType dtype = DType::F32;  // of x and y
  int64_t batch = 1;
  int64_t m = 1;
  const void* x = nullptr;
  int64_t x_batch_stride = 0, x_head_stride = 0, x_row_stride = 0;
  void* y = nullptr;
  int64_t y_batch_stride = 0, y_head_stride = 0, y_row_stride = 0;
};
void multi_linear(ThreadPool& pool, const MultiLinear& product);

// Rows of a weight by number, dequantized: out[i, :] = W[ids[i], :], contiguous. An id outside gives a row of zeros.
// Quantized rows are rounded as mx.dequantize rounds them where out_dtype is the dtype of the scales.
void embed(const WeightView& weight, std::span<const int32_t> ids, DType out_dtype, void* out);

}  // namespace pippin
