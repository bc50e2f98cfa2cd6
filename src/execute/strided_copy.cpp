#include "execute/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <utility>

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

// Two axes of any strides: target[i * to[a] + j * to[b]] = source[i * from[a] + j * from[b]].
template <typename T>
void copy_plane(const StridedCopy& copy, const T* from, T* to, int64_t row_begin, int64_t row_end, int64_t column_begin,
                int64_t column_end) {
  const int a = copy.rank - 2;
  const int b = copy.rank - 1;
  for (int64_t i = row_begin; i < row_end; i++) {
    const T* source = from + i * copy.from[a];
    T* target = to + i * copy.to[a];
    for (int64_t j = column_begin; j < column_end; j++) target[j * copy.to[b]] = source[j * copy.from[b]];
  }
}

// 16 bytes.
template <typename T>
using Vector __attribute__((vector_size(16))) = T;

// Element pairs of two vectors: the lower halves' and the upper halves', joined one by one.
template <size_t... lane, typename V>
void zip(V a, V b, V& low, V& high, std::index_sequence<lane...>) {
  constexpr int lanes = sizeof...(lane);
  low = __builtin_shufflevector(a, b, (static_cast<int>(lane) / 2 + (lane % 2 ? lanes : 0))...);
  high = __builtin_shufflevector(a, b, (static_cast<int>(lane) / 2 + lanes / 2 + (lane % 2 ? lanes : 0))...);
}

// Transposes a square of as many elements a side as a vector has. Zipping vector i with vector i + n / 2, log2(n)
// times, moves every element to its place.
template <typename T>
void transpose_square(const T* from, int64_t from_stride, T* to, int64_t to_stride) {
  constexpr size_t n = 16 / sizeof(T);
  Vector<T> rows[n];
  Vector<T> zipped[n];
  for (size_t i = 0; i < n; i++) std::memcpy(&rows[i], from + static_cast<int64_t>(i) * from_stride, 16);
  for (size_t done = 1; done < n; done *= 2) {
    for (size_t i = 0; i < n / 2; i++)
      zip(rows[i], rows[i + n / 2], zipped[2 * i], zipped[2 * i + 1], std::make_index_sequence<n>());
    std::copy(zipped, zipped + n, rows);
  }
  for (size_t i = 0; i < n; i++) std::memcpy(to + static_cast<int64_t>(i) * to_stride, &rows[i], 16);
}

// The first axis has from-stride 1, the second to-stride 1. Goes by blocks of one cache line a side, each through a
// small buffer: every line of both sides is touched once, however many of them fall into one set of the cache.
template <typename T>
void transpose_plane(const StridedCopy& copy, const std::byte* from_bytes, std::byte* to_bytes) {
  constexpr int64_t block = 64 / sizeof(T);
  constexpr int64_t side = 16 / sizeof(T);
  const auto* from = reinterpret_cast<const T*>(from_bytes);
  auto* to = reinterpret_cast<T*>(to_bytes);
  const int a = copy.rank - 2;
  const int b = copy.rank - 1;
  const int64_t rows = copy.extent[a] / block * block;
  const int64_t columns = copy.extent[b] / block * block;
  alignas(64) T buffer[block * block];
  for (int64_t r = 0; r < rows; r += block) {
    for (int64_t c = 0; c < columns; c += block) {
      for (int64_t j = 0; j < block; j += side) {
        for (int64_t i = 0; i < block; i += side)
          transpose_square(from + (r + i) + (c + j) * copy.from[b], copy.from[b], buffer + i * block + j, block);
      }
      for (int64_t i = 0; i < block; i++)
        std::memcpy(to + (r + i) * copy.to[a] + c, buffer + i * block, sizeof(T) * block);
    }
  }
  copy_plane(copy, from, to, 0, rows, columns, copy.extent[b]);
  copy_plane(copy, from, to, rows, copy.extent[a], 0, copy.extent[b]);
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
  const bool transposes = copy.from[copy.rank - 2] == 1 && copy.to[copy.rank - 1] == 1;
  for_outer_places(copy, 2, from, to, [&](const std::byte* f, std::byte* t) {
    if (transposes) return transpose_plane<T>(copy, f, t);
    copy_plane(copy, reinterpret_cast<const T*>(f), reinterpret_cast<T*>(t), 0, copy.extent[copy.rank - 2], 0,
               copy.extent[copy.rank - 1]);
  });
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
