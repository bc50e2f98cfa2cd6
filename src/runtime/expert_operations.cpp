#include <limits>
#include <vector>

#include <mlx/device.h>
#include <mlx/ops.h>

#include "runtime/fault.h"
#include "runtime/host_layers.h"
#include "runtime/module_weight.h"
#include "runtime/operation.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

const mx::array& weights_of(StepInputs inputs, size_t position) {
  const StepValue* value = inputs[position];
  if (value == nullptr || !value->second)
    throw Fault({ErrorTag::bad_spec, "this operation needs a route", "a decoder gives it none", "", {}});
  return *value->second;
}

int checked_count(int count, const mx::array& scores) {
  if (count < 1 || count > scores.shape(-1))
    throw Fault({ErrorTag::bad_config, "a token goes to 1 or more of the experts", std::to_string(count), "", {}});
  return count;
}

// Elements begin <= k < end of the last axis.
mx::array last_axis(const mx::array& x, int begin, int end) {
  mx::Shape from(x.ndim(), 0);
  mx::Shape to = x.shape();
  from.back() = begin;
  to.back() = end;
  return mx::slice(x, from, to);
}

// The `count` experts with the highest selection scores (or scores), and their scores: [.., count] each. `negate` looks
// for the lowest of the negated ones: the same experts, but in another order, and others where scores are equal.
// `sorted`: the best first, of equal ones the lower number.
Operation route(const OperationSite& site) {
  const int count = site.integer("count");
  const bool negate = site.flag("negate");
  const bool sorted = site.flag("sorted");
  return [count, negate, sorted](StepInputs inputs, Pass&) {
    const mx::array& scores = array_of(inputs, 0);
    const mx::array& selection = inputs.size() > 1 && inputs[1] != nullptr ? array_of(inputs, 1) : scores;
    const int wanted = checked_count(count, selection);
    const int experts = selection.shape(-1);
    const mx::array chosen = sorted   ? last_axis(mx::argsort(mx::negative(selection), -1), 0, wanted)
                             : negate ? last_axis(mx::argpartition(mx::negative(selection), wanted - 1, -1), 0, wanted)
                                      : last_axis(mx::argpartition(selection, -wanted, -1), experts - wanted, experts);
    return StepValue{chosen, mx::take_along_axis(scores, chosen, -1), {}};
  };
}

// Chooses the best expert, then the best of the others, and so on. Each one's weight is its share in a softmax over
// the experts that are not yet chosen and are within the margin: (best - score) / max(|score|, best) <= margin.
Operation route_in_turn(const OperationSite& site) {
  const int count = site.integer("count");
  const double margin = site.number("margin");
  return [count, margin](StepInputs inputs, Pass&) {
    const mx::array& scores = array_of(inputs, 0);
    const mx::array never(-std::numeric_limits<float>::infinity(), scores.dtype());
    const mx::array limit(static_cast<float>(margin), scores.dtype());
    mx::array left = scores;
    std::vector<mx::array> experts;
    std::vector<mx::array> weights;
    for (int k = 0; k < checked_count(count, scores); ++k) {
      const mx::array best = mx::max(left, -1, true);
      const mx::array expert = mx::argmax(left, -1, true);
      const mx::array distance = mx::divide(mx::subtract(best, scores), mx::maximum(mx::abs(scores), best));
      const mx::array near = mx::softmax(mx::where(mx::greater(distance, limit), never, left), -1, true);
      weights.push_back(mx::take_along_axis(near, expert, -1));
      experts.push_back(expert);
      left = mx::put_along_axis(left, expert, never, -1);
    }
    return StepValue{mx::concatenate(experts, -1), mx::concatenate(weights, -1), {}};
  };
}

// The route to the experts begin <= e < end only, numbered from 0; the weights of others are 0.
Operation route_within(const OperationSite& site) {
  const int begin = site.integer("begin");
  const int end = site.integer("end");
  return [begin, end](StepInputs inputs, Pass&) {
    const mx::array experts = mx::astype(array_of(inputs, 0), mx::int32);
    const mx::array& weights = weights_of(inputs, 0);
    const mx::array inside =
        mx::logical_and(mx::greater_equal(experts, mx::array(begin)), mx::less(experts, mx::array(end)));
    return StepValue{mx::where(inside, mx::subtract(experts, mx::array(begin)), mx::array(0)),
                     mx::where(inside, weights, mx::array(0.0F, weights.dtype())),
                     {}};
  };
}

