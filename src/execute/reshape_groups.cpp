#include "execute/reshape_groups.h"

namespace pippin {
namespace {

// Row-major index of a corner of the box among the axes [begin, end) of a shape.
int64_t index_within(const Shape& shape, int begin, int end, const std::array<int64_t, max_rank>& corner,
                     int64_t inward) {
  int64_t index = 0;
  for (int k = begin; k < end; k++) index = index * shape[static_cast<size_t>(k)] + corner[k] - inward;
  return index;
}

int64_t count_within(const Box& box, int begin, int end) {
  int64_t count = 1;
  for (int k = begin; k < end; k++) count *= box.extent(k);
  return count;
}

// Sets axes [begin, end) of `box` to the smallest contiguous box that holds elements [first, last].
void set_run(Box& box, const Shape& shape, int begin, int end, int64_t first, int64_t last) {
  int first_differing = end;
  for (int k = end - 1; k >= begin; k--) {
    const int64_t dimension = shape[static_cast<size_t>(k)];
    box.lo[k] = first % dimension;
    box.hi[k] = last % dimension + 1;
    if (box.lo[k] + 1 != box.hi[k]) first_differing = k;
    first /= dimension;
    last /= dimension;
  }
  for (int k = first_differing + 1; k < end; k++) {
    box.lo[k] = 0;
    box.hi[k] = shape[static_cast<size_t>(k)];
  }
}

}  // namespace

ReshapeGroups reshape_groups(const Shape& in, const Shape& out) {
  ReshapeGroups result;
  const int in_rank = static_cast<int>(in.size());
  const int out_rank = static_cast<int>(out.size());
  int i = 0;
  int o = 0;
  while (i < in_rank && o < out_rank) {
    ReshapeGroup group{i, i, o, o};
    int64_t in_count = in[static_cast<size_t>(i++)];
    int64_t out_count = out[static_cast<size_t>(o++)];
    while (in_count != out_count) {
      if (in_count < out_count)
        in_count *= in[static_cast<size_t>(i++)];
      else
        out_count *= out[static_cast<size_t>(o++)];
    }
    group.in_end = i;
    group.out_end = o;
    result.groups[result.count++] = group;
  }
  // What is left on one side are dimensions of 1.
  if (result.count == 0) result.groups[result.count++] = {0, 0, 0, 0};
  result.groups[result.count - 1].in_end = in_rank;
  result.groups[result.count - 1].out_end = out_rank;
  return result;
}

Box reshape_box(const Shape& in, const Shape& out, const ReshapeGroups& groups, const Box& box) {
  Box result;
  result.rank = static_cast<int>(in.size());
  for (int g = 0; g < groups.count; g++) {
    const ReshapeGroup& group = groups.groups[g];
    const int64_t first = index_within(out, group.out_begin, group.out_end, box.lo, 0);
    const int64_t last = index_within(out, group.out_begin, group.out_end, box.hi, 1);
    set_run(result, in, group.in_begin, group.in_end, first, last);
  }
  return result;
}

ReshapeGather reshape_gather(const Shape& in, const Shape& out, const ReshapeGroups& groups, const Box& box,
                             const Box& input_box) {
  ReshapeGather gather;
  int64_t later = 1;  // elements of the input box in the groups after this one
  for (int g = groups.count - 1; g >= 0; g--) {
    const ReshapeGroup& group = groups.groups[g];
    int64_t stride = later;
    for (int k = group.out_end - 1; k >= group.out_begin; k--) {
      gather.strides[k] = stride;
      stride *= out[static_cast<size_t>(k)];
    }
    const int64_t first = index_within(out, group.out_begin, group.out_end, box.lo, 0);
    const int64_t base = index_within(in, group.in_begin, group.in_end, input_box.lo, 0);
    gather.offset += (first - base) * later;
    later *= count_within(input_box, group.in_begin, group.in_end);
  }
  return gather;
}

}  // namespace pippin
