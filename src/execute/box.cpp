#include "execute/box.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pippin {

int64_t Box::count_from(int axis) const {
  int64_t count = 1;
  for (int k = axis; k < rank; k++) count *= extent(k);
  return count;
}

int Box::first_wide_axis() const {
  int axis = 0;
  while (axis < rank && extent(axis) == 1) axis++;
  return axis;
}

Box whole_box(const Shape& shape) {
  Box box;
  for (const int64_t dimension : shape) box.hi[box.rank++] = dimension;
  return box;
}

Strides dense_strides(const Shape& shape) {
  return dense_strides(whole_box(shape));
}

Strides dense_strides(const Box& box) {
  Strides strides{};
  int64_t stride = 1;
  for (int k = box.rank - 1; k >= 0; k--) {
    strides[k] = stride;
    stride *= box.extent(k);
  }
  return strides;
}

int64_t first_index(const Box& box, const Strides& strides) {
  int64_t index = 0;
  for (int k = 0; k < box.rank; k++) index += box.lo[k] * strides[k];
  return index;
}

std::string place_of(const Box& box, int64_t position) {
  Shape place(static_cast<size_t>(box.rank));
  for (int k = box.rank - 1; k >= 0; k--) {
    place[static_cast<size_t>(k)] = box.lo[k] + position % box.extent(k);
    position /= box.extent(k);
  }
  return to_string(place);
}

}  // namespace pippin