Operation route_weights(const OperationSite&) {
  return [](StepInputs inputs, Pass&) { return one(weights_of(inputs, 0)); };
}

Operation reweight(const OperationSite&) {
  return [](StepInputs inputs, Pass&) { return StepValue{array_of(inputs, 0), array_of(inputs, 1), {}}; };
}

// [batch, length, dim] -> [batch, length, 1, 1, dim], for the experts.
Operation spread(const OperationSite&) {
  return [](StepInputs inputs, Pass&) { return one(mx::expand_dims(array_of(inputs, 0), {-3, -2})); };
}

mx::array experts_product(const mx::array& x, const mx::array& chosen, const ModuleWeight& weight,
                          const std::optional<mx::array>& global_scale) {
  if (!weight.scales) return mx::gather_mm(x, mx::swapaxes(weight.weight, -1, -2), std::nullopt, chosen);
  return mx::gather_qmm(x, weight.weight, *weight.scales, weight.biases, std::nullopt, chosen, true,
                        weight.packing.group_size, weight.packing.bits, weight.mode(), global_scale);
}

// Experts with one more scale each, which MLX's kernels know on a GPU alone: elsewhere their float32 products are
// scaled, and rounded once.
mx::array scaled_experts_product(const mx::array& x, const mx::array& chosen, const ModuleWeight& weight,
                                 const HostPool& pool) {
  if (mx::default_device() == mx::Device::gpu) return experts_product(x, chosen, weight, weight.global_scale);
  const mx::array wide = mx::astype(x, mx::float32);
  const auto own = pool ? host_switch_linear(pool, wide, chosen, weight) : std::nullopt;
  const mx::array y = own ? *own : experts_product(wide, chosen, weight, std::nullopt);
  return mx::astype(mx::multiply(y, mx::expand_dims(weight.expert_factors(chosen), {-2, -1})), x.dtype());
}

// [batch, length, 1 or count, 1, in] -> [batch, length, count, 1, out]
Operation switch_linear(const OperationSite& site) {
  return [weight = ModuleWeight::load(site.weights, site.text("at")), pool = site.pool](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    const mx::array& chosen = array_of(inputs, 1);
    if (pool && !weight.global_scale) {
      if (auto own = host_switch_linear(pool, x, chosen, weight)) return one(*own);
    }
    mx::array y = weight.global_scale ? scaled_experts_product(x, chosen, weight, pool)
                                      : experts_product(x, chosen, weight, std::nullopt);
    if (weight.bias) y = mx::add(y, mx::expand_dims(mx::take(*weight.bias, chosen, 0), -2));
    return one(y);
  };
}

// The places in a route that each expert has.
std::vector<std::vector<int32_t>> places_of(const mx::array& route, int experts) {
  mx::array chosen = mx::contiguous(mx::astype(mx::flatten(route), mx::int32));
  chosen.eval();
  std::vector<std::vector<int32_t>> places(static_cast<size_t>(experts));
  for (size_t k = 0; k < chosen.size(); ++k) {
    const auto expert = static_cast<size_t>(chosen.data<int32_t>()[k]);
    if (expert < places.size()) places[expert].push_back(static_cast<int32_t>(k));
  }
  return places;
}

