#include "execute/child_box.h"

#include <algorithm>

#include "execute/reshape_groups.h"

namespace pippin {
namespace {

// Multiplies and divides the last axis: [lo, hi) elements become those of `to` bytes or bits that cover the same range.
void rescale_last(Box& box, int64_t from, int64_t to) {
  const int last = box.rank - 1;
  box.lo[last] = box.lo[last] * from / to;
  box.hi[last] = (box.hi[last] * from + to - 1) / to;
}

Box broadcast_box(const Shape& shape, const Box& box) {
  const int lead = box.rank - static_cast<int>(shape.size());
  Box result;
  for (const int64_t dimension : shape) {
    const int k = result.rank++;
    const bool repeated = dimension == 1;
    result.lo[k] = repeated ? 0 : box.lo[lead + k];
    result.hi[k] = repeated ? 1 : box.hi[lead + k];
  }
  return result;
}

struct ChildBox {
  const Recipe& recipe;
  size_t input;
  Box box;

  Box operator()(const FromSource&) const { return box; }
  Box operator()(const Constant&) const { return box; }
  Box operator()(const Slice& op) const {
    Box result = box;
    result.lo[op.axis] = op.begin + box.lo[op.axis] * op.step;
    result.hi[op.axis] = op.begin + (box.hi[op.axis] - 1) * op.step + 1;
    return result;
  }
  Box operator()(const Concat&) const { return box; }
  Box operator()(const Transpose& op) const {
    Box result = box;
    for (int k = 0; k < box.rank; k++) {
      result.lo[op.permutation[static_cast<size_t>(k)]] = box.lo[k];
      result.hi[op.permutation[static_cast<size_t>(k)]] = box.hi[k];
    }
    return result;
  }
  Box operator()(const Reshape&) const {
    const Shape& in = recipe.inputs[0]->shape;
    return reshape_box(in, recipe.shape, reshape_groups(in, recipe.shape), box);
  }
  Box operator()(const View&) const {
    const auto from = static_cast<int64_t>(size_of(recipe.dtype));
    const auto to = static_cast<int64_t>(size_of(recipe.inputs[0]->dtype));
    Box result = box;
    if (from != to) rescale_last(result, from, to);
    return result;
  }
  Box operator()(const Cast&) const { return box; }
  Box operator()(const Arithmetic&) const { return input == 0 ? box : broadcast_box(recipe.inputs[1]->shape, box); }
  Box operator()(const DequantizeBlocks& op) const {
    if (input == 0) return box;
    Box result = box;
    const int rows = box.rank - 2;
    result.lo[rows] = box.lo[rows] / op.block_rows;
    result.hi[rows] = (box.hi[rows] - 1) / op.block_rows + 1;
    rescale_last(result, 1, op.block_columns);
    return result;
  }
  Box operator()(const Dequantize& op) const {
    Box result = box;
    rescale_last(result, 1, op.format.group_size);
    if (input == 0) rescale_last(result, static_cast<int64_t>(op.format.group_size) * op.format.bits, 32);
    return result;
  }
  Box operator()(const QuantizePart& op) const {
    Box result = box;
    if (op.part == QuantizePart::Part::weight)
      rescale_last(result, 32, static_cast<int64_t>(op.format.group_size) * op.format.bits);
    rescale_last(result, op.format.group_size, 1);
    return result;
  }
  Box operator()(const Norm& op) const {
    Box result = box;
    result.lo[op.axis] = 0;
    result.hi[op.axis] = recipe.inputs[0]->shape[static_cast<size_t>(op.axis)];
    return result;
  }
  Box operator()(const MatrixProduct&) const {
    Box result = box;
    const int other = input == 0 ? 1 : 0;
    result.lo[other] = 0;
    result.hi[other] = recipe.inputs[input]->shape[static_cast<size_t>(other)];
    return result;
  }
  Box operator()(const RotaryTable&) const { return box; }
  Box operator()(const Exponent&) const { return box; }
  Box operator()(const UnpackCodes& op) const {
    Box result = box;
    rescale_last(result, op.bits, 32);
    return result;
  }
  Box operator()(const PackCodes& op) const {
    Box result = box;
    rescale_last(result, 32, op.bits);
    return result;
  }
  Box operator()(const Function&) const { return box; }
  Box operator()(const Broadcast&) const { return broadcast_box(recipe.inputs[0]->shape, box); }
  Box operator()(const Take& op) const {
    const auto [first, last] =
        std::minmax_element(op.places->begin() + box.lo[op.axis], op.places->begin() + box.hi[op.axis]);
    Box result = box;
    result.lo[op.axis] = *first;
    result.hi[op.axis] = *last + 1;
    return result;
  }
};

}  // namespace

Box child_box(const Recipe& recipe, size_t input, const Box& box) {
  return std::visit(ChildBox{recipe, input, box}, recipe.op);
}

}  // namespace pippin
