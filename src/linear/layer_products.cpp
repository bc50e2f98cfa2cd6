#include "linear/layer_products.h"

#include <algorithm>

#include "linear/float_buffer.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

// Packed bytes of a piece: large against the microsecond that handing it out may cost, small against a layer.
constexpr int64_t few_piece_bytes = 24 << 10;
// Rows that are decoded for many inputs at a time; they stay in a core's own cache.
constexpr int64_t many_piece_rows = 32;

int64_t rows_a_piece(const MatrixProduct& product) {
  const WeightView& weight = *product.weight;
  if (static_cast<int64_t>(product.x.size()) > few_rows) return many_piece_rows;
  const int64_t row_bytes = std::max<int64_t>(1, bytes_of(weight) / weight.rows);
  return std::clamp<int64_t>(few_piece_bytes / row_bytes / 4 * 4, 4, 512);
}

// Rows of the result of a piece, as floats.
struct PieceRows {
  WeightRows rows;
  float* sums;
  int64_t stride;
};

void multiply_many(const ProductKernels& kernels, const MatrixProduct& product, const PieceRows& piece) {
  const ColumnOrder order = kernels.order(*product.weight);
  const int64_t depth = order.padded();
  const int64_t panel_rows = (piece.rows.count + 3) / 4 * 4;
  const int64_t stride = depth + floats_a_line;
  const FloatBuffer panel = float_buffer(panel_rows * stride);
  kernels.decode(piece.rows, panel.get(), stride);
  std::fill(panel.get() + piece.rows.count * stride, panel.get() + panel_rows * stride, 0.0f);
  kernels.many({panel.get(), stride, piece.rows.count, depth, product.x, piece.sums, piece.stride});
}

// Multiplier, bias, and the one rounding.
void store(const MatrixProduct& product, const PieceRows& piece, DType dtype) {
  const int64_t count = piece.rows.count;
  std::vector<float> bias;
  if (product.bias != nullptr) {
    bias.resize(static_cast<size_t>(count));
    cast(product.bias_dtype, at_element(product.bias, piece.rows.row, product.bias_dtype), DType::F32, bias.data(),
         count);
  }
  const float* multipliers = product.weight->multipliers;
  for (size_t i = 0; i < product.y.size(); ++i) {
    float* sums = piece.sums + static_cast<int64_t>(i) * piece.stride;
    if (multipliers != nullptr) {
      for (int64_t j = 0; j < count; ++j) sums[j] *= multipliers[product.matrix];
    }
    for (size_t j = 0; j < bias.size(); ++j) sums[j] += bias[j];
    cast(DType::F32, sums, dtype, at_element(product.y[i], piece.rows.row, dtype), count);
  }
}

void multiply_piece(const ProductKernels& kernels, DType dtype, const MatrixProduct& product, int64_t row) {
  const int64_t count = std::min(rows_a_piece(product), product.weight->rows - row);
  const auto inputs = static_cast<int64_t>(product.x.size());
  const FloatBuffer sums = float_buffer(inputs * count);
  const PieceRows piece{{product.weight, product.matrix, row, count}, sums.get(), count};
  if (inputs > few_rows) {
    multiply_many(kernels, product, piece);
  } else {
    kernels.few({piece.rows, product.x, piece.sums, piece.stride});
  }
  store(product, piece, dtype);
}

}  // namespace

void multiply(ThreadPool& pool, const ProductKernels& kernels, DType dtype, std::span<const MatrixProduct> products) {
  std::vector<int64_t> first_piece;  // of each product
  int64_t pieces = 0;
  for (const MatrixProduct& product : products) {
    first_piece.push_back(pieces);
    const int64_t rows = rows_a_piece(product);
    if (!product.x.empty()) pieces += (product.weight->rows + rows - 1) / rows;
  }
  pool.parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const auto next = std::upper_bound(first_piece.begin(), first_piece.end(), piece);
      const auto i = static_cast<size_t>(next - first_piece.begin() - 1);
      multiply_piece(kernels, dtype, products[i], (piece - first_piece[i]) * rows_a_piece(products[i]));
    }
  });
}

}  // namespace pippin
