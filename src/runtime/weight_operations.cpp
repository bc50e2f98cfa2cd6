#include <mlx/fast.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "runtime/fault.h"
#include "runtime/host_layers.h"
#include "runtime/module_weight.h"
#include "runtime/operation.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

mx::array parameter_of(const OperationSite& site, const std::string& name) {
  return value_or_throw(site.weights.load(name));
}

Operation embedding(const OperationSite& site) {
  return [weight = ModuleWeight::load(site.weights, site.text("at")), own = site.pool != nullptr](StepInputs inputs,
                                                                                                  Pass&) {
    if (own) {
      if (auto rows = host_embedding(array_of(inputs, 0), weight)) return one(*rows);
    }
    return one(weight.rows(array_of(inputs, 0)));
  };
}

// A dense layer adds its bias before it rounds, a packed one after.
mx::array plain_linear(const mx::array& x, const ModuleWeight& weight, bool with_bias) {
  const bool biased = with_bias && weight.bias;
  if (biased && !weight.scales) return mx::addmm(*weight.bias, x, mx::swapaxes(weight.weight, -1, -2));
  mx::array y = weight.product(x);
  return biased ? mx::add(y, *weight.bias) : y;
}

// Layers that read the same x, as one operation.
Operation linear_group(const OperationSite& site) {
  std::vector<ModuleWeight> weights;
  for (const DecoderNode* member : site.group.members)
    weights.push_back(ModuleWeight::load(site.weights, member->attributes.at("at").get<std::string>()));
  return
      [own = HostLinear::of(site.pool, weights), weights, leader = site.group.leader](StepInputs inputs, Pass& pass) {
        const mx::array& x = array_of(inputs, 0);
        std::vector<mx::array> results;
        if (own) results = (*own)(x);
        if (results.empty()) {
          for (const auto& weight : weights) results.push_back(plain_linear(x, weight, true));
        }
        mx::array first = results[0];
        pass.shared.insert_or_assign(leader, std::move(results));
        return one(first);
      };
}

// One of the results of the group's leader; the last member clears them away.
Operation linear_member(const OperationSite& site) {
  const bool last = site.group.position + 1 == site.group.members.size();
  return [leader = site.group.leader, position = site.group.position, last](StepInputs, Pass& pass) {
    mx::array result = pass.shared.at(leader).at(position);
    if (last) pass.shared.erase(leader);
    return one(result);
  };
}

Operation lone_linear(const OperationSite& site, ModuleWeight weight) {
  const auto own = site.pool ? HostLinear::of(site.pool, {weight}) : std::nullopt;
  return [own, weight = std::move(weight)](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    if (own) {
      if (auto results = (*own)(x); !results.empty()) return one(results[0]);
    }
    return one(plain_linear(x, weight, true));
  };
}

Operation as_linear(const OperationSite& site) {
  return lone_linear(site, ModuleWeight::load(site.weights, site.text("at")));
}

Operation linear(const OperationSite& site) {
  if (!site.group.members.empty()) return site.group.position == 0 ? linear_group(site) : linear_member(site);
  return lone_linear(site, ModuleWeight::load(site.weights, site.text("at")));
}

// x [batch, heads, length, in] times one matrix a head.
Operation multi_linear(const OperationSite& site) {
  const bool transpose = site.flag("transpose");
  return [weight = ModuleWeight::load(site.weights, site.text("at")), transpose, pool = site.pool](StepInputs inputs,
                                                                                                   Pass&) {
    if (pool) {
      if (auto y = host_multi_linear(pool, array_of(inputs, 0), weight, transpose)) return one(*y);
    }
    return one(weight.product(array_of(inputs, 0), transpose));
  };
}

Operation parameter(const OperationSite& site) {
  return [value = parameter_of(site, site.text("at"))](StepInputs, Pass&) { return one(value); };
}

// The bare parameters that `at` names with 0, 1, 2 ... for its *, on a new first axis.
Operation parameters(const OperationSite& site) {
  const std::string at = site.text("at");
  const size_t star = at.find('*');
  if (star == std::string::npos) throw Fault({ErrorTag::bad_spec, "the parameters' name has a *", at, "", {}});
  std::vector<mx::array> all;
  for (int k = 0; k < site.integer("count"); ++k)
    all.push_back(  // NOLINT(performance-inefficient-vector-operation): nobody has checked the count
        parameter_of(site, at.substr(0, star) + std::to_string(k) + at.substr(star + 1)));
  return [value = mx::stack(all)](StepInputs, Pass&) { return one(value); };
}

