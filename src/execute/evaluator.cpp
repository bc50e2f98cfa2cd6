#include "execute/evaluator.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "execute/arithmetic.h"
#include "execute/child_box.h"
#include "execute/codes.h"
#include "execute/fp8_blocks.h"
#include "execute/nonfinite.h"
#include "execute/reshape_groups.h"
#include "execute/source_reader.h"
#include "execute/strided_copy.h"
#include "quantize/quantize.h"
#include "tensor/cast.h"

namespace pippin {
namespace {

// Runs of at least this many bytes are worth a step of their own; shorter ones are picked from a larger piece.
constexpr int64_t long_run = 2 << 10;
// Of a transpose's input, so much is read before it is moved: it should stay in the second-level cache.
constexpr size_t tile_limit = 512 << 10;

size_t bytes_of(const Recipe& recipe, const Box& box) {
  return static_cast<size_t>(box.count()) * size_of(recipe.dtype);
}

bool is_matched_by(const Box& child, const Box& box) {
  return child.count() == box.count();
}

}  // namespace

// Evaluates one operation on one box.
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

Status Operation::in_parts(int64_t steps) const {
  const int axis = box.first_wide_axis();
  std::byte* target = out;
  Box part = box;
  for (int64_t at = box.lo[axis]; at < box.hi[axis]; at += steps) {
    part.lo[axis] = at;
    part.hi[axis] = std::min(at + steps, box.hi[axis]);
    PIPPIN_CHECK(evaluator.evaluate(recipe, part, target));
    target += bytes_of(recipe, part);
  }
  return {};
}

Status Operation::operator()(const FromSource& op) const {
  const TensorInfo& tensor = evaluator.settings_.source->tensors()[op.tensor];
  PIPPIN_CHECK(read_box(*evaluator.settings_.source, tensor, box, out, evaluator.scratch_, evaluator.bytes_read_));
  if (!may_be_nonfinite(tensor.dtype)) return {};
  const int64_t count = box.count();
  const int64_t found = count_nonfinite_values(tensor.dtype, out, count);
  if (found == 0) return {};
  evaluator.nonfinite_values_ += static_cast<uint64_t>(found);
  if (evaluator.settings_.allow_nonfinite) return {};
  const int64_t position = find_nonfinite(tensor.dtype, out, count);
  return tl::unexpected<Error>(nonfinite_error(tensor.name, box, tensor.dtype, out, position));
}

Status Operation::operator()(const Constant& op) const {
  cast(DType::F64, &op.value, recipe.dtype, out, 1);
  const size_t size = bytes_of(recipe, box);
  // Doubles what is there.
  for (size_t done = element(); done < size;) {
    const size_t more = std::min(done, size - done);
    std::memcpy(out + done, out, more);
    done += more;
  }
  return {};
}

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

Status Operation::check_result(int64_t before, const std::byte* input_values) const {
  const int64_t count = box.count();
  const int64_t after = count_nonfinite_values(recipe.dtype, out, count);
  if (after <= before) return {};
  evaluator.nonfinite_values_ += static_cast<uint64_t>(after - before);
  if (evaluator.settings_.allow_nonfinite) return {};
  const int64_t position = find_nonfinite(recipe.dtype, out, count);
  std::vector<std::string> names;
  for (const auto& tensor : evaluator.settings_.source->tensors()) names.push_back(tensor.name);
  std::string value;
  const bool has_value = input_values != nullptr;
  if (has_value) {
    const DType from = recipe.inputs[0]->dtype;
    value = value_text(from, input_values + position * static_cast<int64_t>(size_of(from)));
  }
  const std::string name = describe(has_value ? *recipe.inputs[0] : recipe, names);
  return tl::unexpected<Error>(overflow_error(name, box, recipe.dtype, position, value));
}

Status Operation::operator()(const Cast&) const {
  const DType from = recipe.inputs[0]->dtype;
  const size_t buffer_bytes = static_cast<size_t>(box.count()) * size_of(from);
  if (too_much(buffer_bytes)) return in_halves();
  const Scratch::Lease buffer = evaluator.scratch_.take(buffer_bytes);
  PIPPIN_CHECK(input(0, box, buffer.data()));
  cast(from, buffer.data(), recipe.dtype, out, box.count());
  if (!cast_may_overflow(from, recipe.dtype)) return {};
  // Only with allow_nonfinite can there be any before.
  const int64_t before =
      evaluator.settings_.allow_nonfinite ? count_nonfinite_values(from, buffer.data(), box.count()) : 0;
  return check_result(before, buffer.data());
}

Status Operation::operator()(const Arithmetic& op) const {
  const Box y_box = child_box(recipe, 1, box);
  const size_t y_bytes = bytes_of(*recipe.inputs[1], y_box);
  if (too_much(y_bytes)) return in_halves();
  PIPPIN_CHECK(input(0, box, out));
  const int64_t before =
      evaluator.settings_.allow_nonfinite ? count_nonfinite_values(recipe.dtype, out, box.count()) : 0;
  const Scratch::Lease y = evaluator.scratch_.take(y_bytes);
  PIPPIN_CHECK(input(1, y_box, y.data()));
  apply_arithmetic(op.op, recipe.dtype, box, out, y_box, y.data());
  return check_result(before, nullptr);
}

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

Status Operation::add_squares(const Norm& op, const Box& part, float* sums) const {
  const Recipe& values = *recipe.inputs[0];
  Box from = child_box(recipe, 0, part);
  const int64_t length = from.hi[op.axis];
  const int64_t inner = from.count_from(op.axis + 1);
  const int64_t outer = part.count() / std::max<int64_t>(1, inner);
  const int64_t step_bytes = outer * inner * static_cast<int64_t>(sizeof(float));
  const int64_t steps =
      std::clamp<int64_t>(static_cast<int64_t>(evaluator.buffer_limit_) / std::max<int64_t>(1, step_bytes), 1, length);
  for (int64_t at = 0; at < length; at += steps) {
    from.lo[op.axis] = at;
    from.hi[op.axis] = std::min(at + steps, length);
    const Scratch::Lease buffer = evaluator.scratch_.take(bytes_of(values, from));
    PIPPIN_CHECK(input(0, from, buffer.data()));
    const auto* value = reinterpret_cast<const float*>(buffer.data());
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t k = from.lo[op.axis]; k < from.hi[op.axis]; ++k) {
        for (int64_t i = 0; i < inner; ++i, ++value) sums[o * inner + i] += *value * *value;
      }
    }
  }
  return {};
}

