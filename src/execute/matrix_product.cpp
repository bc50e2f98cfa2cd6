#include "execute/matrix_product.h"

#include <algorithm>

namespace pippin {
namespace {

constexpr int64_t tile = 64;  // sums that stay in registers

// The tile's width is known to the compiler in all but the last one, so that it can keep the sums in registers.
template <int64_t fixed_width>
void multiply_tile(const float* x, int64_t inner, const float* y, int64_t columns, int64_t width, float* out) {
  float sums[tile] = {};
  const int64_t count = fixed_width != 0 ? fixed_width : width;
  for (int64_t k = 0; k < inner; k++) {
    const float factor = x[k];
    const float* row = y + k * columns;
    for (int64_t j = 0; j < count; j++) sums[j] += factor * row[j];
  }
  std::copy_n(sums, count, out);
}

}  // namespace

void multiply_row(const float* x, int64_t inner, const float* y, int64_t columns, float* out) {
  int64_t at = 0;
  for (; at + tile <= columns; at += tile) multiply_tile<tile>(x, inner, y + at, columns, tile, out + at);
  if (at < columns) multiply_tile<0>(x, inner, y + at, columns, columns - at, out + at);
}

}  // namespace pippin
