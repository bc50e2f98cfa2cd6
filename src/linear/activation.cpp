#include "linear/activation.h"

#include <algorithm>

#include "linear/float_kernels.h"
#include "linear/layer_products.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

constexpr int64_t values_a_piece = 4096;
constexpr int64_t values_a_step = 512;

// Calls change(x, y, count) for short runs as floats, and stores what it leaves in x. y may be null.
template <typename Change>
void for_values(ThreadPool& pool, DType dtype, const void* x, const void* y, void* out, int64_t count,
                const Change& change) {
  pool.parallel_for(count, values_a_piece, [&](int64_t begin, int64_t end) {
    float left[values_a_step];
    float right[values_a_step];
    for (int64_t i = begin; i < end; i += values_a_step) {
      const int64_t run = std::min(values_a_step, end - i);
      cast(dtype, at_element(x, i, dtype), DType::F32, left, run);
      if (y != nullptr) cast(dtype, at_element(y, i, dtype), DType::F32, right, run);
      change(left, right, run);
      cast(DType::F32, left, dtype, at_element(out, i, dtype), run);
    }
  });
}

}  // namespace

void activate(ThreadPool& pool, Activation activation, DType dtype, const void* x, void* out, int64_t count) {
  const FloatKernels& kernels = chosen_float_kernels();
  for_values(pool, dtype, x, nullptr, out, count,
             [&](float* values, const float*, int64_t run) { kernels.activate(activation, values, run); });
}

void activate_gated(ThreadPool& pool, Activation activation, DType dtype, const void* gate, const void* up, void* out,
                    int64_t count) {
  const FloatKernels& kernels = chosen_float_kernels();
  for_values(pool, dtype, gate, up, out, count, [&](float* gates, const float* ups, int64_t run) {
    kernels.activate(activation, gates, run);
    for (int64_t i = 0; i < run; ++i) gates[i] *= ups[i];
  });
}

void activate_clamped(ThreadPool& pool, DType dtype, const void* gate, const void* up, void* out, int64_t count,
                      float alpha, float limit) {
  const FloatKernels& kernels = chosen_float_kernels();
  for_values(pool, dtype, gate, up, out, count, [&](float* gates, const float* ups, int64_t run) {
    kernels.clamped_silu(gates, alpha, limit, run);
    for (int64_t i = 0; i < run; ++i) gates[i] *= std::clamp(ups[i], -limit, limit) + 1.0f;
  });
}

}  // namespace pippin
