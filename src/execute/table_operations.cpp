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
  const size_t x_bytes = bytes_of(x, x_box);
  if (too_much(2 * x_bytes) && rows > 1) return in_halves();
  const Scratch::Lease x_values = evaluator.scratch_.take(x_bytes);
  PIPPIN_CHECK(input(0, x_box, x_values.data()));
  // Panels of y's columns, as wide as the buffers allow; x's rows go over each of them.
  const int64_t column_bytes = (inner + 1) * static_cast<int64_t>(size_of(y.dtype) + sizeof(float));
  const int64_t fitting = static_cast<int64_t>(evaluator.buffer_limit_) / 2 / column_bytes;
  const int64_t width = std::clamp<int64_t>(fitting, 1, columns);
  const Scratch::Lease wide = evaluator.scratch_.take(static_cast<size_t>(inner * (width + 1) + width) * sizeof(float));
  auto* x_row = reinterpret_cast<float*>(wide.data());
  float* panel = x_row + inner;
  float* sums = panel + inner * width;
  const auto size = static_cast<int64_t>(element());
  for (int64_t at = 0; at < columns; at += width) {
    panel_box.lo[1] = box.lo[1] + at;
    panel_box.hi[1] = std::min(panel_box.lo[1] + width, box.hi[1]);
    const int64_t count = panel_box.extent(1);
    const Scratch::Lease y_values = evaluator.scratch_.take(bytes_of(y, panel_box));
    PIPPIN_CHECK(input(1, panel_box, y_values.data()));
    cast(y.dtype, y_values.data(), DType::F32, panel, panel_box.count());
    for (int64_t row = 0; row < rows; row++) {
      cast(x.dtype, x_values.data() + row * inner * size, DType::F32, x_row, inner);
      multiply_row(x_row, inner, panel, count, sums);
      cast(DType::F32, sums, recipe.dtype, out + (row * columns + at) * size, count);
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
