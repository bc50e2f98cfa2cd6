// Layers as the runtime calls them, against sums in double.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "linear/linear.h"
#include "linear/random_weights.h"

namespace pippin {
namespace {

constexpr QuantFormat four_bits{QuantMode::affine, 4, 64};

double exact_dot(const Weight& w, int64_t matrix, int64_t row, const float* x) {
  double sum = 0;
  for (int64_t c = 0; c < w.view.columns; ++c) {
    sum += w.exact[static_cast<size_t>((matrix * w.view.rows + row) * w.view.columns + c)] * x[c];
  }
  return sum;
}

// Half a unit of the dtype, and some for the sums in float.
double noise(DType dtype, double value) {
  const double unit = dtype == DType::BF16 ? 0x1p-8 : dtype == DType::F16 ? 0x1p-11 : 0x1p-22;
  return unit * std::abs(value) + 3e-5;
}

// y = W x + bias for m rows, x in a wider array; every element is within the noise.
void expect_linear(DType dtype, int64_t m, int64_t n, int64_t k, const Weight& w) {
  ThreadPool pool(2);
  const int64_t x_stride = k + 5, y_stride = n + 3;
  const auto x_bytes = stored(random_values(m * x_stride, 1.0f, 5), dtype);
  const auto x = loaded(x_bytes, dtype);
  const auto bias = random_values(n, 1.0f, 6);
  std::vector<char> y_bytes(static_cast<size_t>(m * y_stride) * size_of(dtype));
  linear(pool, {dtype, x_bytes.data(), m, k, x_stride}, {w.view, bias.data(), DType::F32, y_bytes.data(), y_stride});
  const auto y = loaded(y_bytes, dtype);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const double expected = exact_dot(w, 0, j, x.data() + i * x_stride) + bias[static_cast<size_t>(j)];
      ASSERT_NEAR(y[static_cast<size_t>(i * y_stride + j)], expected, noise(dtype, expected))
          << "m " << m << " row " << i << " column " << j;
    }
  }
}

TEST(Linear, FewAndManyRowsInEveryDtype) {
  const Weight w = packed_weight(four_bits, DType::BF16, 1, 130, 192);
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    for (const int64_t m : {1, 2, 4, 7, 8, 9, 33, 70}) expect_linear(dtype, m, 130, 192, w);
  }
}

TEST(Linear, DepthBeyondATile) {
  expect_linear(DType::F32, 13, 37, 3200, packed_weight(four_bits, DType::F16, 1, 37, 3200));
  expect_linear(DType::F32, 13, 37, 3201, dense_weight(DType::F32, 1, 37, 3201));
}

TEST(Linear, SeveralLayersOfOneInputMayHaveDifferentForms) {
  ThreadPool pool(2);
  const Weight a = packed_weight(four_bits, DType::BF16, 1, 20, 128);
  const Weight b = packed_weight({QuantMode::affine, 6, 32}, DType::BF16, 1, 33, 128);
  const Weight c = dense_weight(DType::BF16, 1, 5, 128);
  const auto x = random_values(2 * 128, 1.0f, 2);
  std::vector<float> ya(40), yb(66), yc(10);
  const LinearOutput outputs[] = {{a.view, nullptr, DType::F32, ya.data(), 20},
                                  {b.view, nullptr, DType::F32, yb.data(), 33},
                                  {c.view, nullptr, DType::F32, yc.data(), 5}};
  linear(pool, {DType::F32, x.data(), 2, 128, 128}, outputs);
  EXPECT_NEAR(ya[39], exact_dot(a, 0, 19, x.data() + 128), 1e-5);
  EXPECT_NEAR(yb[65], exact_dot(b, 0, 32, x.data() + 128), 1e-5);
  EXPECT_NEAR(yc[9], exact_dot(c, 0, 4, x.data() + 128), 1e-5);
}

TEST(Linear, TheSameBitsOnOneThreadAndOnMany) {
  const Weight w = packed_weight(four_bits, DType::BF16, 1, 1000, 256);
  for (const int64_t m : {1, 3, 40}) {
    const auto x = random_values(m * 256, 1.0f, 9);
    std::vector<std::vector<float>> found;
    for (const int threads : {1, 2, 5}) {
      ThreadPool pool(threads);
      std::vector<float> y(static_cast<size_t>(m * 1000));
      linear(pool, {DType::F32, x.data(), m, 256, 256}, {w.view, nullptr, DType::F32, y.data(), 1000});
      found.push_back(y);
    }
    EXPECT_EQ(found[0], found[1]);
    EXPECT_EQ(found[0], found[2]);
  }
}

TEST(Linear, TheMultiplierOfAMatrixCounts) {
  ThreadPool pool(1);
  Weight w = packed_weight({QuantMode::nvfp4, 4, 16}, DType::BF16, 1, 3, 16);
  const float half = 0.5f;
  w.view.multipliers = &half;
  const auto x = random_values(16, 1.0f, 2);
  std::vector<float> y(3);
  linear(pool, {DType::F32, x.data(), 1, 16, 16}, {w.view, nullptr, DType::F32, y.data(), 3});
  EXPECT_NEAR(y[2], 0.5 * exact_dot(w, 0, 2, x.data()), 1e-6);
}

