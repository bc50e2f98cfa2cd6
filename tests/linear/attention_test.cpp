// Attention against the textbook's in double.
#include "linear/attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "linear/random_weights.h"

namespace pippin {
namespace {

// Arrays in the order [batch, heads, rows, dim], all of one dtype.
struct Case {
  Attention a;
  std::vector<char> q, k, v, out;

  Case(DType dtype, int64_t batch, int64_t heads, int64_t kv_heads, int64_t queries, int64_t length, int64_t key_dim,
       int64_t value_dim) {
    q = stored(random_values(batch * heads * queries * key_dim, 1.0f, 1), dtype);
    k = stored(random_values(batch * kv_heads * length * key_dim, 1.0f, 2), dtype);
    v = stored(random_values(batch * kv_heads * length * value_dim, 1.0f, 3), dtype);
    out.resize(static_cast<size_t>(batch * heads * queries * value_dim) * size_of(dtype));
    a.dtype = dtype;
    a.batch = batch;
    a.heads = heads;
    a.kv_heads = kv_heads;
    a.queries = queries;
    a.length = length;
    a.key_dim = key_dim;
    a.value_dim = value_dim;
    a.q = {q.data(), heads * queries * key_dim, queries * key_dim, key_dim};
    a.k = {k.data(), kv_heads * length * key_dim, length * key_dim, key_dim};
    a.v = {v.data(), kv_heads * length * value_dim, length * value_dim, value_dim};
    a.out = out.data();
    a.out_batch_stride = heads * queries * value_dim;
    a.out_head_stride = queries * value_dim;
    a.out_row_stride = value_dim;
    a.scale = 1 / std::sqrt(static_cast<float>(key_dim));
  }
};

using Change = std::function<double(int64_t batch, int64_t head, int64_t query, int64_t key, double score)>;

double unchanged(int64_t, int64_t, int64_t, int64_t, double score) {
  return score;
}

// `change` turns a scaled score into what the softmax sees. `sinks` are scores without a value.
void expect_right(Case& c, const Change& change, const std::vector<float>& sinks = {}, double tolerance = 2e-5) {
  ThreadPool pool(2);
  attention(pool, c.a);
  const Attention& a = c.a;
  const auto q = loaded(c.q, a.dtype), k = loaded(c.k, a.dtype), v = loaded(c.v, a.dtype), out = loaded(c.out, a.dtype);
  for (int64_t row = 0; row < a.batch * a.heads * a.queries; ++row) {
    const int64_t b = row / (a.heads * a.queries), h = row / a.queries % a.heads, i = row % a.queries;
    const int64_t kv = b * a.kv_heads + h / (a.heads / a.kv_heads);
    double sum = sinks.empty() ? 0 : std::exp(sinks[static_cast<size_t>(h)]);
    std::vector<double> values(static_cast<size_t>(a.value_dim));
    for (int64_t j = 0; j < a.length; ++j) {
      double score = 0;
      for (int64_t d = 0; d < a.key_dim; ++d) {
        score += static_cast<double>(q[static_cast<size_t>(row * a.key_dim + d)]) *
                 k[static_cast<size_t>((kv * a.length + j) * a.key_dim + d)];
      }
      const double weight = std::exp(change(b, h, i, j, score * a.scale));
      sum += weight;
      for (size_t d = 0; d < values.size(); ++d) {
        values[d] += weight * v[static_cast<size_t>((kv * a.length + j) * a.value_dim) + d];
      }
    }
    for (size_t d = 0; d < values.size(); ++d) {
      const double expected = sum == 0 ? 0 : values[d] / sum;
      ASSERT_NEAR(out[static_cast<size_t>(row * a.value_dim) + d], expected, tolerance) << "row " << row << " " << d;
    }
  }
}

TEST(Attention, OneQueryAgainstShortAndLongCaches) {
  for (const int64_t length : {1, 5, 64, 65, 256, 257, 700}) {
    Case c(DType::F32, 2, 6, 2, 1, length, 64, 64);
    c.a.causal = true;
    expect_right(c, unchanged);
  }
}

TEST(Attention, OddDimensionsAndHalfPrecision) {
  Case c(DType::BF16, 1, 4, 4, 3, 70, 40, 24);
  expect_right(c, unchanged, {}, 5e-3);
  Case d(DType::F16, 1, 2, 1, 9, 9, 100, 130);
  expect_right(d, unchanged, {}, 1e-3);
}

TEST(Attention, CausalPromptWithAndWithoutACache) {
  for (const int64_t length : {50, 77, 130}) {
    Case c(DType::F32, 1, 6, 2, 50, length, 32, 32);
    c.a.causal = true;
    expect_right(
        c, [&](int64_t, int64_t, int64_t i, int64_t j, double s) { return j <= i + length - 50 ? s : -INFINITY; });
  }
}

TEST(Attention, SlidingWindow) {
  for (const int64_t queries : {1, 30}) {
    Case c(DType::F32, 1, 2, 1, queries, 300, 16, 16);
    c.a.causal = true;
    c.a.window = 20;
    expect_right(c, [&](int64_t, int64_t, int64_t i, int64_t j, double s) {
      const int64_t position = i + 300 - queries;
      return j <= position && j > position - 20 ? s : -INFINITY;
    });
  }
}

TEST(Attention, CapAndSinks) {
  Case c(DType::F32, 1, 2, 2, 1, 300, 16, 16);
  c.a.scale = 4;
  c.a.softcap = 5;
  const std::vector<float> sinks{1.5f, -2.0f};
  c.a.sinks = sinks.data();
  expect_right(
      c, [](int64_t, int64_t, int64_t, int64_t, double s) { return 5 * std::tanh(s / 5); }, sinks);
}

TEST(Attention, BooleanMaskThatHidesEverythingFromOneQuery) {
  Case c(DType::F32, 1, 2, 1, 3, 5, 8, 8);
  const std::vector<uint8_t> mask{1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0};
  c.a.mask = {MaskKind::boolean, DType::BOOL, mask.data(), 0, 0, 5, 1};
  expect_right(c, [&](int64_t, int64_t, int64_t i, int64_t j, double s) {
    return mask[static_cast<size_t>(i * 5 + j)] != 0 ? s : -INFINITY;
  });
}

TEST(Attention, AdditiveMaskAHead) {
  Case c(DType::F32, 1, 3, 3, 2, 90, 8, 8);
  const auto mask = random_values(3 * 90, 2.0f, 8);
  c.a.mask = {MaskKind::additive, DType::F32, mask.data(), 0, 90, 0, 1};
  expect_right(
      c, [&](int64_t, int64_t h, int64_t, int64_t j, double s) { return s + mask[static_cast<size_t>(h * 90 + j)]; });
}

}  // namespace
}  // namespace pippin
