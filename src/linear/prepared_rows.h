// The input of linear layers, brought into the orders that their kernels want.
#pragma once

#include <cstdint>
#include <vector>

#include "linear/float_buffer.h"
#include "linear/product_kernels.h"
#include "linear/thread_pool.h"

namespace pippin {

// Rows as floats, once for each order asked for. Pointers stay valid as long as the object.
class PreparedRows {
 public:
  // rows[i]: `columns` contiguous elements of dtype.
  PreparedRows(ThreadPool& pool, const ProductKernels& kernels, DType dtype, int64_t columns,
               std::vector<const void*> rows)
      : pool_(pool), kernels_(kernels), dtype_(dtype), columns_(columns), rows_(std::move(rows)) {}

  // Row 0 in the weight's order; row i is i * stride floats further.
  struct Rows {
    const float* data;
    int64_t stride;
    [[nodiscard]] PreparedRow row(int64_t i) const { return data + i * stride; }
  };
  Rows in_order_of(const WeightView& weight);

 private:
  struct Ordered {
    ColumnOrder order;
    FloatBuffer data;
  };
  void prepare(const ColumnOrder& order, int64_t stride, float* out) const;

  ThreadPool& pool_;
  const ProductKernels& kernels_;
  DType dtype_;
  int64_t columns_;
  std::vector<const void*> rows_;
  std::vector<Ordered> ordered_;
};

}  // namespace pippin
