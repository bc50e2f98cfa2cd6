#include "execute/source_reader.h"

#include <algorithm>

#include "execute/strided_copy.h"

namespace pippin {
namespace {

// A system call costs about as much as copying this many bytes; smaller gaps are cheaper read than skipped.
constexpr int64_t gap_limit = 3 << 10;
constexpr int64_t piece_limit = 256 << 10;

// How a box falls into reads: one for each place of the axes before `axis`, and for each `steps` steps along it.
struct ReadPlan {
  int axis = 0;
  int64_t steps = 1;
  bool gaps = false;  // whether a read holds bytes that are not of the box
};

// Elements from the first to the last one of the box, for fixed places of the axes before `axis`.
int64_t span_from(const Box& box, const Strides& strides, int axis) {
  int64_t span = 1;
  for (int k = axis; k < box.rank; k++) span += (box.extent(k) - 1) * strides[k];
  return span;
}

ReadPlan plan_reads(const Box& box, const Strides& strides, int64_t element) {
  ReadPlan plan{box.rank, 1, false};
  int64_t span = 1;
  while (plan.axis > 0) {
    const int k = plan.axis - 1;
    const int64_t gap = (strides[k] - span) * element;
    const bool single = box.extent(k) == 1;
    const int64_t outer_span = span + (box.extent(k) - 1) * strides[k];
    const bool gaps = plan.gaps || (!single && gap > 0);
    if (!single && gap > gap_limit) break;
    if (gaps && outer_span * element > piece_limit) {
      // The axis is taken in pieces, or step by step where two steps are too much for one piece.
      const int64_t steps = (piece_limit / element - span) / strides[k] + 1;
      if (steps > 1) plan = {k, steps, true};
      return plan;
    }
    plan.axis = k;
    plan.steps = box.extent(k);
    plan.gaps = gaps;
    span = outer_span;
  }
  return plan;
}

// Calls visit(part of the box) for every read of the plan, in row-major order.
template <typename Visit>
Status for_each_read(const Box& box, const ReadPlan& plan, Visit visit) {
  Box part = box;
  for (int k = 0; k < plan.axis; k++) part.hi[k] = part.lo[k] + 1;
  while (true) {
    if (plan.axis == box.rank) {
      PIPPIN_CHECK(visit(part));
    } else {
      for (int64_t at = box.lo[plan.axis]; at < box.hi[plan.axis]; at += plan.steps) {
        part.lo[plan.axis] = at;
        part.hi[plan.axis] = std::min(at + plan.steps, box.hi[plan.axis]);
        PIPPIN_CHECK(visit(part));
      }
    }
    int k = plan.axis - 1;
    for (; k >= 0; k--) {
      part.lo[k] = part.hi[k]++;
      if (part.lo[k] < box.hi[k]) break;
      part.lo[k] = box.lo[k];
      part.hi[k] = box.lo[k] + 1;
    }
    if (k < 0) return {};
  }
}

StridedCopy gather(const Box& part, const Strides& strides, size_t element) {
  StridedCopy copy;
  copy.element = element;
  const Strides dense = dense_strides(part);
  for (int k = 0; k < part.rank; k++) copy.add_axis(part.extent(k), strides[k], dense[k]);
  return copy;
}

}  // namespace

ReadCost cost_of_reading(const TensorInfo& tensor, const Box& box) {
  const Strides strides = dense_strides(tensor.shape);
  const auto element = static_cast<int64_t>(size_of(tensor.dtype));
  const ReadPlan plan = plan_reads(box, strides, element);
  ReadCost cost{1, element};
  for (int k = 0; k < plan.axis; k++) cost.reads *= box.extent(k);
  if (plan.axis == box.rank) return cost;
  cost.reads *= (box.extent(plan.axis) + plan.steps - 1) / plan.steps;
  const int64_t inner = span_from(box, strides, plan.axis + 1);
  cost.read_bytes = element * (inner + (plan.steps - 1) * strides[plan.axis]);
  return cost;
}

Status read_box(const Checkpoint& checkpoint, const TensorInfo& tensor, const Box& box, std::byte* out,
                Scratch& scratch, uint64_t& bytes_read) {
  const Strides strides = dense_strides(tensor.shape);
  const size_t element = size_of(tensor.dtype);
  const ReadPlan plan = plan_reads(box, strides, static_cast<int64_t>(element));
  const Scratch::Lease piece = scratch.take(plan.gaps ? static_cast<size_t>(piece_limit) : 0);
  return for_each_read(box, plan, [&](const Box& part) -> Status {
    const size_t begin = static_cast<size_t>(first_index(part, strides)) * element;
    const size_t span = static_cast<size_t>(span_from(part, strides, 0)) * element;
    const size_t bytes = static_cast<size_t>(part.count()) * element;
    std::byte* target = plan.gaps ? piece.data() : out;
    PIPPIN_CHECK(checkpoint.read(tensor, begin, {target, span}));
    if (plan.gaps) copy_strided(gather(part, strides, element), piece.data(), out);
    out += bytes;
    bytes_read += span;
    return {};
  });
}

}  // namespace pippin
