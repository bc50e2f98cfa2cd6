// A rectangular part of a tensor.
#pragma once

#include <array>
#include <cstdint>

#include "tensor/shape.h"

namespace pippin {

inline constexpr int max_rank = 12;  // of any tensor inside a recipe; execute() refuses more

// Elements with lo[k] <= index k < hi[k] for every axis k < rank. Never empty, but where a function says so.
struct Box {
  int rank = 0;
  std::array<int64_t, max_rank> lo{};
  std::array<int64_t, max_rank> hi{};

  [[nodiscard]] int64_t extent(int axis) const { return hi[axis] - lo[axis]; }
  // Elements in all axes from `axis` on.
  [[nodiscard]] int64_t count_from(int axis) const;
  [[nodiscard]] int64_t count() const { return count_from(0); }
  // The first axis with an extent over 1, or rank. Cut there, the pieces lie one after another in row-major order.
  [[nodiscard]] int first_wide_axis() const;
  friend bool operator==(const Box&, const Box&) = default;
};

using Strides = std::array<int64_t, max_rank>;

// Everything of a tensor with 1 or more elements.
Box whole_box(const Shape& shape);

// In elements, of a dense row-major tensor of this shape, or of a dense copy of the box.
Strides dense_strides(const Shape& shape);
Strides dense_strides(const Box& box);

// The index in row-major order of the box's first element within its tensor.
int64_t first_index(const Box& box, const Strides& strides);

// Coordinates within the tensor of element `position` of a dense copy of the box: "[3, 17]".
std::string place_of(const Box& box, int64_t position);

}  // namespace pippin