// Rows of a table by position; positions beyond its end take its last row.
Operation position_embedding(const OperationSite& site) {
  const int first = site.integer("first");
  return [weight = ModuleWeight::load(site.weights, site.text("at")), first](StepInputs, Pass& pass) {
    const int last = weight.weight.shape(0) - 1;
    const mx::array positions =
        mx::minimum(mx::arange(pass.offset + first, pass.offset + first + pass.length), mx::array(last));
    return one(mx::expand_dims(weight.rows(positions), 0));
  };
}

// The weight with the offset added, evaluated once.
std::optional<mx::array> norm_weight(const OperationSite& site) {
  if (!site.given("at")) return std::nullopt;
  mx::array weight = parameter_of(site, site.text("at") + ".weight");
  if (const double offset = site.number("offset"); offset != 0) {
    weight = mx::add(weight, mx::array(static_cast<float>(offset), weight.dtype()));
    mx::eval(weight);
  }
  return weight;
}

Operation rms_norm(const OperationSite& site) {
  const auto eps = static_cast<float>(site.number("eps"));
  return
      [weight = norm_weight(site), eps, pool = site.pool, leader = site.group.leader](StepInputs inputs, Pass& pass) {
        if (const auto done = pass.shared.find(leader); leader >= 0 && done != pass.shared.end()) {
          mx::array result = done->second[0];
          pass.shared.erase(done);
          return one(result);
        }
        if (pool) {
          if (auto y = host_rms_norm(pool, array_of(inputs, 0), weight, eps)) return one(*y);
        }
        return one(mx::fast::rms_norm(array_of(inputs, 0), weight, eps));
      };
}

// A sum and its norm, which is the group's other member.
Operation add_before_norm(const OperationSite& site) {
  const DecoderNode& norm = *site.group.members.at(1);
  const OperationSite there{norm, site.weights, site.pool, site.cache_slot};
  const auto eps = static_cast<float>(there.number("eps"));
  return
      [weight = norm_weight(there), eps, pool = site.pool, leader = site.group.leader](StepInputs inputs, Pass& pass) {
        const mx::array& x = array_of(inputs, 0);
        const mx::array& y = array_of(inputs, 1);
        auto both = host_add_rms_norm(pool, x, y, weight, eps);
        if (!both) return one(mx::add(x, y));
        pass.shared.insert_or_assign(leader, std::vector<mx::array>{both->second});
        return one(both->first);
      };
}

Operation layer_norm(const OperationSite& site) {
  const auto eps = static_cast<float>(site.number("eps"));
  std::optional<mx::array> weight;
  std::optional<mx::array> bias;
  if (site.given("at")) {
    const std::string at = site.text("at");
    if (site.weights.has(at + ".weight")) weight = norm_weight(site);
    if (site.weights.has(at + ".bias")) bias = parameter_of(site, at + ".bias");
  }
  return [weight, bias, eps, pool = site.pool](StepInputs inputs, Pass&) {
    if (pool) {
      if (auto y = host_layer_norm(pool, array_of(inputs, 0), weight, bias, eps)) return one(*y);
    }
    return one(mx::fast::layer_norm(array_of(inputs, 0), weight, bias, eps));
  };
}

// x / max(|x|, eps), the length taken in float32.
Operation l2_norm(const OperationSite& site) {
  const auto eps = static_cast<float>(site.number("eps"));
  return [eps](StepInputs inputs, Pass&) {
    const mx::array& x = array_of(inputs, 0);
    const mx::array wide = mx::astype(x, mx::float32);
    const mx::array length = mx::sqrt(mx::sum(mx::square(wide), -1, true));
    return one(mx::astype(mx::divide(wide, mx::maximum(length, mx::array(eps))), x.dtype()));
  };
}

}  // namespace

const OperationTable& weight_operations() {
  static const OperationTable table{
      {"add_before_norm", add_before_norm},
      {"embedding", embedding},
      {"as_linear", as_linear},
      {"linear", linear},
      {"multi_linear", multi_linear},
      {"parameter", parameter},
      {"parameters", parameters},
      {"position_embedding", position_embedding},
      {"rms_norm", rms_norm},
      {"layer_norm", layer_norm},
      {"l2_norm", l2_norm},
  };
  return table;
}

}  // namespace pippin
