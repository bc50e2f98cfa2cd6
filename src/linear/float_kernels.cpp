#include "linear/float_kernels.h"

#include <algorithm>
#include <vector>

#include "linear/scalar_floats.h"
#include "tensor/isa.h"
#include "tensor/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "linear/float_kernels.cpp"
#include "hwy/foreach_target.h"

#include "hwy/contrib/math/math-inl.h"
#include "tensor/lanes_inl.h"

HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {
#if PIPPIN_HAS_LANES
namespace {

// Calls use(vector) for all of x, with `filler` where the last vector goes beyond the end.
template <typename Use>
HWY_INLINE void for_vectors(const float* x, int64_t count, float filler, const Use& use) {
  int64_t i = 0;
  for (; i + lane_count <= count; i += lane_count) use(hn::LoadU(floats, x + i));
  if (i == count) return;
  float rest[lane_count];
  std::fill_n(rest, lane_count, filler);
  std::copy_n(x + i, count - i, rest);
  use(hn::LoadU(floats, rest));
}

// x[i] = change(x[i]).
template <typename Change>
HWY_INLINE void change_all(float* x, int64_t count, const Change& change) {
  int64_t i = 0;
  for (; i + lane_count <= count; i += lane_count) hn::StoreU(change(hn::LoadU(floats, x + i)), floats, x + i);
  if (i == count) return;
  float rest[lane_count] = {};
  std::copy_n(x + i, count - i, rest);
  hn::StoreU(change(hn::LoadU(floats, rest)), floats, rest);
  std::copy_n(rest, count - i, x + i);
}

float sum(const float* x, int64_t count) {
  auto total = hn::Zero(floats);
  for_vectors(x, count, 0.0f, [&](FloatVector v) HWY_ATTR { total = hn::Add(total, v); });
  return hn::GetLane(hn::SumOfLanes(floats, total));
}

float sum_of_squares(const float* x, float center, int64_t count) {
  auto total = hn::Zero(floats);
  const auto middle = hn::Set(floats, center);
  for_vectors(x, count, center, [&](FloatVector v) HWY_ATTR {
    const auto distance = hn::Sub(v, middle);
    total = hn::MulAdd(distance, distance, total);
  });
  return hn::GetLane(hn::SumOfLanes(floats, total));
}

// Highway's exponential gives 0 far below, but not for infinities.
HWY_INLINE FloatVector exponential(FloatVector x) {
  const auto bounded = hn::Min(hn::Max(x, hn::Set(floats, -200.0f)), hn::Set(floats, 89.0f));
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(floats, bounded));
}

float exponentials(float* x, float most, int64_t count) {
  const auto top = hn::Set(floats, most);
  change_all(x, count, [&](FloatVector v) HWY_ATTR { return exponential(hn::Sub(v, top)); });
  return sum(x, count);
}

// 1 / (1 + exp(-x))
HWY_INLINE FloatVector sigmoid(FloatVector x) {
  const auto one = hn::Set(floats, 1.0f);
  return hn::Div(one, hn::Add(one, exponential(hn::Neg(x))));
}

// 1 - 2 / (1 + exp(2x)) loses what is small: there the odd series takes over.
HWY_INLINE FloatVector hyperbolic_tangent(FloatVector x) {
  const auto square = hn::Mul(x, x);
  auto series = hn::Set(floats, 62.0f / 2835);
  series = hn::MulAdd(series, square, hn::Set(floats, -17.0f / 315));
  series = hn::MulAdd(series, square, hn::Set(floats, 2.0f / 15));
  series = hn::MulAdd(series, square, hn::Set(floats, -1.0f / 3));
  series = hn::MulAdd(hn::Mul(series, square), x, x);
  const auto large =
      hn::Sub(hn::Set(floats, 1.0f), hn::Mul(hn::Set(floats, 2.0f), sigmoid(hn::Mul(x, hn::Set(floats, -2.0f)))));
  return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(floats, 0.25f)), series, large);
}

void soft_cap(float* x, float cap, int64_t count) {
  const auto limit = hn::Set(floats, cap);
  change_all(x, count, [&](FloatVector v) HWY_ATTR { return hn::Mul(limit, hyperbolic_tangent(hn::Div(v, limit))); });
}

HWY_INLINE FloatVector gelu_by_tanh(FloatVector x) {
  const auto cubic = hn::Mul(hn::Mul(hn::Mul(x, x), x), hn::Set(floats, 0.044715f));
  const auto inner = hn::Mul(hn::Set(floats, 0.79788456080286536f), hn::Add(x, cubic));
  return hn::Mul(hn::Mul(x, hn::Set(floats, 0.5f)), hn::Add(hn::Set(floats, 1.0f), hyperbolic_tangent(inner)));
}

