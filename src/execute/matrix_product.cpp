#include "execute/matrix_product.h"

#include <algorithm>

namespace pippin {
namespace {

// The usual width is known to the compiler, so that the sums stay in registers.
template <int64_t fixed_width>
void multiply(const float* x, int64_t inner, const float* y, int64_t columns, float* out) {
  const int64_t count = fixed_width != 0 ? fixed_width : columns;
  float sums[product_columns] = {};
  for (int64_t k = 0; k < inner; k++) {
    const float factor = x[k];
    const float* row = y + k * count;
    for (int64_t j = 0; j < count; j++) sums[j] += factor * row[j];
  }
  std::copy_n(sums, count, out);
}

}  // namespace

void multiply_row(const float* x, int64_t inner, const float* y, int64_t columns, float* out) {
  if (columns == product_columns)
    multiply<product_columns>(x, inner, y, columns, out);
  else
    multiply<0>(x, inner, y, columns, out);
}

}  // namespace pippin
