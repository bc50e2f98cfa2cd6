// Copies elements between two layouts: transposes, gathers every n-th element, joins columns.
#pragma once

#include <cstddef>

#include "execute/box.h"

namespace pippin {

// extent[k] steps along axis k, by from[k] and to[k] elements of `element` bytes (1, 2, 4 or 8).
struct StridedCopy {
  int rank = 0;
  std::array<int64_t, max_rank> extent{};
  Strides from{};
  Strides to{};
  size_t element = 1;

  void add_axis(int64_t steps, int64_t from_stride, int64_t to_stride);
};

// The layouts do not overlap. Fast where the last axis has stride 1 on both sides; transposes go through blocks that
// fit the first-level cache.
void copy_strided(const StridedCopy& copy, const std::byte* from, std::byte* to);

}  // namespace pippin
