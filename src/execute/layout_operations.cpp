// Operations that move elements.
#include <algorithm>
#include <cstring>

#include "execute/child_box.h"
#include "execute/operation.h"
#include "execute/reshape_groups.h"
#include "execute/strided_copy.h"

namespace pippin {
namespace {

// Runs of at least this many bytes are worth a step of their own; shorter ones are picked from a larger piece.
constexpr int64_t long_run = 2 << 10;
// Of a transpose's input, so much is read before it is moved: it should stay in the second-level cache.
constexpr size_t tile_limit = 512 << 10;

bool is_matched_by(const Box& child, const Box& box) {
  return child.count() == box.count();
}

}  // namespace

Status Operation::operator()(const Slice& op) const {
  const Box from = child_box(recipe, 0, box);
  if (is_matched_by(from, box)) return input(0, from, out);
  const size_t buffer_bytes = static_cast<size_t>(from.count()) * element();
  const bool stepwise = run_bytes(op.axis) >= long_run;
  if (stepwise && box.first_wide_axis() == op.axis) return in_parts(1);
  if (stepwise || too_much(buffer_bytes)) return in_halves();
  const Scratch::Lease buffer = evaluator.scratch_.take(buffer_bytes);
  PIPPIN_CHECK(input(0, from, buffer.data()));
  StridedCopy copy;
  copy.element = element();
  const Strides from_strides = dense_strides(from);
  const Strides to_strides = dense_strides(box);
  for (int k = 0; k < box.rank; k++)
    copy.add_axis(box.extent(k), from_strides[k] * (k == op.axis ? op.step : 1), to_strides[k]);
  copy_strided(copy, buffer.data(), out);
  return {};
}

Status Operation::operator()(const Concat& op) const {
  const bool one_after_another = box.first_wide_axis() >= op.axis;
  if (!one_after_another && too_much(bytes_of(recipe, box))) return in_halves();
  const Strides strides = dense_strides(box);
  return for_each_concat_part(recipe, box, [&](size_t number, int64_t begin, const Box& part) -> Status {
    const int64_t offset = (part.lo[op.axis] + begin - box.lo[op.axis]) * strides[op.axis];
    std::byte* target = out + offset * static_cast<int64_t>(element());
    if (one_after_another || is_matched_by(part, box)) return input(number, part, target);
    const Scratch::Lease buffer = evaluator.scratch_.take(bytes_of(recipe, part));
    PIPPIN_CHECK(input(number, part, buffer.data()));
    StridedCopy copy;
    copy.element = element();
    const Strides from_strides = dense_strides(part);
    for (int k = 0; k < box.rank; k++) copy.add_axis(part.extent(k), from_strides[k], strides[k]);
    copy_strided(copy, buffer.data(), target);
    return {};
  });
}

Status Operation::operator()(const Transpose& op) const {
  const Box input_box = child_box(recipe, 0, box);
  return move_tile(op, input_box, input_box);
}

// Cuts the input's box along its outer axes until a tile fits, so that the source is read in runs as long as the box
// allows, and moves each tile to its place.
Status Operation::move_tile(const Transpose& op, const Box& tile, const Box& input_box) const {
  const size_t tile_bytes = bytes_of(recipe, tile);
  const size_t limit = std::min(tile_limit, evaluator.buffer_limit_);
  if (tile_bytes > limit && tile.count() > 1) {
    const int axis = tile.first_wide_axis();
    const int64_t step_bytes = tile.count_from(axis + 1) * static_cast<int64_t>(element());
    const int64_t steps = std::max<int64_t>(1, static_cast<int64_t>(limit) / step_bytes);
    Box part = tile;
    for (int64_t at = tile.lo[axis]; at < tile.hi[axis]; at += steps) {
      part.lo[axis] = at;
      part.hi[axis] = std::min(at + steps, tile.hi[axis]);
      PIPPIN_CHECK(move_tile(op, part, input_box));
    }
    return {};
  }
  const Scratch::Lease buffer = evaluator.scratch_.take(tile_bytes);
  PIPPIN_CHECK(input(0, tile, buffer.data()));
  const Strides from_strides = dense_strides(tile);
  const Strides to_strides = dense_strides(box);
  StridedCopy copy;
  copy.element = element();
  int64_t offset = 0;
  for (int k = 0; k < box.rank; k++) {
    const int from_axis = op.permutation[static_cast<size_t>(k)];
    copy.add_axis(tile.extent(from_axis), from_strides[from_axis], to_strides[k]);
    offset += (tile.lo[from_axis] - input_box.lo[from_axis]) * to_strides[k];
  }
  copy_strided(copy, buffer.data(), out + offset * static_cast<int64_t>(element()));
  return {};
}

Status Operation::operator()(const Reshape&) const {
  const Shape& in = recipe.inputs[0]->shape;
  const ReshapeGroups groups = reshape_groups(in, recipe.shape);
  const Box from = reshape_box(in, recipe.shape, groups, box);
  if (is_matched_by(from, box)) return input(0, from, out);
  const size_t buffer_bytes = static_cast<size_t>(from.count()) * element();
  const size_t useful = bytes_of(recipe, box);
  const bool wasteful = buffer_bytes > 4 * useful && useful > static_cast<size_t>(long_run) && box.count() > 1;
  if (wasteful || too_much(buffer_bytes)) return in_halves();
  const Scratch::Lease buffer = evaluator.scratch_.take(buffer_bytes);
  PIPPIN_CHECK(input(0, from, buffer.data()));
  const ReshapeGather gather = reshape_gather(in, recipe.shape, groups, box, from);
  const Strides to_strides = dense_strides(box);
  StridedCopy copy;
  copy.element = element();
  for (int k = 0; k < box.rank; k++) copy.add_axis(box.extent(k), gather.strides[k], to_strides[k]);
  copy_strided(copy, buffer.data() + gather.offset * static_cast<int64_t>(element()), out);
  return {};
}

// Picks the box's columns out of longer rows.
Status Operation::gather_columns(const std::byte* from, int64_t row_bytes, int64_t skip_bytes) const {
  const int64_t wanted = box.extent(box.rank - 1) * static_cast<int64_t>(element());
  const int64_t rows = box.count() / box.extent(box.rank - 1);
  for (int64_t r = 0; r < rows; r++)
    std::memcpy(out + r * wanted, from + r * row_bytes + skip_bytes, static_cast<size_t>(wanted));
  return {};
}

Status Operation::operator()(const View&) const {
  const Box from = child_box(recipe, 0, box);
  const size_t from_element = size_of(recipe.inputs[0]->dtype);
  const size_t buffer_bytes = static_cast<size_t>(from.count()) * from_element;
  const bool aligned = reinterpret_cast<uintptr_t>(out) % from_element == 0;
  if (buffer_bytes == bytes_of(recipe, box) && aligned) return input(0, from, out);
  if (too_much(buffer_bytes)) return in_halves();
  const Scratch::Lease buffer = evaluator.scratch_.take(buffer_bytes);
  PIPPIN_CHECK(input(0, from, buffer.data()));
  const int last = box.rank - 1;
  if (last < 0) {
    std::memcpy(out, buffer.data(), buffer_bytes);
    return {};
  }
  const int64_t row_bytes = from.extent(last) * static_cast<int64_t>(from_element);
  const int64_t skip =
      box.lo[last] * static_cast<int64_t>(element()) - from.lo[last] * static_cast<int64_t>(from_element);
  return gather_columns(buffer.data(), row_bytes, skip);
}

Status Operation::operator()(const Broadcast&) const {
  const Box from = child_box(recipe, 0, box);
  if (is_matched_by(from, box)) return input(0, from, out);
  const size_t buffer_bytes = static_cast<size_t>(from.count()) * element();
  if (too_much(buffer_bytes)) return in_halves();
  const Scratch::Lease buffer = evaluator.scratch_.take(buffer_bytes);
  PIPPIN_CHECK(input(0, from, buffer.data()));
  const Strides from_strides = dense_strides(from);
  const Strides to_strides = dense_strides(box);
  const int lead = box.rank - from.rank;
  StridedCopy copy;
  copy.element = element();
  for (int k = 0; k < box.rank; k++) {
    const bool repeated = k < lead || from.extent(k - lead) == 1;
    copy.add_axis(box.extent(k), repeated ? 0 : from_strides[k - lead], to_strides[k]);
  }
  copy_strided(copy, buffer.data(), out);
  return {};
}

Status Operation::operator()(const Take& op) const {
  const Box from = child_box(recipe, 0, box);
  const size_t buffer_bytes = static_cast<size_t>(from.count()) * element();
  if (too_much(buffer_bytes)) return in_halves();
  const Scratch::Lease buffer = evaluator.scratch_.take(buffer_bytes);
  PIPPIN_CHECK(input(0, from, buffer.data()));
  const int64_t run = run_bytes(op.axis);
  const int64_t taken = box.extent(op.axis);
  const int64_t outer = box.count() / box.count_from(op.axis);
  const int64_t* places = op.places->data() + box.lo[op.axis];
  std::byte* target = out;
  for (int64_t o = 0; o < outer; o++) {
    const std::byte* source = buffer.data() + o * from.extent(op.axis) * run;
    for (int64_t k = 0; k < taken; k++, target += run)
      std::memcpy(target, source + (places[k] - from.lo[op.axis]) * run, static_cast<size_t>(run));
  }
  return {};
}

}  // namespace pippin
