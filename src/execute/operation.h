// One operation of a recipe on one box; the inside of the evaluator.
#pragma once

#include <cstddef>
#include <cstdint>

#include "execute/box.h"
#include "execute/evaluator.h"
#include "recipe/recipe.h"

namespace pippin {

inline size_t bytes_of(const Recipe& recipe, const Box& box) {
  return static_cast<size_t>(box.count()) * size_of(recipe.dtype);
}

// Each call writes the box of its operation to out. In layout_operations.cpp what moves elements, in
// value_operations.cpp and table_operations.cpp what computes them, in packed_operations.cpp what concerns quantized
// ones.
struct Operation {
  Evaluator& evaluator;
  const Recipe& recipe;
  const Box& box;
  std::byte* out;

  Status operator()(const FromSource& op) const;
  Status operator()(const Constant& op) const;
  Status operator()(const Slice& op) const;
  Status operator()(const Concat& op) const;
  Status operator()(const Transpose& op) const;
  Status operator()(const Reshape&) const;
  Status operator()(const View&) const;
  Status operator()(const Cast&) const;
  Status operator()(const Arithmetic& op) const;
  Status operator()(const DequantizeBlocks&) const;
  Status operator()(const Dequantize& op) const;
  Status operator()(const QuantizePart& op) const;
  Status operator()(const Norm& op) const;
  Status operator()(const Exponent&) const;
  Status operator()(const UnpackCodes& op) const;
  Status operator()(const PackCodes&) const;
  Status operator()(const Function& op) const;
  Status operator()(const MatrixProduct&) const;
  Status operator()(const RotaryTable& op) const;
  Status operator()(const Broadcast&) const;
  Status operator()(const Take& op) const;

 private:
  [[nodiscard]] Status input(size_t number, const Box& part, std::byte* target) const {
    return evaluator.evaluate(*recipe.inputs[number], part, target);
  }
  [[nodiscard]] size_t element() const { return size_of(recipe.dtype); }
  [[nodiscard]] bool too_much(size_t buffers) const { return buffers > evaluator.buffer_limit_ && box.count() > 1; }

  // Evaluates this operation on the parts of the box along its first wide axis, `steps` at a time: the parts are dense
  // and follow each other in out.
  Status in_parts(int64_t steps) const;
  Status in_halves() const { return in_parts((box.extent(box.first_wide_axis()) + 1) / 2); }
  // Bytes of one step along `axis` for fixed places before it.
  [[nodiscard]] int64_t run_bytes(int axis) const { return box.count_from(axis + 1) * static_cast<int64_t>(element()); }

  [[nodiscard]] Status move_tile(const Transpose& op, const Box& tile, const Box& input_box) const;
  [[nodiscard]] Status gather_columns(const std::byte* from, int64_t row_bytes, int64_t skip_bytes) const;
  // Adds the squares of the box's input along the axis to `sums`, piece by piece.
  [[nodiscard]] Status add_squares(const Norm& op, const Box& part, float* sums) const;
  // The gate: what comes out of an operation on finite values is finite.
  Status check_result(int64_t before, const std::byte* input_values) const;
};

}  // namespace pippin
