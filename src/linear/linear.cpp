#include "linear/linear.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "linear/layer_products.h"
#include "linear/prepared_rows.h"

namespace pippin {
namespace {

std::vector<const void*> rows_of(const InputRows& x) {
  std::vector<const void*> rows(static_cast<size_t>(x.count));
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = at_element(x.data, static_cast<int64_t>(i) * x.stride, x.dtype);
  }
  return rows;
}

// The products of one layer of experts: those that were chosen.
std::vector<MatrixProduct> expert_products(const PreparedRows::Rows& rows, DType dtype, const ExpertChoice& choice,
                                           const LinearOutput& output) {
  const WeightView& weight = output.weight;
  std::vector<MatrixProduct> experts(static_cast<size_t>(weight.matrices));
  for (int64_t r = 0; r < choice.tokens * choice.choices; ++r) {
    void* y = at_element(output.data, r * output.stride, dtype);
    const int64_t e = choice.experts[r];
    if (e < 0 || e >= weight.matrices) {
      std::memset(y, 0, static_cast<size_t>(weight.rows) * size_of(dtype));
      continue;
    }
    MatrixProduct& product = experts[static_cast<size_t>(e)];
    product.weight = &weight;
    product.matrix = e;
    product.bias = output.bias == nullptr ? nullptr : at_element(output.bias, e * weight.rows, output.bias_dtype);
    product.bias_dtype = output.bias_dtype;
    product.x.push_back(rows.row(choice.x_per_choice ? r : r / choice.choices));
    product.y.push_back(y);
  }
  std::erase_if(experts, [](const MatrixProduct& product) { return product.x.empty(); });
  return experts;
}

}  // namespace

void linear(ThreadPool& pool, const InputRows& x, std::span<const LinearOutput> outputs) {
  const ProductKernels& kernels = chosen_product_kernels();
  PreparedRows prepared(pool, kernels, x.dtype, x.columns, rows_of(x));
  std::vector<MatrixProduct> products;
  products.reserve(outputs.size());
  for (const LinearOutput& output : outputs) {
    const PreparedRows::Rows rows = prepared.in_order_of(output.weight);
    MatrixProduct product{&output.weight, 0, output.bias, output.bias_dtype, {}, {}};
    for (int64_t i = 0; i < x.count; ++i) {
      product.x.push_back(rows.row(i));
      product.y.push_back(at_element(output.data, i * output.stride, x.dtype));
    }
    products.push_back(std::move(product));
  }
  multiply(pool, kernels, x.dtype, products);
}

void linear(ThreadPool& pool, const InputRows& x, const LinearOutput& output) {
  linear(pool, x, std::span(&output, 1));
}

void switch_linear(ThreadPool& pool, const InputRows& x, const ExpertChoice& choice,
                   std::span<const LinearOutput> outputs) {
  const ProductKernels& kernels = chosen_product_kernels();
  PreparedRows prepared(pool, kernels, x.dtype, x.columns, rows_of(x));
  std::vector<MatrixProduct> products;
  for (const LinearOutput& output : outputs) {
    const PreparedRows::Rows rows = prepared.in_order_of(output.weight);
    std::ranges::move(expert_products(rows, x.dtype, choice, output), std::back_inserter(products));
  }
  multiply(pool, kernels, x.dtype, products);
}

}  // namespace pippin
