#include <mlx/fast.h>
#include <mlx/ops.h>

#include "runtime/fault.h"
#include "runtime/module_weight.h"
#include "runtime/operation.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

mx::array parameter_of(const OperationSite& site, const std::string& name) {
  return value_or_throw(site.weights.load(name));
}

Operation embedding(const OperationSite& site) {
  return [weight = ModuleWeight::load(site.weights, site.text("at"))](StepInputs inputs, Pass&) {
    return StepValue{weight.rows(array_of(inputs, 0)), {}, {}};
  };
}

Operation as_linear(const OperationSite& site) {
  return [weight = ModuleWeight::load(site.weights, site.text("at"))](StepInputs inputs, Pass&) {
    return StepValue{weight.product(array_of(inputs, 0)), {}, {}};
  };
}

Operation linear(const OperationSite& site) {
  return [weight = ModuleWeight::load(site.weights, site.text("at"))](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    // A dense layer adds its bias before it rounds, a packed one after.
    if (weight.bias && !weight.scales)
      return StepValue{mx::addmm(*weight.bias, x, mx::swapaxes(weight.weight, -1, -2)), {}, {}};
    mx::array y = weight.product(x);
    if (weight.bias) y = mx::add(y, *weight.bias);
    return StepValue{y, {}, {}};
  };
}

// x [batch, heads, length, in] times one matrix a head.
Operation multi_linear(const OperationSite& site) {
  const bool transpose = site.flag("transpose");
  return [weight = ModuleWeight::load(site.weights, site.text("at")), transpose](StepInputs inputs, Pass&) {
    return StepValue{weight.product(array_of(inputs, 0), transpose), {}, {}};
  };
}

Operation parameter(const OperationSite& site) {
  return [value = parameter_of(site, site.text("at"))](StepInputs, Pass&) { return StepValue{value, {}, {}}; };
}

// Rows of a table by position; positions beyond its end take its last row.
Operation position_embedding(const OperationSite& site) {
  const int first = site.integer("first");
  return [weight = ModuleWeight::load(site.weights, site.text("at")), first](StepInputs, Pass& pass) {
    const int last = weight.weight.shape(0) - 1;
    const mx::array positions =
        mx::minimum(mx::arange(pass.offset + first, pass.offset + first + pass.length), mx::array(last));
    return StepValue{mx::expand_dims(weight.rows(positions), 0), {}, {}};
  };
}

Operation rms_norm(const OperationSite& site) {
  const auto eps = static_cast<float>(site.number("eps"));
  std::optional<mx::array> weight;
  if (site.given("at")) {
    weight = parameter_of(site, site.text("at") + ".weight");
    if (const double offset = site.number("offset"); offset != 0)
      weight = mx::add(*weight, mx::array(static_cast<float>(offset), weight->dtype()));
  }
  return [weight, eps](StepInputs inputs, Pass&) {
    return StepValue{mx::fast::rms_norm(array_of(inputs, 0), weight, eps), {}, {}};
  };
}

Operation layer_norm(const OperationSite& site) {
  const auto eps = static_cast<float>(site.number("eps"));
  std::optional<mx::array> weight;
  std::optional<mx::array> bias;
  if (site.given("at")) {
    const std::string at = site.text("at");
    if (site.weights.has(at + ".weight")) weight = parameter_of(site, at + ".weight");
    if (site.weights.has(at + ".bias")) bias = parameter_of(site, at + ".bias");
  }
  return [weight, bias, eps](StepInputs inputs, Pass&) {
    return StepValue{mx::fast::layer_norm(array_of(inputs, 0), weight, bias, eps), {}, {}};
  };
}

// x / max(|x|, eps), the length taken in float32.
Operation l2_norm(const OperationSite& site) {
  const auto eps = static_cast<float>(site.number("eps"));
  return [eps](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    const mx::array wide = mx::astype(x, mx::float32);
    const mx::array length = mx::sqrt(mx::sum(mx::square(wide), -1, true));
    return StepValue{mx::astype(mx::divide(wide, mx::maximum(length, mx::array(eps))), x.dtype()), {}, {}};
  };
}

}  // namespace

const OperationTable& weight_operations() {
  static const OperationTable table{
      {"embedding", embedding},       {"as_linear", as_linear},   {"linear", linear},
      {"multi_linear", multi_linear}, {"parameter", parameter},   {"position_embedding", position_embedding},
      {"rms_norm", rms_norm},         {"layer_norm", layer_norm}, {"l2_norm", l2_norm},
  };
  return table;
}

}  // namespace pippin
