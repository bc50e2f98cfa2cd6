// Products of matrices, and tables that are computed from numbers alone.
#include <algorithm>

#include "execute/child_box.h"
#include "execute/matrix_product.h"
#include "execute/operation.h"
#include "execute/rotary_angles.h"
#include "tensor/cast.h"

namespace pippin {

Status Operation::operator()(const MatrixProduct&) const {
  const Recipe& x = *recipe.inputs[0];
  const Recipe& y = *recipe.inputs[1];
  const Box x_box = child_box(recipe, 0, box);
  Box panel_box = child_box(recipe, 1, box);
  const int64_t rows = box.extent(0);
  const int64_t columns = box.extent(1);
  const int64_t inner = x_box.extent(1);
  const auto size = static_cast<int64_t>(element());
  const auto wide_size = size + static_cast<int64_t>(sizeof(float));
  if (rows > 1 && too_much(static_cast<size_t>(2 * rows * inner * wide_size))) return in_halves();
  const Scratch::Lease x_floats = evaluator.scratch_.take(static_cast<size_t>(rows * inner) * sizeof(float));
  auto* x_rows = reinterpret_cast<float*>(x_floats.data());
  {
    const Scratch::Lease x_values = evaluator.scratch_.take(bytes_of(x, x_box));
    PIPPIN_CHECK(input(0, x_box, x_values.data()));
    cast(x.dtype, x_values.data(), DType::F32, x_rows, rows * inner);
  }
  // Panels of y's columns, as wide as the buffers allow, cut into tiles that stay in the cache for all rows of x.
  const int64_t fitting = static_cast<int64_t>(evaluator.buffer_limit_) / (2 * (inner + 1) * wide_size);
  const int64_t width = std::clamp<int64_t>(fitting, 1, columns);
  const int64_t tile = std::min(width, product_columns);
  const Scratch::Lease tiles = evaluator.scratch_.take(static_cast<size_t>((inner + 1) * tile) * sizeof(float));
  auto* y_tile = reinterpret_cast<float*>(tiles.data());
  float* sums = y_tile + inner * tile;
  for (int64_t at = 0; at < columns; at += width) {
    panel_box.lo[1] = box.lo[1] + at;
    panel_box.hi[1] = std::min(panel_box.lo[1] + width, box.hi[1]);
    const int64_t panel = panel_box.extent(1);
    const Scratch::Lease y_values = evaluator.scratch_.take(bytes_of(y, panel_box));
    PIPPIN_CHECK(input(1, panel_box, y_values.data()));
    for (int64_t first = 0; first < panel; first += tile) {
      const int64_t count = std::min(tile, panel - first);
      for (int64_t k = 0; k < inner; k++)
        cast(y.dtype, y_values.data() + (k * panel + first) * size, DType::F32, y_tile + k * count, count);
      for (int64_t row = 0; row < rows; row++) {
        multiply_row(x_rows + row * inner, inner, y_tile, count, sums);
        cast(DType::F32, sums, recipe.dtype, out + (row * columns + at + first) * size, count);
      }
    }
  }
  return check_result(0, nullptr);
}

Status Operation::operator()(const RotaryTable& op) const {
  const std::vector<float> frequencies = rotary_frequencies(op.base, 2 * recipe.shape[1]);
  auto* value = reinterpret_cast<float*>(out);
  for (int64_t position = box.lo[0]; position < box.hi[0]; position++) {
    for (int64_t k = box.lo[1]; k < box.hi[1]; k++) {
      const float angle = static_cast<float>(position) * frequencies[static_cast<size_t>(k)];
      *value++ = op.kind == RotaryTable::Kind::cosine ? mlx_cosine(angle) : mlx_sine(angle);
    }
  }
  return {};
}

}  // namespace pippin
