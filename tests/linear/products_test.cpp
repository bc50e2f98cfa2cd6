// Products of every form of weight against sums in double over the dequantized values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "linear/product_kernels.h"
#include "linear/random_weights.h"

namespace pippin {
namespace {

std::vector<QuantFormat> all_formats() {
  std::vector<QuantFormat> formats;
  for (const QuantModeRow& row : quant_modes()) {
    for (const int bits : row.bits) {
      for (const int group_size : row.group_sizes) formats.push_back({row.mode, bits, group_size});
    }
  }
  return formats;
}

// The largest error, in units of the bound that linear.h states.
double worst_error(const Weight& w, const ProductKernels& kernels, int64_t m) {
  const int64_t n = w.view.rows, k = w.view.columns;
  const ColumnOrder order = kernels.order(w.view);
  const auto x = random_values(m * k, 1.0f, 11);
  const int64_t stride = order.padded() + order.sums();
  std::vector<float> prepared(static_cast<size_t>(m * stride));
  std::vector<PreparedRow> rows;
  for (int64_t i = 0; i < m; ++i) {
    std::vector<float> natural(x.begin() + i * k, x.begin() + (i + 1) * k);
    natural.resize(static_cast<size_t>(order.padded()));
    kernels.prepare(order, natural.data(), prepared.data() + i * stride);
    rows.push_back(prepared.data() + i * stride);
  }
  const int64_t matrix = w.view.matrices - 1;
  std::vector<float> few(static_cast<size_t>(m * n)), many(few);
  kernels.few({{&w.view, matrix, 0, n}, rows, few.data(), n});
  std::vector<float> panel(static_cast<size_t>((n + 3) / 4 * 4 * order.padded()));
  kernels.decode({&w.view, matrix, 0, n}, panel.data(), order.padded());
  kernels.many({panel.data(), order.padded(), n, order.padded(), rows, many.data(), n});
  double worst = 0;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0, size = 0;
      for (int64_t c = 0; c < k; ++c) {
        const double product =
            w.exact[static_cast<size_t>((matrix * n + j) * k + c)] * x[static_cast<size_t>(i * k + c)];
        sum += product;
        size += std::abs(product);
      }
      const double bound = (static_cast<double>(k) / 64 + 16) * 0x1p-24 * size * 2;
      for (const auto& found : {few, many}) {
        worst = std::max(worst, std::abs(found[static_cast<size_t>(i * n + j)] - sum) / bound);
      }
    }
  }
  return worst;
}

TEST(Products, EveryFormatOnEveryInstructionSetAtOddSizes) {
  for (const ProductKernels& kernels : product_kernels()) {
    for (const QuantFormat& format : all_formats()) {
      for (const int64_t groups : {1, 3, 9}) {
        const Weight w = packed_weight(format, DType::BF16, 2, 7, groups * format.group_size);
        for (const int64_t m : {1, 2, 3, 5, 8}) {
          EXPECT_LT(worst_error(w, kernels, m), 1)
              << kernels.isa << " " << row_of(format.mode).name << " " << format.bits << " " << format.group_size
              << " m " << m << " groups " << groups;
        }
      }
    }
  }
}

TEST(Products, EveryDenseDtypeAtOddSizes) {
  for (const ProductKernels& kernels : product_kernels()) {
    for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
      for (const int64_t k : {1, 3, 32, 63, 64, 65, 200}) {
        for (const int64_t m : {1, 2, 9}) {
          EXPECT_LT(worst_error(dense_weight(dtype, 2, 5, k), kernels, m), 1)
              << kernels.isa << " " << name_of(dtype) << " k " << k << " m " << m;
        }
      }
    }
  }
}

}  // namespace
}  // namespace pippin
