#include "linear/scalar_floats.h"

#include <algorithm>
#include <cmath>

namespace pippin {
namespace {

float activated(Activation activation, float x) {
  switch (activation) {
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return x * 0.5f * (1 + std::erf(x * 0.70710678118654752f));
    case Activation::gelu_tanh:
      return x * 0.5f * (1 + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case Activation::gelu_sigmoid:
      return x / (1 + std::exp(-1.702f * x));
    case Activation::relu:
      return x > 0 ? x : 0.0f;
    case Activation::relu_squared:
      return x > 0 ? x * x : 0.0f;
  }
  return x;
}

}  // namespace

float scalar_sum(const float* x, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i];
  return static_cast<float>(sum);
}

float scalar_sum_of_squares(const float* x, float center, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i] - center) * (x[i] - center);
  return static_cast<float>(sum);
}

float scalar_exponentials(float* x, float most, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    x[i] = std::exp(x[i] - most);
    sum += x[i];
  }
  return static_cast<float>(sum);
}

void scalar_soft_cap(float* x, float cap, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] = cap * std::tanh(x[i] / cap);
}

void scalar_activate(Activation activation, float* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] = activated(activation, x[i]);
}

void scalar_clamped_silu(float* gate, float alpha, float limit, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = std::min(gate[i], limit);
    gate[i] = g / (1 + std::exp(-alpha * g));
  }
}

void scalar_add_weighted(const WeightedSum& job) {
  for (int64_t r = 0; r < job.rows; ++r) {
    float* out = job.out + r * job.out_stride;
    for (int64_t i = 0; i < job.count; ++i) {
      const float weight = job.weights[r * job.weights_stride + i];
      for (int64_t c = 0; c < job.columns; ++c) out[c] += weight * job.values[i * job.values_stride + c];
    }
  }
}

}  // namespace pippin
