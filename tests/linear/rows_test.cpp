// Norms, rotary embedding and activations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "linear/activation.h"
#include "linear/float_kernels.h"
#include "linear/normalization.h"
#include "linear/random_weights.h"
#include "linear/rotary.h"

namespace pippin {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::Pointwise;

NormRows rows_of(const std::vector<float>& x, std::vector<float>& out, int64_t size) {
  return {DType::F32, x.data(), size, out.data(), size, static_cast<int64_t>(x.size()) / size, size};
}

TEST(RmsNorm, DividesByTheRootMeanSquare) {
  ThreadPool pool(1);
  const std::vector<float> x{3, 4, 0, 10}, weight{2, 1};
  std::vector<float> out(4);
  rms_norm(pool, rows_of(x, out, 2), weight.data(), 0.0f);
  EXPECT_THAT(out, ElementsAre(FloatEq(6 / std::sqrt(12.5f)), FloatEq(4 / std::sqrt(12.5f)), 0,
                               FloatEq(10 / std::sqrt(50.0f))));
  rms_norm(pool, rows_of(x, out, 2), weight.data(), 0.0f, 1.0f);
  EXPECT_FLOAT_EQ(out[0], 9 / std::sqrt(12.5f));
  rms_norm(pool, rows_of(x, out, 2), nullptr, 37.5f);
  EXPECT_FLOAT_EQ(out[1], 4 / std::sqrt(50.0f));
}

TEST(RmsNorm, OfASumThatIsKept) {
  ThreadPool pool(1);
  const std::vector<float> x{1, 2}, y{2, 2};
  std::vector<float> out(2), sum(2);
  add_rms_norm(pool, rows_of(x, out, 2), y.data(), sum.data(), nullptr, 0.0f);
  EXPECT_THAT(sum, ElementsAre(3, 4));
  EXPECT_FLOAT_EQ(out[1], 4 / std::sqrt(12.5f));
}

TEST(LayerNorm, MeanZeroVarianceOne) {
  ThreadPool pool(1);
  const std::vector<float> x{1, 3}, weight{2, 2}, bias{10, 20};
  std::vector<float> out(2);
  layer_norm(pool, rows_of(x, out, 2), weight.data(), bias.data(), 0.0f);
  EXPECT_THAT(out, ElementsAre(8, 22));
}

Rotary rotary_of(const std::vector<float>& x, std::vector<float>& out, const std::vector<float>& frequencies) {
  Rotary r;
  r.size = static_cast<int64_t>(x.size());
  r.x = x.data();
  r.out = out.data();
  r.dims = 4;
  r.frequencies = frequencies.data();
  return r;
}

TEST(Rotary, TurnsHalvesOrNeighboursAndCopiesTheRest) {
  ThreadPool pool(1);
  const std::vector<float> x{1, 2, 3, 4, 5}, frequencies{0.5f, 0.25f};
  std::vector<float> out(5);
  Rotary r = rotary_of(x, out, frequencies);
  r.offset = 2;
  rotate(pool, r);
  const float c1 = std::cos(1.0f), s1 = std::sin(1.0f), c2 = std::cos(0.5f), s2 = std::sin(0.5f);
  EXPECT_THAT(out, Pointwise(FloatEq(), {c1 - 3 * s1, 2 * c2 - 4 * s2, s1 + 3 * c1, 2 * s2 + 4 * c2, 5.0f}));
  r.traditional = true;
  r.amplitude = 2;
  rotate(pool, r);
  EXPECT_THAT(out, Pointwise(FloatNear(1e-5f), {2 * (c1 - 2 * s1), 2 * (s1 + 2 * c1), 2 * (3 * c2 - 4 * s2),
                                                2 * (3 * s2 + 4 * c2), 5.0f}));
}

TEST(Rotary, PositionsByBatchAndRow) {
  ThreadPool pool(1);
  const std::vector<float> x{1, 0, 1, 0, 1, 0, 1, 0}, frequencies{1.0f};
  std::vector<float> out(8);
  Rotary r = rotary_of(x, out, frequencies);
  r.batch = 2;
  r.length = 2;
  r.size = r.dims = 2;
  r.x_batch_stride = r.out_batch_stride = 4;
  r.x_row_stride = r.out_row_stride = 2;
  const std::vector<int64_t> offsets{0, 5};
  r.offsets = offsets.data();
  rotate(pool, r);
  EXPECT_THAT(out, Pointwise(FloatEq(), {1.0f, 0.0f, std::cos(1.0f), std::sin(1.0f), std::cos(5.0f), std::sin(5.0f),
                                         std::cos(6.0f), std::sin(6.0f)}));
}

double exact(Activation activation, double x) {
  switch (activation) {
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::gelu_sigmoid:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::relu_squared:
      return std::max(x, 0.0) * std::max(x, 0.0);
  }
  return 0;
}

TEST(Activation, EveryOneOnEveryInstructionSet) {
  for (const FloatKernels& kernels : float_kernels()) {
    for (int a = 0; a <= static_cast<int>(Activation::relu_squared); ++a) {
      std::vector<float> x;
      for (int i = -1200; i <= 1200; ++i) x.push_back(static_cast<float>(i) / 100);
      x.push_back(-100);
      x.push_back(100);
      std::vector<float> y = x;
      kernels.activate(static_cast<Activation>(a), y.data(), static_cast<int64_t>(y.size()));
      for (size_t i = 0; i < x.size(); ++i) {
        const double expected = exact(static_cast<Activation>(a), x[i]);
        ASSERT_NEAR(y[i], expected, 1e-6 * std::abs(expected) + 4e-7 * std::min(1.0f, std::abs(x[i])))
            << kernels.isa << " activation " << a << " of " << x[i];
      }
    }
  }
}

TEST(Activation, GatedInBf16RoundsOnce) {
  ThreadPool pool(2);
  const auto gate_bytes = stored(random_values(9000, 2.0f, 1), DType::BF16);
  const auto up_bytes = stored(random_values(9000, 2.0f, 2), DType::BF16);
  std::vector<char> out_bytes(gate_bytes.size());
  activate_gated(pool, Activation::silu, DType::BF16, gate_bytes.data(), up_bytes.data(), out_bytes.data(), 9000);
  const auto gate = loaded(gate_bytes, DType::BF16), up = loaded(up_bytes, DType::BF16);
  const auto out = loaded(out_bytes, DType::BF16);
  for (size_t i = 0; i < out.size(); ++i) {
    const double expected = exact(Activation::silu, gate[i]) * up[i];
    ASSERT_NEAR(out[i], expected, 0x1.01p-8 * std::abs(expected) + 1e-30);
  }
}

TEST(Activation, Clamped) {
  ThreadPool pool(1);
  const std::vector<float> gate{9, 1}, up{-9, 0.5f};
  std::vector<float> out(2);
  activate_clamped(pool, DType::F32, gate.data(), up.data(), out.data(), 2, 1.702f, 7.0f);
  EXPECT_NEAR(out[0], 7 / (1 + std::exp(-1.702 * 7)) * -6, 1e-5);
  EXPECT_NEAR(out[1], 1 / (1 + std::exp(-1.702)) * 1.5, 1e-6);
}

TEST(FloatKernels, SumsAndExponentialsAtOddLengths) {
  for (const FloatKernels& kernels : float_kernels()) {
    std::vector<float> x{0, -1, -2, -INFINITY, -500, -0.5f, -3};
    EXPECT_NEAR(kernels.exponentials(x.data(), 0.0f, 7), 1 + 0.36787944 + 0.13533528 + 0.60653066 + 0.04978707, 1e-6);
    EXPECT_EQ(x[3], 0.0f) << kernels.isa;
    EXPECT_LT(x[4], 1e-30f);
    const std::vector<float> y(37, 2.0f);
    EXPECT_EQ(kernels.sum(y.data(), 37), 74.0f);
    EXPECT_EQ(kernels.sum_of_squares(y.data(), 1.0f, 37), 37.0f);
    std::vector<float> z{-200, -1, 0.001f, 0.2f, 30};
    kernels.soft_cap(z.data(), 50, 5);
    EXPECT_NEAR(z[0], 50 * std::tanh(-4.0), 1e-5);
    EXPECT_NEAR(z[2], 0.001, 1e-9);
    EXPECT_NEAR(z[3], 50 * std::tanh(0.004), 1e-7);
    EXPECT_NEAR(z[4], 50 * std::tanh(0.6), 1e-5);
  }
}

}  // namespace
}  // namespace pippin
