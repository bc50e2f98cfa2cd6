// How the axes of a reshape's result correspond to its input's.
#pragma once

#include <array>

#include "execute/box.h"

namespace pippin {

// Axes [out_begin, out_end) of the result hold the same elements as [in_begin, in_end) of the input.
struct ReshapeGroup {
  int in_begin = 0, in_end = 0, out_begin = 0, out_end = 0;
};

struct ReshapeGroups {
  int count = 0;
  std::array<ReshapeGroup, max_rank + 1> groups{};
};

// The finest grouping; both shapes have the same number of elements, 1 or more.
ReshapeGroups reshape_groups(const Shape& in, const Shape& out);

// The smallest box of the input that holds `box` of the result. In each group it is a contiguous run of elements.
Box reshape_box(const Shape& in, const Shape& out, const ReshapeGroups& groups, const Box& box);

// Where the result's box lies in a dense copy of that input box.
struct ReshapeGather {
  int64_t offset = 0;
  Strides strides{};  // one for each axis of the result, in elements
};
ReshapeGather reshape_gather(const Shape& in, const Shape& out, const ReshapeGroups& groups, const Box& box,
                             const Box& input_box);

}  // namespace pippin
