#include "linear/rotary.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "linear/layer_products.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr int64_t values_a_piece = 8192;

int64_t first_position(const Rotary& r, int64_t batch) {
  return r.offsets != nullptr ? r.offsets[batch] : r.offset;
}

// Cosines, then sines, of a position's angles.
void fill_angles(const Rotary& r, int64_t position, float* cosines, float* sines) {
  for (int64_t i = 0; i < r.dims / 2; ++i) {
    const float angle = static_cast<float>(position) * r.frequencies[i];
    cosines[i] = std::cos(angle) * r.amplitude;
    sines[i] = std::sin(angle) * r.amplitude;
  }
}

void turn(const Rotary& r, const float* cosines, const float* sines, float* row) {
  const int64_t half = r.dims / 2;
  const int64_t apart = r.traditional ? 1 : half;
  const int64_t step = r.traditional ? 2 : 1;
  for (int64_t i = 0; i < half; ++i) {
    const float a = row[i * step];
    const float b = row[i * step + apart];
    row[i * step] = a * cosines[i] - b * sines[i];
    row[i * step + apart] = a * sines[i] + b * cosines[i];
  }
}

// All heads of one position.
void turn_position(const Rotary& r, int64_t batch, int64_t t) {
  const auto half = static_cast<size_t>(r.dims / 2);
  std::vector<float> angles(2 * half);
  fill_angles(r, first_position(r, batch) + t, angles.data(), angles.data() + half);
  std::vector<float> row(static_cast<size_t>(r.size));
  for (int64_t h = 0; h < r.heads; ++h) {
    const int64_t in = batch * r.x_batch_stride + h * r.x_head_stride + t * r.x_row_stride;
    const int64_t out = batch * r.out_batch_stride + h * r.out_head_stride + t * r.out_row_stride;
    cast(r.dtype, at_element(r.x, in, r.dtype), DType::F32, row.data(), r.size);
    turn(r, angles.data(), angles.data() + half, row.data());
    cast(DType::F32, row.data(), r.dtype, at_element(r.out, out, r.dtype), r.size);
  }
}

}  // namespace

void rotate(ThreadPool& pool, const Rotary& r) {
  const int64_t grain = std::max<int64_t>(1, values_a_piece / std::max<int64_t>(1, r.heads * r.size));
  pool.parallel_for(r.batch * r.length, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) turn_position(r, i / r.length, i % r.length);
  });
}

}  // namespace pippin
