// Activations element by element. In float inside; F32, F16 or BF16 outside, all arrays of one dtype, contiguous.
// Exponentials are right to 2 units in the last place of a float.
#pragma once

#include <cstdint>

#include "linear/thread_pool.h"
#include "pippin/dtype.h"

namespace pippin {

enum class Activation : uint8_t {
  silu,          // x / (1 + exp(-x))
  gelu,          // x / 2 * (1 + erf(x / sqrt(2)))
  gelu_tanh,     // x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
  gelu_sigmoid,  // x / (1 + exp(-1.702 x))
  relu,          // max(x, 0)
  relu_squared,  // max(x, 0)^2
};

// out[i] = f(x[i]). out may be x.
void activate(ThreadPool& pool, Activation activation, DType dtype, const void* x, void* out, int64_t count);

// out[i] = f(gate[i]) * up[i], rounded once. out may be gate or up.
void activate_gated(ThreadPool& pool, Activation activation, DType dtype, const void* gate, const void* up, void* out,
                    int64_t count);

// Of gpt-oss: g = min(gate, limit), u = clamp(up, -limit, limit), out = g / (1 + exp(-alpha g)) * (u + 1).
void activate_clamped(ThreadPool& pool, DType dtype, const void* gate, const void* up, void* out, int64_t count,
                      float alpha, float limit);

}  // namespace pippin
