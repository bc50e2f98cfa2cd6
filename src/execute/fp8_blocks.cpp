#include "execute/fp8_blocks.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "execute/child_box.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

// Results of all 256 weights for one scale. A block of 128 x 128 weights is then 16384 lookups, and the arithmetic of
// an element stands in one place.
template <typename T>
using Table = std::array<T, 256>;

// All weights as BF16.
const std::array<float, 256>& e4m3_values() {
  static const std::array<float, 256> values = [] {
    std::array<float, 256> table{};
    for (size_t bits = 0; bits < 256; bits++)
      table[bits] = bf16_to_float(float_to_bf16(e4m3_to_float(static_cast<uint8_t>(bits))));
    return table;
  }();
  return values;
}

template <typename T>
void fill_table(Table<T>& table, float scale, DType scale_dtype, DType out_dtype) {
  std::array<float, 256> products;
  const auto& values = e4m3_values();
  for (size_t bits = 0; bits < 256; bits++) products[bits] = values[bits] * scale;
  if (scale_dtype == DType::F32) {
    cast(DType::F32, products.data(), out_dtype, table.data(), 256);
    return;
  }
  std::array<uint16_t, 256> rounded;
  cast(DType::F32, products.data(), DType::BF16, rounded.data(), 256);
  cast(DType::BF16, rounded.data(), out_dtype, table.data(), 256);
}

// One matrix: rows and columns of the box, of which the first lie `row` and `column` behind a block's begin.
template <typename T>
struct Matrix {
  int64_t rows, columns;
  int64_t row, column;
  int64_t block_rows, block_columns;
  int64_t scale_columns;
  DType scale_dtype, out_dtype;

  void dequantize(const std::byte* weight, const std::byte* scale, T* out) const {
    Table<T> table;
    for (int64_t r = 0; r < rows;) {
      const int64_t block_row = (row + r) / block_rows;
      const int64_t row_end = std::min(rows, (block_row + 1) * block_rows - row);
      for (int64_t c = 0; c < columns;) {
        const int64_t block_column = (column + c) / block_columns;
        const int64_t column_end = std::min(columns, (block_column + 1) * block_columns - column);
        fill_table(table, scale_at(scale, block_row * scale_columns + block_column), scale_dtype, out_dtype);
        for (int64_t i = r; i < row_end; i++)
          look_up(table, weight + i * columns + c, out + i * columns + c, column_end - c);
        c = column_end;
      }
      r = row_end;
    }
  }

  static void look_up(const Table<T>& table, const std::byte* weight, T* out, int64_t count) {
    for (int64_t i = 0; i < count; i++) out[i] = table[static_cast<uint8_t>(weight[i])];
  }

  [[nodiscard]] float scale_at(const std::byte* scale, int64_t index) const {
    float value = 0;
    cast(scale_dtype, scale + index * static_cast<int64_t>(size_of(scale_dtype)), DType::F32, &value, 1);
    return value;
  }
};

template <typename T>
void dequantize_matrices(const Recipe& recipe, const Box& box, const std::byte* weight, const std::byte* scale,
                         std::byte* out) {
  const auto& op = std::get<DequantizeBlocks>(recipe.op);
  const Box scale_box = child_box(recipe, 1, box);
  const int last = box.rank - 1;
  const Matrix<T> matrix{
      box.extent(last - 1), box.extent(last), box.lo[last - 1] % op.block_rows, box.lo[last] % op.block_columns,
      op.block_rows,        op.block_columns, scale_box.extent(last),           recipe.inputs[1]->dtype,
      recipe.dtype};
  const int64_t elements = matrix.rows * matrix.columns;
  const int64_t scales = scale_box.extent(last - 1) * scale_box.extent(last);
  const auto scale_size = static_cast<int64_t>(size_of(recipe.inputs[1]->dtype));
  const int64_t matrices = box.count() / elements;
  for (int64_t m = 0; m < matrices; m++)
    matrix.dequantize(weight + m * elements, scale + m * scales * scale_size, reinterpret_cast<T*>(out) + m * elements);
}

}  // namespace

void dequantize_fp8_blocks(const Recipe& recipe, const Box& box, const std::byte* weight, const std::byte* scale,
                           std::byte* out) {
  switch (size_of(recipe.dtype)) {
    case 2:
      return dequantize_matrices<uint16_t>(recipe, box, weight, scale, out);
    case 4:
      return dequantize_matrices<uint32_t>(recipe, box, weight, scale, out);
    default:
      return dequantize_matrices<uint64_t>(recipe, box, weight, scale, out);
  }
}

}  // namespace pippin
