// Operations on quantized values.
#include "execute/child_box.h"
#include "execute/codes.h"
#include "execute/fp8_blocks.h"
#include "execute/nonfinite.h"
#include "execute/operation.h"
#include "quantize/quantize.h"

namespace pippin {

Status Operation::operator()(const DequantizeBlocks&) const {
  const Box scale_box = child_box(recipe, 1, box);
  const size_t weight_bytes = static_cast<size_t>(box.count());
  const size_t scale_bytes = bytes_of(*recipe.inputs[1], scale_box);
  if (too_much(weight_bytes + scale_bytes)) return in_halves();
  const Scratch::Lease weight = evaluator.scratch_.take(weight_bytes);
  PIPPIN_CHECK(input(0, box, weight.data()));
  const Scratch::Lease scale = evaluator.scratch_.take(scale_bytes);
  PIPPIN_CHECK(input(1, scale_box, scale.data()));
  dequantize_fp8_blocks(recipe, box, weight.data(), scale.data(), out);
  const int64_t before = evaluator.settings_.allow_nonfinite
                             ? count_nonfinite_values(recipe.inputs[0]->dtype, weight.data(), box.count())
                             : 0;
  return check_result(before, nullptr);
}

Status Operation::operator()(const Dequantize& op) const {
  const int last = box.rank - 1;
  const Box packed_box = child_box(recipe, 0, box);
  const Box scale_box = child_box(recipe, 1, box);
  const int64_t columns = scale_box.extent(last) * op.format.group_size;
  const int64_t rows = box.count() / box.extent(last);
  const size_t packed_bytes = bytes_of(*recipe.inputs[0], packed_box);
  const size_t scale_bytes = bytes_of(*recipe.inputs[1], scale_box);
  const size_t dense_bytes = columns == box.extent(last) ? 0 : static_cast<size_t>(rows * columns) * element();
  if (too_much(packed_bytes + 2 * scale_bytes + dense_bytes)) return in_halves();
  const Scratch::Lease packed = evaluator.scratch_.take(packed_bytes);
  PIPPIN_CHECK(input(0, packed_box, packed.data()));
  const Scratch::Lease scales = evaluator.scratch_.take(scale_bytes);
  PIPPIN_CHECK(input(1, scale_box, scales.data()));
  const bool has_biases = recipe.inputs.size() > 2;
  const Scratch::Lease biases = evaluator.scratch_.take(has_biases ? scale_bytes : 0);
  if (has_biases) PIPPIN_CHECK(input(2, scale_box, biases.data()));
  const Scratch::Lease dense = evaluator.scratch_.take(dense_bytes);
  std::byte* target = dense_bytes ? dense.data() : out;
  dequantize_rows(op.format, recipe.inputs[1]->dtype, reinterpret_cast<const uint32_t*>(packed.data()), scales.data(),
                  has_biases ? biases.data() : nullptr, rows, columns, target, recipe.dtype);
  if (dense_bytes) {
    const auto size = static_cast<int64_t>(element());
    PIPPIN_CHECK(
        gather_columns(target, columns * size, (box.lo[last] - scale_box.lo[last] * op.format.group_size) * size));
  }
  return check_result(0, nullptr);
}

Status Operation::operator()(const QuantizePart& op) const {
  const Recipe& dense = *recipe.inputs[0];
  const int last = box.rank - 1;
  const Box dense_box = child_box(recipe, 0, box);
  const int64_t columns = dense_box.extent(last);
  const int64_t rows = dense_box.count() / columns;
  const PackedRow row = packed_row(op.format, columns);
  const size_t dense_bytes = bytes_of(dense, dense_box);
  const size_t packed_bytes = static_cast<size_t>(rows * row.words) * sizeof(uint32_t);
  const size_t group_bytes = row_of(op.format.mode).has_biases ? size_of(dense.dtype) : 1;
  const size_t scale_bytes = static_cast<size_t>(rows * row.groups) * group_bytes;
  if (too_much(dense_bytes + packed_bytes + 2 * scale_bytes)) return in_halves();
  const Scratch::Lease values = evaluator.scratch_.take(dense_bytes);
  PIPPIN_CHECK(input(0, dense_box, values.data()));
  const Scratch::Lease packed = evaluator.scratch_.take(packed_bytes);
  const Scratch::Lease scales = evaluator.scratch_.take(scale_bytes);
  const Scratch::Lease biases = evaluator.scratch_.take(scale_bytes);
  quantize_rows(op.format, evaluator.settings_.rounding, dense.dtype, values.data(), rows, columns,
                reinterpret_cast<uint32_t*>(packed.data()), scales.data(), biases.data());
  const auto size = static_cast<int64_t>(element());
  const int64_t first_group = dense_box.lo[last] / op.format.group_size;
  if (op.part == QuantizePart::Part::weight) {
    const int64_t words_a_group = static_cast<int64_t>(op.format.group_size) * op.format.bits / 32;
    return gather_columns(packed.data(), row.words * size, (box.lo[last] - first_group * words_a_group) * size);
  }
  const Scratch::Lease& part = op.part == QuantizePart::Part::scales ? scales : biases;
  return gather_columns(part.data(), row.groups * size, (box.lo[last] - first_group) * size);
}

Status Operation::operator()(const UnpackCodes& op) const {
  const Box from = child_box(recipe, 0, box);
  const int last = box.rank - 1;
  const size_t word_bytes = static_cast<size_t>(from.count()) * sizeof(uint32_t);
  const int64_t row_codes = from.extent(last) * (32 / op.bits);
  const size_t code_bytes = static_cast<size_t>(box.count() / box.extent(last) * row_codes);
  if (too_much(word_bytes + code_bytes)) return in_halves();
  const Scratch::Lease words = evaluator.scratch_.take(word_bytes);
  PIPPIN_CHECK(input(0, from, words.data()));
  const Scratch::Lease codes = evaluator.scratch_.take(code_bytes);
  unpack_words(reinterpret_cast<const uint32_t*>(words.data()), from.count(), op.bits, op.awq,
               reinterpret_cast<uint8_t*>(codes.data()));
  return gather_columns(codes.data(), row_codes, box.lo[last] - from.lo[last] * (32 / op.bits));
}

Status Operation::operator()(const PackCodes& op) const {
  const Box from = child_box(recipe, 0, box);
  const size_t code_bytes = static_cast<size_t>(from.count());
  if (too_much(code_bytes)) return in_halves();
  const Scratch::Lease codes = evaluator.scratch_.take(code_bytes);
  PIPPIN_CHECK(input(0, from, codes.data()));
  pack_words(reinterpret_cast<const uint8_t*>(codes.data()), box.count(), op.bits, reinterpret_cast<uint32_t*>(out));
  return {};
}

}  // namespace pippin
