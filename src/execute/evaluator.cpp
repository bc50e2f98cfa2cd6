#include "execute/evaluator.h"

#include <algorithm>

#include "execute/nonfinite.h"
#include "execute/operation.h"
#include "execute/source_reader.h"

namespace pippin {

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

Status Evaluator::evaluate(const Recipe& recipe, const Box& box, std::byte* out) {
  return std::visit(Operation{*this, recipe, box, out}, recipe.op);
}

int buffer_depth(const Recipe& recipe) {
  int depth = 0;
  for (const auto& input : recipe.inputs) depth = std::max(depth, buffer_depth(*input));
  return recipe.inputs.empty() ? 0 : depth + 1;
}

}  // namespace pippin
