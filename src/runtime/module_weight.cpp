#include "runtime/module_weight.h"

#include <fmt/format.h>
#include <mlx/ops.h>

#include "runtime/fault.h"
#include "runtime/ternary_weight.h"

namespace pippin {

namespace mx = mlx::core;

namespace {

std::optional<mx::array> maybe(const WeightSource& weights, const std::string& name) {
  if (!weights.has(name)) return std::nullopt;
  return value_or_throw(weights.load(name));
}

// Packed words and scales say the same number of columns and rows, so that no kernel reads beyond them.
void check_packed(const ModuleWeight& made, const std::string& module) {
  const auto bad = [&module](const std::string& what) {
    throw Fault({ErrorTag::mismatch,
                 "packed weights, scales and config.json fit together",
                 module + ": " + what,
                 "convert the model again",
                 {}});
  };
  const int64_t bits = made.packing.bits;
  const int64_t group = made.packing.group_size;
  if (made.weight.dtype() != mx::uint32) bad("packed words are not U32");
  if (made.weight.ndim() < 2 || made.scales->ndim() != made.weight.ndim()) bad("axes differ");
  for (int axis = 0; axis + 1 < static_cast<int>(made.weight.ndim()); ++axis) {
    if (made.weight.shape(axis) != made.scales->shape(axis)) bad("rows differ");
  }
  const int64_t columns = int64_t{made.weight.shape(-1)} * 32 / bits;
  if (int64_t{made.scales->shape(-1)} * group != columns)
    bad(fmt::format("{} columns of {} bits are not {} groups of {}", columns, bits, made.scales->shape(-1), group));
  const bool affine = made.packing.mode == QuantMode::affine;
  if (affine != made.biases.has_value()) bad(affine ? "no biases" : "biases that the mode does not have");
  if (affine && made.biases->shape() != made.scales->shape()) bad("scales and biases differ");
  if (!made.global_scale) return;
  if (made.packing.mode != QuantMode::nvfp4) bad("a global scale that the mode does not have");
  if (made.weight.ndim() != 3 || made.global_scale->shape() != mx::Shape{made.weight.shape(0)})
    bad("not one global scale for each expert");
}

}  // namespace

ModuleWeight ModuleWeight::load(const WeightSource& weights, const std::string& module) {
  if (weights.has(module + ".weight_scale")) {
    ModuleWeight made = unpack_ternary(value_or_throw(weights.load(module + ".weight")),
                                       value_or_throw(weights.load(module + ".weight_scale")),
                                       weights.divides_by_scale(module), module);
    made.bias = maybe(weights, module + ".bias");
    return made;
  }
  ModuleWeight made{value_or_throw(weights.load(module + ".weight")),
                    maybe(weights, module + ".scales"),
                    maybe(weights, module + ".biases"),
                    maybe(weights, module + ".bias"),
                    weights.packing(module),
                    maybe(weights, module + ".global_scale")};
  if (made.scales) check_packed(made, module);
  return made;
}

mx::array ModuleWeight::product(const mx::array& x, bool transpose) const {
  if (scales) {
    return mx::quantized_matmul(x, weight, *scales, biases, transpose, packing.group_size, packing.bits, mode());
  }
  return mx::matmul(x, transpose ? mx::swapaxes(weight, -1, -2) : weight);
}

mx::array ModuleWeight::rows(const mx::array& ids) const {
  if (!scales) return mx::take(weight, ids, 0);
  std::optional<mx::array> own_biases;
  if (biases) own_biases = mx::take(*biases, ids, 0);
  return mx::dequantize(mx::take(weight, ids, 0), mx::take(*scales, ids, 0), own_biases, packing.group_size,
                        packing.bits, mode());
}

mx::array ModuleWeight::expert_factors(const mx::array& experts) const {
  constexpr float largest = 6.0F * 448.0F;  // of a code times that of its group's scale
  return mx::divide(mx::take(mx::astype(*global_scale, mx::float32), experts, 0), mx::array(largest));
}

int ModuleWeight::columns() const {
  return scales ? scales->shape(-1) * packing.group_size : weight.shape(-1);
}

}  // namespace pippin
