// Products of prepared rows with matrices, spread over threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "linear/linear.h"
#include "linear/product_kernels.h"

namespace pippin {

inline const void* at_element(const void* base, int64_t i, DType dtype) {
  return static_cast<const char*>(base) + i * static_cast<int64_t>(size_of(dtype));
}
inline void* at_element(void* base, int64_t i, DType dtype) {
  return static_cast<char*>(base) + i * static_cast<int64_t>(size_of(dtype));
}

// Rows that one matrix of a weight is multiplied with: y[i] = multiplier * W x[i] + bias.
struct MatrixProduct {
  const WeightView* weight = nullptr;
  int64_t matrix = 0;
  const void* bias = nullptr;  // or the matrix's row of biases
  DType bias_dtype = DType::F32;
  std::vector<PreparedRow> x;
  std::vector<void*> y;  // weight->rows contiguous elements each
};

void multiply(ThreadPool& pool, const ProductKernels& kernels, DType dtype, std::span<const MatrixProduct> products);

}  // namespace pippin