// As switch_linear, for experts that are modules of their own: at.0.name, at.1.name ... The route is computed first, so
// that only the experts that it has work, each on its own tokens.
Operation expert_linear(const OperationSite& site) {
  const int count = site.integer("count");
  std::vector<ModuleWeight> experts;
  for (int e = 0; e < count; ++e)
    experts.push_back(  // NOLINT(performance-inefficient-vector-operation): nobody has checked the count
        ModuleWeight::load(site.weights, site.text("at") + "." + std::to_string(e) + "." + site.text("name")));
  return [experts](StepInputs inputs, Pass&) {
    const mx::array& route = array_of(inputs, 1);
    const mx::array& x = array_of(inputs, 0);
    const mx::array rows = mx::flatten(x, 0, -2);
    const auto share = static_cast<int32_t>(route.size() / static_cast<size_t>(rows.shape(0)));
    const auto places = places_of(route, static_cast<int>(experts.size()));
    std::vector<mx::array> results;
    std::vector<int32_t> order(route.size());
    int32_t done = 0;
    for (size_t e = 0; e < experts.size(); ++e) {
      if (places[e].empty()) continue;
      std::vector<int32_t> own;
      for (const int32_t place : places[e]) {
        own.push_back(place / share);
        order[static_cast<size_t>(place)] = done++;
      }
      const mx::array taken = mx::take(rows, mx::array(own.begin(), {static_cast<int>(own.size())}, mx::int32), 0);
      const mx::array y = experts[e].product(taken);
      results.push_back(experts[e].bias ? mx::add(y, *experts[e].bias) : y);
    }
    const mx::array sorted = mx::concatenate(results, 0);
    mx::Shape shape = route.shape();
    shape.insert(shape.end(), {1, sorted.shape(-1)});
    return one(
        mx::reshape(mx::take(sorted, mx::array(order.begin(), {static_cast<int>(order.size())}, mx::int32), 0), shape));
  };
}

// The experts' results, weighted and summed: [batch, length, count, 1, dim] -> [batch, length, dim].
Operation combine(const OperationSite&) {
  return [](StepInputs inputs, Pass&) {
    const mx::array y = mx::squeeze(array_of(inputs, 0), -2);
    const mx::array weighted = mx::multiply(y, mx::expand_dims(weights_of(inputs, 1), -1));
    return one(mx::sum(weighted, -2));
  };
}

// The same, one expert after the other, each sum rounded to like's dtype.
Operation combine_in_turn(const OperationSite&) {
  return [](StepInputs inputs, Pass&) {
    const mx::array weighted =
        mx::multiply(mx::squeeze(array_of(inputs, 0), -2), mx::expand_dims(weights_of(inputs, 1), -1));
    const mx::Dtype dtype = array_of(inputs, 2).dtype();
    std::vector<mx::array> parts = mx::split(weighted, weighted.shape(-2), -2);
    mx::array sum = mx::astype(parts[0], dtype);
    for (size_t k = 1; k < parts.size(); ++k) sum = mx::astype(mx::add(sum, parts[k]), dtype);
    return one(mx::squeeze(sum, -2));
  };
}

// Of `groups` of experts, those `keep` with the highest sum of their `best` highest scores stay; others get `fill`.
Operation mask_groups(const OperationSite& site) {
  const int groups = site.integer("groups");
  const int keep = site.integer("keep");
  const int best = site.integer("best");
  const auto fill = static_cast<float>(site.number("fill"));
  return [=](StepInputs inputs, Pass&) {
    const mx::array& scores = array_of(inputs, 0);
    if (groups < 1 || keep < 1 || keep > groups || scores.shape(-1) % groups != 0 || best > scores.shape(-1) / groups)
      throw Fault({ErrorTag::bad_config, "experts divide into groups", std::to_string(groups), "", {}});
    if (keep == groups) return one(scores);
    const mx::array parts = mx::unflatten(scores, -1, {groups, -1});
    const mx::array strength = mx::sum(mx::topk(parts, best, -1), -1, true);
    mx::array order = mx::argpartition(strength, groups - keep - 1, -2);
    mx::Shape to = order.shape();
    to[to.size() - 2] = groups - keep;
    order = mx::slice(order, mx::Shape(to.size(), 0), to);
    const mx::array masked = mx::put_along_axis(parts,
                                                mx::broadcast_to(order,
                                                                 [&] {
                                                                   mx::Shape shape = order.shape();
                                                                   shape.back() = parts.shape(-1);
                                                                   return shape;
                                                                 }()),
                                                mx::array(fill, parts.dtype()), -2);
    return one(mx::flatten(masked, -2, -1));
  };
}

}  // namespace

const OperationTable& expert_operations() {
  static const OperationTable table{
      {"route", route},
      {"route_in_turn", route_in_turn},
      {"route_within", route_within},
      {"route_weights", route_weights},
      {"reweight", reweight},
      {"spread", spread},
      {"switch_linear", switch_linear},
      {"expert_linear", expert_linear},
      {"combine", combine},
      {"combine_in_turn", combine_in_turn},
      {"mask_groups", mask_groups},
  };
  return table;
}

}  // namespace pippin