void activate(Activation activation, float* x, int64_t count) {
  const auto zero = hn::Zero(floats);
  switch (activation) {
    case Activation::silu:
      return change_all(x, count, [](FloatVector v) HWY_ATTR { return hn::Mul(v, sigmoid(v)); });
    case Activation::gelu_tanh:
      return change_all(x, count, [](FloatVector v) HWY_ATTR { return gelu_by_tanh(v); });
    case Activation::gelu_sigmoid:
      return change_all(
          x, count, [](FloatVector v) HWY_ATTR { return hn::Mul(v, sigmoid(hn::Mul(v, hn::Set(floats, 1.702f)))); });
    case Activation::relu:
      return change_all(x, count, [&](FloatVector v) HWY_ATTR { return hn::Max(v, zero); });
    case Activation::relu_squared:
      return change_all(x, count, [&](FloatVector v) HWY_ATTR { return hn::Mul(hn::Max(v, zero), hn::Max(v, zero)); });
    default:
      return scalar_activate(activation, x, count);
  }
}

void clamped_silu(float* gate, float alpha, float limit, int64_t count) {
  change_all(gate, count, [&](FloatVector v) HWY_ATTR {
    const auto g = hn::Min(v, hn::Set(floats, limit));
    return hn::Mul(g, sigmoid(hn::Mul(g, hn::Set(floats, alpha))));
  });
}

// `rows` rows by 4 vectors of columns (or `vectors`, where fewer are left).
template <int rows, int vectors>
HWY_INLINE void add_weighted_tile(const WeightedSum& job, int64_t row, int64_t column) {
  FloatVector total[rows][vectors];
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vectors; ++v) {
      total[r][v] = hn::LoadU(floats, job.out + (row + r) * job.out_stride + column + v * lane_count);
    }
  }
  const float* weights = job.weights + row * job.weights_stride;
  for (int64_t i = 0; i < job.count; ++i) {
    FloatVector value[vectors];
    for (int v = 0; v < vectors; ++v) {
      value[v] = hn::LoadU(floats, job.values + i * job.values_stride + column + v * lane_count);
    }
    for (int r = 0; r < rows; ++r) {
      const auto weight = hn::Set(floats, weights[r * job.weights_stride + i]);
      for (int v = 0; v < vectors; ++v) total[r][v] = hn::MulAdd(weight, value[v], total[r][v]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vectors; ++v) {
      hn::StoreU(total[r][v], floats, job.out + (row + r) * job.out_stride + column + v * lane_count);
    }
  }
}

template <int rows>
HWY_INLINE void add_weighted_rows(const WeightedSum& job, int64_t row) {
  constexpr int vectors = HWY_TARGET == HWY_AVX2 ? 2 : 4;
  int64_t c = 0;
  for (; c + vectors * lane_count <= job.columns; c += vectors * lane_count)
    add_weighted_tile<rows, vectors>(job, row, c);
  for (; c < job.columns; c += lane_count) add_weighted_tile<rows, 1>(job, row, c);
}

void add_weighted(const WeightedSum& job) {
  int64_t r = 0;
  for (; r + 4 <= job.rows; r += 4) add_weighted_rows<4>(job, r);
  for (; r < job.rows; ++r) add_weighted_rows<1>(job, r);
}

}  // namespace

FloatKernels kernels_for_floats() {
  return {hwy::TargetName(HWY_TARGET),
          HWY_TARGET,
          sum,
          sum_of_squares,
          exponentials,
          soft_cap,
          activate,
          clamped_silu,
          add_weighted};
}
#else
FloatKernels kernels_for_floats() {
  return {};
}
#endif
}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pippin {

std::span<const FloatKernels> float_kernels() {
  static const std::vector<FloatKernels> kernels = [] {
    FloatKernels (*const best_first[])() = {HWY_CHOOSE_TARGET_LIST(kernels_for_floats)};
    const FloatKernels scalar{"SCALAR",
                              0,
                              scalar_sum,
                              scalar_sum_of_squares,
                              scalar_exponentials,
                              scalar_soft_cap,
                              scalar_activate,
                              scalar_clamped_silu,
                              scalar_add_weighted};
    return runnable_kernels<FloatKernels>(best_first, scalar);
  }();
  return kernels;
}

const FloatKernels& chosen_float_kernels() {
  static const FloatKernels& chosen = chosen_kernels(float_kernels());
  return chosen;
}

}  // namespace pippin
#endif
