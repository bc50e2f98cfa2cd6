// Products of decoded rows with many rows of x: tiles whose sums stay in registers.
// Compiled once for each instruction set.
#if defined(PIPPIN_LINEAR_MANY_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_LINEAR_MANY_ROWS_INL_H
#undef PIPPIN_LINEAR_MANY_ROWS_INL_H
#else
#define PIPPIN_LINEAR_MANY_ROWS_INL_H
#endif

#include <algorithm>

#include "linear/few_rows_inl.h"

#if PIPPIN_HAS_LANES
HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {

// A tile of tile_inputs x 4 sums in 32 registers, or x 2 in AVX2's 16.
constexpr int tile_inputs = 6;
constexpr int tile_rows = HWY_TARGET == HWY_AVX2 ? 2 : 4;
// So much of x's rows and of the panel's stays in the nearest cache while a tile is summed.
constexpr int64_t tile_depth = 1536;

struct Tile {
  const float* x[tile_inputs];
  const float* rows;
  int64_t stride;
  int64_t begin;
  int64_t end;
};

// sums[i * 4 + j], for tile_rows values of j.
HWY_INLINE void sum_tile(const Tile& tile, float* sums) {
  FloatVector total[tile_inputs][tile_rows];
  for (auto& row : total) {
    for (auto& sum : row) sum = hn::Zero(floats);
  }
  for (int64_t k = tile.begin; k < tile.end; k += lane_count) {
    FloatVector weight[tile_rows];
    for (int j = 0; j < tile_rows; ++j) weight[j] = hn::LoadU(floats, tile.rows + j * tile.stride + k);
    for (int i = 0; i < tile_inputs; ++i) {
      const auto x = hn::LoadU(floats, tile.x[i] + k);
      for (int j = 0; j < tile_rows; ++j) total[i][j] = hn::MulAdd(weight[j], x, total[i][j]);
    }
  }
  for (int i = 0; i < tile_inputs; ++i) {
    const auto zero = hn::Zero(floats);
    const auto& row = total[i];
    if constexpr (tile_rows == 4) {
      store_sums(row[0], row[1], row[2], row[3], sums + 4 * i);
    } else {
      store_sums(row[0], row[1], zero, zero, sums + 4 * i);
    }
  }
}

// All rows of x against tile_rows rows of the panel, over a part of the depth.
HWY_INLINE void add_strip(const ManyRows& job, int64_t row, int64_t begin, int64_t end) {
  const int64_t width = std::min<int64_t>(tile_rows, job.panel_rows - row);
  for (size_t first = 0; first < job.x.size(); first += tile_inputs) {
    Tile tile{{}, job.panel + row * job.panel_stride, job.panel_stride, begin, end};
    for (size_t i = 0; i < tile_inputs; ++i) tile.x[i] = job.x[std::min(first + i, job.x.size() - 1)];
    float sums[4 * tile_inputs];
    sum_tile(tile, sums);
    const size_t count = std::min<size_t>(tile_inputs, job.x.size() - first);
    for (size_t i = 0; i < count; ++i) {
      float* out = job.out + static_cast<int64_t>(first + i) * job.out_stride + row;
      for (int64_t j = 0; j < width; ++j) out[j] = (begin == 0 ? 0.0f : out[j]) + sums[4 * i + static_cast<size_t>(j)];
    }
  }
}

inline void many_inputs(const ManyRows& job) {
  for (int64_t begin = 0; begin < job.depth; begin += tile_depth) {
    const int64_t end = std::min(job.depth, begin + tile_depth);
    for (int64_t row = 0; row < job.panel_rows; row += tile_rows) add_strip(job, row, begin, end);
  }
}

}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
