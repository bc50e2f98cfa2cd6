#include "execute/strided_copy.h"

#include <algorithm>
#include <cstring>

namespace pippin {
namespace {

// Drops axes of one step and joins axes that both sides walk through as one.
StridedCopy simplified(const StridedCopy& copy) {
  StridedCopy simple;
  simple.element = copy.element;
  for (int k = 0; k < copy.rank; k++) {
    if (copy.extent[k] == 1) continue;
    const int last = simple.rank - 1;
    if (last >= 0 && simple.from[last] == copy.from[k] * copy.extent[k] &&
        simple.to[last] == copy.to[k] * copy.extent[k]) {
      simple.extent[last] *= copy.extent[k];
      simple.from[last] = copy.from[k];
      simple.to[last] = copy.to[k];
    } else {
      simple.add_axis(copy.extent[k], copy.from[k], copy.to[k]);
    }
  }
  if (simple.rank == 0) simple.add_axis(1, 1, 1);
  return simple;
}

void move_to_end(StridedCopy& copy, int axis) {
  std::rotate(copy.extent.begin() + axis, copy.extent.begin() + axis + 1, copy.extent.begin() + copy.rank);
  std::rotate(copy.from.begin() + axis, copy.from.begin() + axis + 1, copy.from.begin() + copy.rank);
  std::rotate(copy.to.begin() + axis, copy.to.begin() + axis + 1, copy.to.begin() + copy.rank);
}

int axis_of_stride_one(const StridedCopy& copy, const Strides& strides) {
  for (int k = copy.rank - 1; k >= 0; k--) {
    if (strides[k] == 1) return k;
  }
  return copy.rank - 1;
}

// Two axes, the first with from-stride 1, the second with to-stride 1 (or any others), in square blocks.
template <typename T>
void copy_plane(const StridedCopy& copy, const std::byte* from_bytes, std::byte* to_bytes) {
  constexpr int64_t block = 64 / sizeof(T) < 16 ? 16 : 64 / sizeof(T);
  const auto* from = reinterpret_cast<const T*>(from_bytes);
  auto* to = reinterpret_cast<T*>(to_bytes);
  const int a = copy.rank - 2;
  const int b = copy.rank - 1;
  const int64_t rows = copy.extent[a];
  const int64_t columns = copy.extent[b];
  for (int64_t c = 0; c < columns; c += block) {
    const int64_t column_end = std::min(c + block, columns);
    for (int64_t r = 0; r < rows; r += block) {
      const int64_t row_end = std::min(r + block, rows);
      for (int64_t i = r; i < row_end; i++) {
        const T* source = from + i * copy.from[a];
        T* target = to + i * copy.to[a];
        for (int64_t j = c; j < column_end; j++) target[j * copy.to[b]] = source[j * copy.from[b]];
      }
    }
  }
}

template <typename T>
void copy_line(const StridedCopy& copy, const std::byte* from_bytes, std::byte* to_bytes) {
  const auto* from = reinterpret_cast<const T*>(from_bytes);
  auto* to = reinterpret_cast<T*>(to_bytes);
  const int k = copy.rank - 1;
  for (int64_t i = 0; i < copy.extent[k]; i++) to[i * copy.to[k]] = from[i * copy.from[k]];
}

// Calls inner(from, to) for every place of the axes before the last `inner_axes`.
template <typename Inner>
void for_outer_places(const StridedCopy& copy, int inner_axes, const std::byte* from, std::byte* to, Inner inner) {
  const auto size = static_cast<int64_t>(copy.element);
  const int outer = copy.rank - inner_axes;
  std::array<int64_t, max_rank> at{};
  while (true) {
    inner(from, to);
    int k = outer - 1;
    for (; k >= 0; k--) {
      from += copy.from[k] * size;
      to += copy.to[k] * size;
      if (++at[k] < copy.extent[k]) break;
      from -= copy.from[k] * size * copy.extent[k];
      to -= copy.to[k] * size * copy.extent[k];
      at[k] = 0;
    }
    if (k < 0) return;
  }
}

template <typename T>
void copy_elements(StridedCopy copy, const std::byte* from, std::byte* to) {
  const int from_axis = axis_of_stride_one(copy, copy.from);
  const int to_axis = axis_of_stride_one(copy, copy.to);
  if (from_axis == to_axis) {
    move_to_end(copy, to_axis);
    for_outer_places(copy, 1, from, to, [&](const auto* f, auto* t) { copy_line<T>(copy, f, t); });
    return;
  }
  move_to_end(copy, from_axis);
  move_to_end(copy, to_axis > from_axis ? to_axis - 1 : to_axis);
  for_outer_places(copy, 2, from, to, [&](const auto* f, auto* t) { copy_plane<T>(copy, f, t); });
}

}  // namespace

void StridedCopy::add_axis(int64_t steps, int64_t from_stride, int64_t to_stride) {
  extent[rank] = steps;
  from[rank] = from_stride;
  to[rank] = to_stride;
  rank++;
}

void copy_strided(const StridedCopy& copy, const std::byte* from, std::byte* to) {
  const StridedCopy simple = simplified(copy);
  const int last = simple.rank - 1;
  if (simple.from[last] == 1 && simple.to[last] == 1) {
    const size_t bytes = static_cast<size_t>(simple.extent[last]) * simple.element;
    for_outer_places(simple, 1, from, to, [&](const auto* f, auto* t) { std::memcpy(t, f, bytes); });
    return;
  }
  switch (simple.element) {
    case 1:
      return copy_elements<uint8_t>(simple, from, to);
    case 2:
      return copy_elements<uint16_t>(simple, from, to);
    case 4:
      return copy_elements<uint32_t>(simple, from, to);
    default:
      return copy_elements<uint64_t>(simple, from, to);
  }
}

}  // namespace pippin
