// Loops over rows of floats: what norms, activations and attention are made of. One row of the table for each
// instruction set.
#pragma once

#include <cstdint>
#include <span>

#include "linear/activation.h"

namespace pippin {

// out[r, c] += sum over i < count of weights[r, i] * values[i, c], for r < rows, c < columns.
struct WeightedSum {
  const float* weights;
  int64_t weights_stride;
  int64_t rows;
  const float* values;
  int64_t values_stride;
  int64_t count;
  float* out;
  int64_t out_stride;
  int64_t columns;  // a multiple of 16
};

struct FloatKernels {
  const char* isa;
  int64_t target;  // Highway's bit of the instruction set
  float (*sum)(const float* x, int64_t count);
  // Of the squares of x[i] - center.
  float (*sum_of_squares)(const float* x, float center, int64_t count);
  // x[i] = exp(x[i] - most); returns the sum.
  float (*exponentials)(float* x, float most, int64_t count);
  // x[i] = cap * tanh(x[i] / cap)
  void (*soft_cap)(float* x, float cap, int64_t count);
  // x[i] = f(x[i]); not for gelu.
  void (*activate)(Activation activation, float* x, int64_t count);
  // gate[i] = g / (1 + exp(-alpha g)), g = min(gate[i], limit)
  void (*clamped_silu)(float* gate, float alpha, float limit, int64_t count);
  void (*add_weighted)(const WeightedSum& job);
};

// The kernels that this machine can run, best first; the last is "SCALAR".
std::span<const FloatKernels> float_kernels();
const FloatKernels& chosen_float_kernels();

}  // namespace pippin