TEST(SwitchLinear, EachChoiceGetsItsExpert) {
  ThreadPool pool(2);
  const Weight w = packed_weight(four_bits, DType::BF16, 5, 12, 64);
  const auto x = random_values(3 * 64, 1.0f, 2);
  const auto bias = random_values(5 * 12, 1.0f, 3);
  const std::vector<int32_t> experts{4, 0, 2, 4, 9, 1};
  std::vector<float> y(6 * 12, 7.0f);
  const LinearOutput output{w.view, bias.data(), DType::F32, y.data(), 12};
  switch_linear(pool, {DType::F32, x.data(), 3, 64, 64}, {experts.data(), 3, 2, false}, std::span(&output, 1));
  for (size_t r = 0; r < 6; ++r) {
    for (int64_t j = 0; j < 12; ++j) {
      const double expected = experts[r] == 9 ? 0
                                              : exact_dot(w, experts[r], j, x.data() + r / 2 * 64) +
                                                    bias[static_cast<size_t>(experts[r] * 12 + j)];
      EXPECT_NEAR(y[r * 12 + static_cast<size_t>(j)], expected, 1e-5);
    }
  }
}

TEST(SwitchLinear, ARowForEachChoice) {
  ThreadPool pool(1);
  const Weight w = dense_weight(DType::F32, 2, 3, 8);
  const auto x = random_values(4 * 8, 1.0f, 2);
  const std::vector<int32_t> experts{1, 0, 0, 1};
  std::vector<float> y(4 * 3);
  const LinearOutput output{w.view, nullptr, DType::F32, y.data(), 3};
  switch_linear(pool, {DType::F32, x.data(), 4, 8, 8}, {experts.data(), 2, 2, true}, std::span(&output, 1));
  EXPECT_NEAR(y[3 * 3 + 1], exact_dot(w, 1, 1, x.data() + 3 * 8), 1e-6);
  EXPECT_NEAR(y[1 * 3 + 2], exact_dot(w, 0, 2, x.data() + 1 * 8), 1e-6);
}

// [batch, heads, m, k] by strides.
TEST(MultiLinear, EachHeadHasItsMatrix) {
  ThreadPool pool(2);
  const Weight w = packed_weight(four_bits, DType::BF16, 3, 10, 64);
  const int64_t batch = 2, m = 2;
  for (const bool transposed : {true, false}) {
    const int64_t in = transposed ? 64 : 10, out = transposed ? 10 : 64;
    const auto x = random_values(batch * 3 * m * in, 1.0f, 4);
    std::vector<float> y(static_cast<size_t>(batch * 3 * m * out));
    multi_linear(pool, {w.view, transposed, DType::F32, batch, m, x.data(), 3 * m * in, m * in, in, y.data(),
                        3 * m * out, m * out, out});
    for (int64_t row = 0; row < batch * 3 * m; ++row) {
      const int64_t head = row / m % 3;
      for (int64_t j = 0; j < out; ++j) {
        double expected = 0;
        for (int64_t c = 0; c < in; ++c) {
          const int64_t at = transposed ? (head * 10 + j) * 64 + c : (head * 10 + c) * 64 + j;
          expected += w.exact[static_cast<size_t>(at)] * x[static_cast<size_t>(row * in + c)];
        }
        ASSERT_NEAR(y[static_cast<size_t>(row * out + j)], expected, 1e-5) << transposed << " " << row << " " << j;
      }
    }
  }
}

TEST(Embed, RowsByNumberAndZerosForNone) {
  const Weight w = packed_weight(four_bits, DType::F32, 1, 4, 64);
  const std::vector<int32_t> ids{3, 7, -1, 0};
  std::vector<float> out(4 * 64, 9.0f);
  embed(w.view, ids, DType::F32, out.data());
  EXPECT_NEAR(out[5], w.exact[3 * 64 + 5], 1e-7);
  EXPECT_EQ(out[64], 0.0f);
  EXPECT_EQ(out[3 * 64 - 1], 0.0f);
  EXPECT_NEAR(out[3 * 64 + 63], w.exact[63], 1e-7);
}

TEST(WeightView, WhatDoesNotFitIsRefused) {
  Weight w = packed_weight(four_bits, DType::BF16, 1, 4, 64);
  EXPECT_TRUE(check(w.view));
  w.view.columns = 96;
  EXPECT_EQ(check(w.view).error().value, "96 columns");
  w.view.columns = 64;
  w.view.dtype = DType::I32;
  EXPECT_FALSE(check(w.view));
  w.view.dtype = DType::BF16;
  w.view.biases = nullptr;
  EXPECT_FALSE(check(w.view));
  w.view.rows = int64_t{1} << 40;
  w.view.columns = int64_t{1} << 40;
  EXPECT_FALSE(check(w.view));
}

}  // namespace
}  // namespace pippin
