#include <algorithm>
#include <memory>
#include <vector>

#include "linear/layer_products.h"
#include "linear/linear.h"
#include "linear/prepared_rows.h"

namespace pippin {
namespace {

int64_t row_count(const MultiLinear& p) {
  return p.batch * p.weight.matrices * p.m;
}

// Row i of x or y, counted by head, batch entry and row: those of a head follow each other.
int64_t offset_of(const MultiLinear& p, int64_t i, int64_t batch_stride, int64_t head_stride, int64_t row_stride) {
  return i / (p.batch * p.m) * head_stride + i / p.m % p.batch * batch_stride + i % p.m * row_stride;
}

void multiply_heads(ThreadPool& pool, const ProductKernels& kernels, const MultiLinear& p, const WeightView& weight) {
  std::vector<const void*> x;
  for (int64_t i = 0; i < row_count(p); ++i) {
    x.push_back(at_element(p.x, offset_of(p, i, p.x_batch_stride, p.x_head_stride, p.x_row_stride), p.dtype));
  }
  PreparedRows prepared(pool, kernels, p.dtype, weight.columns, std::move(x));
  const PreparedRows::Rows rows = prepared.in_order_of(weight);
  std::vector<MatrixProduct> products(static_cast<size_t>(weight.matrices));
  for (int64_t i = 0; i < row_count(p); ++i) {
    const int64_t head = i / (p.batch * p.m);
    MatrixProduct& product = products[static_cast<size_t>(head)];
    product.weight = &weight;
    product.matrix = head;
    product.bias = nullptr;
    product.x.push_back(rows.row(i));
    product.y.push_back(at_element(p.y, offset_of(p, i, p.y_batch_stride, p.y_head_stride, p.y_row_stride), p.dtype));
  }
  multiply(pool, kernels, p.dtype, products);
}

// One matrix with rows and columns exchanged, as floats.
void transpose(const ProductKernels& kernels, const WeightView& weight, int64_t matrix, float* out) {
  const ColumnOrder order = kernels.order(weight);
  std::vector<float> row(static_cast<size_t>(order.padded()));
  for (int64_t r = 0; r < weight.rows; ++r) {
    kernels.decode({&weight, matrix, r, 1}, row.data(), order.padded());
    for (int64_t c = 0; c < weight.columns; ++c) {
      const int64_t in_block = c % order.block();
      const int64_t place = c - in_block + in_block % order.per_lane * order.lanes + in_block / order.per_lane;
      out[c * weight.rows + r] = row[static_cast<size_t>(place)];
    }
  }
}

}  // namespace

void multi_linear(ThreadPool& pool, const MultiLinear& product) {
  const ProductKernels& kernels = chosen_product_kernels();
  const WeightView& weight = product.weight;
  if (product.transposed) return multiply_heads(pool, kernels, product, weight);
  const int64_t size = weight.rows * weight.columns;
  const auto values = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(weight.matrices * size));
  pool.parallel_for(weight.matrices, 1, [&](int64_t begin, int64_t end) {
    for (int64_t h = begin; h < end; ++h) transpose(kernels, weight, h, values.get() + h * size);
  });
  WeightView exchanged;
  exchanged.rows = weight.columns;
  exchanged.columns = weight.rows;
  exchanged.matrices = weight.matrices;
  exchanged.dtype = DType::F32;
  exchanged.values = values.get();
  exchanged.multipliers = weight.multipliers;
  multiply_heads(pool, kernels, product, exchanged);
}

}  // namespace pippin
