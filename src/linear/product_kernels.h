// The inner loops of linear layers, one row of this table for each instruction set.
//
// Codes are used in the order that a register unpacks them in, not in that of the columns; so the input is brought into
// the same order once, and every row of the weight is multiplied with it as it comes.
#pragma once

#include <cstdint>
#include <span>

#include "linear/weight_view.h"

namespace pippin {

// How a kernel wants the columns: in blocks of lanes * per_lane, column lane * per_lane + j of a block at place
// j * lanes + lane. The last block is filled with zeros.
struct ColumnOrder {
  int64_t lanes = 1;
  int64_t per_lane = 1;
  int64_t columns = 0;
  int64_t group_size = 0;  // of affine weights, whose kernels want the sums of groups too; else 0

  [[nodiscard]] int64_t block() const { return lanes * per_lane; }
  [[nodiscard]] int64_t padded() const { return (columns + block() - 1) / block() * block(); }
  [[nodiscard]] int64_t sums() const {
    return group_size == 0 ? 0 : (columns / group_size + lanes - 1) / lanes * lanes;
  }
  friend bool operator==(const ColumnOrder&, const ColumnOrder&) = default;
};

// One row of the input, prepared: padded() floats in order, then sums() sums of groups, filled with zeros.
using PreparedRow = const float*;

// Rows [row, row + count) of one matrix of a weight.
struct WeightRows {
  const WeightView* weight;
  int64_t matrix;
  int64_t row;
  int64_t count;
};

// Writes x[i] . row(j) to out[i * out_stride + j].
struct FewRows {
  WeightRows rows;
  std::span<const PreparedRow> x;
  float* out;
  int64_t out_stride;
};

// The same for rows that are decoded already: panel + j * panel_stride, `depth` floats each, a multiple of the lanes;
// panel rows up to a multiple of 4 can be read, and as many columns of out written.
struct ManyRows {
  const float* panel;
  int64_t panel_stride;
  int64_t panel_rows;
  int64_t depth;
  std::span<const PreparedRow> x;
  float* out;
  int64_t out_stride;
};

struct ProductKernels {
  const char* isa;
  int64_t target;  // Highway's bit of the instruction set
  ColumnOrder (*order)(const WeightView& weight);
  // natural: padded() floats, zeros after the columns; out: padded() + sums() floats.
  void (*prepare)(const ColumnOrder& order, const float* natural, float* out);
  // Best for a handful of rows of x: decodes the weight anew for each few of them.
  void (*few)(const FewRows& job);
  // Decodes rows into floats in order, padded with zeros: out + j * stride.
  void (*decode)(const WeightRows& rows, float* out, int64_t stride);
  void (*many)(const ManyRows& job);
};

// The kernels that this machine can run, best first; the last is "SCALAR".
std::span<const ProductKernels> product_kernels();

// Those that the layers use; PIPPIN_ISA chooses as tensor/isa.h says.
const ProductKernels& chosen_product_kernels();

// Rows of up to this many inputs go to few().
constexpr int64_t few_rows = 8;

}  // namespace pippin