Status Operation::operator()(const Norm& op) const {
  constexpr int64_t kept_whole = 1 << 20;  // norms
  auto* results = reinterpret_cast<float*>(out);
  const bool columns = op.axis + 1 < box.rank && element_count(recipe.shape) <= kept_whole;
  if (!columns) {
    std::fill_n(results, box.count(), 0.0F);
    PIPPIN_CHECK(add_squares(op, box, results));
    for (int64_t i = 0; i < box.count(); ++i) results[i] = std::sqrt(results[i]);
    return {};
  }
  // Each block of rows needs the norms of all columns, which take the whole input: computed once.
  auto [whole, is_new] = evaluator.norms_.try_emplace(&recipe);
  if (is_new) {
    whole->second.assign(static_cast<size_t>(element_count(recipe.shape)), 0.0F);
    PIPPIN_CHECK(add_squares(op, whole_box(recipe.shape), whole->second.data()));
    for (float& sum : whole->second) sum = std::sqrt(sum);
  }
  StridedCopy copy;
  copy.element = sizeof(float);
  const Strides from_strides = dense_strides(recipe.shape);
  const Strides to_strides = dense_strides(box);
  for (int k = 0; k < box.rank; k++) copy.add_axis(box.extent(k), from_strides[k], to_strides[k]);
  copy_strided(copy, reinterpret_cast<const std::byte*>(whole->second.data() + first_index(box, from_strides)), out);
  return {};
}

Status Operation::operator()(const Exponent&) const {
  const size_t buffer_bytes = static_cast<size_t>(box.count()) * sizeof(float);
  if (too_much(buffer_bytes)) return in_halves();
  const Scratch::Lease buffer = evaluator.scratch_.take(buffer_bytes);
  PIPPIN_CHECK(input(0, box, buffer.data()));
  exponents(reinterpret_cast<const uint32_t*>(buffer.data()), box.count(), reinterpret_cast<uint8_t*>(out));
  return {};
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

Status Evaluator::evaluate(const Recipe& recipe, const Box& box, std::byte* out) {
  return std::visit(Operation{*this, recipe, box, out}, recipe.op);
}

int buffer_depth(const Recipe& recipe) {
  int depth = 0;
  for (const auto& input : recipe.inputs) depth = std::max(depth, buffer_depth(*input));
  const bool none = std::holds_alternative<FromSource>(recipe.op) || std::holds_alternative<Constant>(recipe.op);
  return none ? 0 : depth + 1;
}

}  // namespace pippin
