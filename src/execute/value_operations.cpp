// Operations that compute values element by element, or along an axis.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "execute/arithmetic.h"
#include "execute/child_box.h"
#include "execute/codes.h"
#include "execute/functions.h"
#include "execute/nonfinite.h"
#include "execute/operation.h"
#include "execute/strided_copy.h"
#include "tensor/cast.h"

namespace pippin {

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
    return check_result(0, nullptr);
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
  return check_result(0, nullptr);
}

Status Operation::operator()(const Exponent&) const {
  const size_t buffer_bytes = static_cast<size_t>(box.count()) * sizeof(float);
  if (too_much(buffer_bytes)) return in_halves();
  const Scratch::Lease buffer = evaluator.scratch_.take(buffer_bytes);
  PIPPIN_CHECK(input(0, box, buffer.data()));
  exponents(reinterpret_cast<const uint32_t*>(buffer.data()), box.count(), reinterpret_cast<uint8_t*>(out));
  return {};
}

Status Operation::operator()(const Function& op) const {
  PIPPIN_CHECK(input(0, box, out));
  const int64_t before =
      evaluator.settings_.allow_nonfinite ? count_nonfinite_values(recipe.dtype, out, box.count()) : 0;
  apply_function(op.kind, reinterpret_cast<float*>(out), box.count());
  return check_result(before, nullptr);
}

}  // namespace pippin
